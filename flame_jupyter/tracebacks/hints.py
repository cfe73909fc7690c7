# SPDX-License-Identifier: Apache-2.0
"""One line below an error of the user's own code, when it used a future as if it were the value. Pure."""

from __future__ import annotations

import re

_TAKEN_FOR_A_COROUTINE = re.compile(r"\ba coroutine was expected\b")
_TAKEN_FOR_A_VALUE = re.compile(r"\bObject(Future|Stream)\b")
_HINTS = {
    "Future": "Hint: a call gives a future. future.get() waits for its value; another call takes the future as it is.",
    "Coroutine": "Hint: asyncio.ensure_future(future) makes a task of it; 'await future' waits for its value.",
    "Stream": "Hint: a generator gives a stream. 'for part in stream' gives futures, and part.get() waits for a value.",
}


def hint_for(error: BaseException | None) -> str:
    """What to do about the error that ended a cell; "" when it is about something else."""
    if not isinstance(error, (TypeError, AttributeError, ValueError)):
        return ""
    found = _TAKEN_FOR_A_VALUE.search(str(error))
    if found is None:
        return ""
    return _HINTS["Coroutine" if _TAKEN_FOR_A_COROUTINE.search(str(error)) else found[1]]
