# SPDX-License-Identifier: Apache-2.0
"""A service that takes much data along: said, because its author hardly meant to send it with the code. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from flame_jupyter.wording import size_text

HEAVY_BYTES = 10 * 1024 * 1024
_NAMED = 3


class HeavyServiceWarning(UserWarning):
    """The functions of a service refer to big data of the notebook, which is sent with them."""


def heavy_text(variable: str, data: Mapping[str, int]) -> str:
    """The warning, "" when it is not heavy. data: name -> bytes."""
    total = sum(data.values())
    if total <= HEAVY_BYTES:
        return ""
    biggest = sorted(data.items(), key=lambda each: -each[1])[:_NAMED]
    shown = ", ".join(f"{name!r} ({size_text(nbytes)})" for name, nbytes in biggest)
    return (
        f"{variable} takes {size_text(total)} of data along to every worker that runs it: {shown}. Give it as an "
        f"argument instead; sent once for many calls with: r = %flame_runner start; ref = r.put_object({biggest[0][0]})"
    )
