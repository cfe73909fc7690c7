# SPDX-License-Identifier: Apache-2.0
"""A result as a line of code that fetches it: what "Copy reference" puts into the clipboard.

The value gets a key in the object cache and stays there until its Runner closes, so only when the user asks.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

from flame_jupyter.display.model.snapshot import FutureLike


def reference_text(future: FutureLike) -> str:
    """For another cell, another notebook of the same engine, or a call. Raises RunnerClosed."""
    return f"import flamepy; flamepy.get_object(flamepy.{future.ref()!r})"


def start_reference(future: FutureLike, on_ready: Callable[[str, str], object]) -> None:
    """Make the reference in a thread, where a cluster may take its time; there ``on_ready`` gets it, or the problem."""

    def make() -> None:
        try:
            text = reference_text(future)
        except ReferenceError:  # a display does not keep the value
            on_ready("", "No reference: the notebook has let go of this result. Give the future a name to keep it.")
        except Exception as error:  # noqa: BLE001 - told to the person who has asked, who can mend it
            on_ready("", f"No reference: {error}")
        else:
            on_ready(text, "")

    run = contextvars.Context().run
    threading.Thread(target=run, args=(make,), name="flame-jupyter-reference", daemon=True).start()
