# SPDX-License-Identifier: Apache-2.0
"""The words of the magics: every subcommand and option, and which option goes with which subcommand. Declarations only.

``arguments`` reads lines by it, ``completion`` offers its words, ``%flame_runner?`` and ``%%flame_service?`` show it.
"""

from __future__ import annotations

from dataclasses import dataclass

from IPython.core.magic_arguments import argument, magic_arguments

_PACKAGED = ("--name", "--root", "--include", "--exclude", "--max-size")
_STARTED = (
    *_PACKAGED, "--as", "--workers", "--local", "--cluster", "--deps", "--requirements", "--python",
    "--fail-if-exists", "--force",
)  # fmt: skip
EVERYWHERE = ("--quiet",)


@dataclass(frozen=True)
class Subcommand:
    """operands: how help calls the words that may follow, "" = none may; a name in brackets may be left out.

    takes: what completion offers for them. options: those that mean something here, beyond ``EVERYWHERE``.
    """

    operands: str = ""
    takes: str = ""
    options: tuple[str, ...] = ()

    @property
    def max_operands(self) -> int | None:
        """None = any number."""
        return None if "..." in self.operands else 1 if self.operands else 0

    @property
    def min_operands(self) -> int:
        return int(bool(self.operands) and not self.operands.startswith("["))


SUBCOMMANDS = {
    "start": Subcommand(options=_STARTED),
    "status": Subcommand(options=("--json",)),
    "restart": Subcommand(options=_STARTED),
    "stop": Subcommand(options=("--cancel", "--wait")),
    "package": Subcommand(options=(*_PACKAGED, "--dry-run")),
    "cells": Subcommand(options=("--write", "--drop", "--clear")),
    "services": Subcommand(),
    "attach": Subcommand("NAME", "services", ("--as",)),
    "wait": Subcommand("[VAR ...]", "futures", ("--timeout",)),
    "cancel": Subcommand("[VAR ...]", "futures"),
    "logs": Subcommand("[VAR]", "outputs"),
    "inspect": Subcommand("VAR", "futures"),
    "use": Subcommand("CTX", "contexts", ("--stop",)),
    "contexts": Subcommand(),
    "doctor": Subcommand(),
}


@magic_arguments("flame_runner")
@argument(
    "words",
    nargs="*",
    metavar="SUBCOMMAND",
    help=f"one of {', '.join(SUBCOMMANDS)}; nothing = start; any other word = start --name WORD",
)
@argument("--name", help="name of the Runner (default: the notebook's name and a short random part)")
@argument("--as", dest="bind_as", metavar="VAR", help="variable that also holds the Runner; attach: the service")
@argument("--root", metavar="DIR", help="directory to package (default: the notebook's directory)")
@argument("--include", action="append", metavar="GLOB", help="ship these although a rule excludes them; repeatable")
@argument("--exclude", action="append", metavar="GLOB", help="leave these out of the package; repeatable")
@argument("--max-size", metavar="SIZE", help="limit of the package, unpacked, for example 200M")
@argument("--workers", metavar="N", help="number of worker processes of the embedded engine")
@argument("--local", dest="is_local", action="store_true", help="use the embedded engine, whatever is configured")
@argument("--cluster", dest="context", metavar="CTX", help="use this context of flame.yaml")
@argument("--deps", action="append", metavar="REQ", help="a package that workers need, such as numpy; repeatable")
@argument("--requirements", metavar="FILE", help="the packages that workers need, one a line")
@argument("--python", metavar="X.Y", help="the Python that workers must have")
@argument("--fail-if-exists", action="store_true", help="refuse to join an application of the same name")
@argument("--force", action="store_true", help="start again although a Runner is open")
@argument("--json", dest="as_json", action="store_true", help="status: print JSON, for scripts")
@argument("--dry-run", action="store_true", help="package: only list the files, and the rule that excluded each path")
@argument("--write", metavar="FILE", help="cells: write the module of exported cells to a file")
@argument("--drop", metavar="NAME", help="cells: export no more what defines NAME, or the module NAME")
@argument("--clear", action="store_true", help="cells: export nothing more")
@argument("--cancel", action="store_true", help="stop: cancel the calls that are still running")
@argument("--wait", dest="wait_s", metavar="S", help="stop: give running calls so many seconds first")
@argument("--timeout", dest="timeout_s", metavar="S", help="wait: give up after so many seconds")
@argument("--stop", dest="stops_first", action="store_true", help="use: stop the Runner although services are open")
@argument("--quiet", action="store_true", help="print nothing")
def runner_options(line: str) -> None:
    """Start, look at and stop this notebook's Runner.

    status, services, cells and contexts show what there is, logs what calls have printed, inspect one result.
    restart packages again and serves everything anew; attach binds an open service to a variable; wait waits for
    calls, and cancel ends them; use chooses the context of new Runners; doctor looks whether all is well here, and
    says what to do if not.
    """


@magic_arguments("flame_service")
@argument("target", nargs="?", metavar="TARGET", help="the function, class or variable that the cell defines")
@argument("--as", dest="bind_as", metavar="VAR", help="variable that holds the service (default: TARGET)")
@argument("--name", metavar="SVC", help="name of the service in displays and for attach (default: TARGET)")
@argument(
    "--instance", nargs="*", metavar="EXPR", help="serve this object (default: TARGET()), made after the cell ran"
)
@argument("--autoscale", action="store_true", help="any number of workers; of a class, one object in each")
@argument("--fixed", action="store_true", help="one worker")
@argument("--warmup", metavar="N", help="workers to start at once")
@argument("--resreq", metavar="SPEC", help="what one worker asks for, for example cpu=1,mem=2g,gpu=0")
@argument("--retries", metavar="N", help="how often to start a call again when its worker is lost (stateless only)")
@argument("--runner", metavar="NAME", help="the Runner to use: its name, or a variable that holds it")
@argument("--cluster", dest="context", metavar="CTX", help="the context of flame.yaml, when a Runner must be started")
@argument("--export", nargs="?", const="", metavar="MODULE", help="also ship the cell as a module that workers import")
@argument("--no-run", action="store_true", help="do not run the cell here and serve nothing: export it only")
@argument("--force", action="store_true", help="a new session although nothing changed")
@argument("--quiet", action="store_true", help="print nothing")
def service_options(line: str) -> None:
    """Run the cell, and serve what it defines on worker processes.

    The variable TARGET then holds the service; the original is TARGET.local. Calling the service of a class, as in
    Counter(10), makes a new object on a worker of its own.
    """


@magic_arguments("flame_export")
@argument("module", nargs="?", metavar="MODULE", help="module that workers import (default: notebook_cells)")
@argument("--quiet", action="store_true", help="print nothing")
def export_options(line: str) -> None:
    """Run the cell, and ship it with the package as a module that workers import.

    The comment '#| export MODULE' in the first line of a cell does the same. %flame_runner cells lists what is shipped.
    """
