# SPDX-License-Identifier: Apache-2.0
"""Calls that a module makes while a worker imports it: they would have no end."""

from __future__ import annotations

import sys
from types import FrameType

from flamepy.errors import InvalidState


def refuse_in_import() -> None:
    """Raises InvalidState when this thread is importing a module.

    A module that makes calls while it is imported would make them again in each worker that needs it.
    """
    frame: FrameType | None = sys._getframe()
    module = None
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>":
            module = frame.f_globals.get("__name__")
        elif module is not None and code.co_filename.startswith("<frozen importlib"):
            raise InvalidState(
                f"the module {module} makes calls while it is imported, and each worker that needs it would make them "
                "again. Put them below 'if __name__ == \"__main__\":', or into a function."
            )
        frame = frame.f_back
