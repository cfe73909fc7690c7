# SPDX-License-Identifier: Apache-2.0
"""Which names a module uses and does not have: cells that were not exported. Pure."""

from __future__ import annotations

import ast


def undefined_names(source: str) -> tuple[str, ...]:
    """In order of appearance. Nothing without pyflakes, whose absence is no reason to refuse an export."""
    try:
        from pyflakes.checker import Checker
        from pyflakes.messages import UndefinedName
    except ImportError:
        return ()
    messages = sorted(Checker(ast.parse(source)).messages, key=lambda each: (each.lineno, each.col))
    return tuple(dict.fromkeys(str(each.message_args[0]) for each in messages if isinstance(each, UndefinedName)))
