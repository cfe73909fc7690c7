# SPDX-License-Identifier: Apache-2.0
"""``python -m flamepy COMMAND``: doctor says whether all is well, e2e runs a Runner from end to end, serve is an
engine for several programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    import argparse  # here, where no file of the working directory is taken for a module any more

    parser = argparse.ArgumentParser(prog="python -m flamepy", description="Run functions and classes on workers.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("doctor", help="look at everything that calls need; exit code 1 when something is wrong")
    commands.add_parser("e2e", help="run a Runner from its package to its results", add_help=False)
    commands.add_parser("serve", help="one engine for several programs of this machine", add_help=False)
    wanted, rest = parser.parse_known_args(argv)
    if wanted.command == "serve":
        from flamepy.server.command import main as serve

        return serve(rest)
    if wanted.command == "e2e":
        from flamepy.runner.e2e import main as run_end_to_end

        return run_end_to_end(rest)
    if rest:
        parser.error(f"doctor takes no arguments: leave out {' '.join(rest)}")
    from flamepy.tools.doctor import main as run_doctor

    return run_doctor()


if __name__ == "__main__":
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        del sys.path[0]  # the working directory: the doctor tells what lies there, and runs none of it
    sys.exit(main())
