# SPDX-License-Identifier: Apache-2.0
"""Asks the Jupyter server which notebook this kernel belongs to: it knows of renames, the environment does not."""

from __future__ import annotations

import threading

ASK_S = 1.0  # a server that has hung must not hold up a cell


def path_from_server(within_s: float = ASK_S) -> str | None:
    """The notebook's path, through ipynbname where that is installed; None without it, or without an answer in time."""
    try:
        import ipynbname
    except ImportError:  # an optional library: without it, a renamed notebook is known by its old name
        return None
    answers: list[str] = []

    def ask() -> None:
        try:
            answers.append(str(ipynbname.path()))
        except Exception:  # noqa: BLE001 - it raises whatever its many sources raise, IndexError among others
            return

    thread = threading.Thread(target=ask, name="flame-notebook-path", daemon=True)
    thread.start()
    thread.join(within_s)
    return answers[0] if answers else None
