# SPDX-License-Identifier: Apache-2.0
"""What the output of one call shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.formatting import counted, head, printed_text, tail
from flame_jupyter.display.model.snapshot import Snapshot
from flame_jupyter.display.render import html, text
from flame_jupyter.display.render.bundles import Bundle, bundle
from flame_jupyter.display.views.content import CANCELLING, Button, Content

LOG_CHARS = 4096
HEADLINE_CHARS = 1000
HINT = (
    "Stop this call. While a cell is running this may take effect only when the cell ends: "
    "use the notebook's stop button to interrupt the cell."
)


@dataclass(frozen=True)
class CallContent(Content):
    """is_cancelling: it was asked to stop. can_copy: its live form stays, and offers a reference to the result."""

    snapshot: Snapshot
    is_final: bool = False
    is_cancelling: bool = False
    can_copy: bool = False

    @property
    def is_end(self) -> bool:
        return not self.snapshot.state.is_pending

    @property
    def chars(self) -> int:
        return len(self.parts)

    @property
    def parts(self) -> str:
        """Below the line of the state, once all of it is there."""
        return html.parts(self.snapshot) if self.is_final else ""

    def whole(self, *, has_html: bool = True) -> Bundle:
        return bundle(text.plain(self.snapshot), html.card(self.snapshot) if has_html else "")

    def caption(self) -> Bundle:
        return bundle(text.caption(self.snapshot), html.caption(self.snapshot))

    def body(self) -> Bundle:
        return bundle(text.plain(self.snapshot), html.body(self.snapshot))

    @property
    def buttons(self) -> tuple[Button, ...]:
        label = text.label(self.snapshot)
        if self.snapshot.state.is_pending:
            words = CANCELLING if self.is_cancelling else "Cancel"
            return (Button("cancel", words, HINT, not self.is_cancelling, pressed=CANCELLING, about=label),)
        if self.can_copy and self.snapshot.state is CallState.SUCCEEDED:
            return (Button("reference", "Copy reference", copies=self.snapshot.reference, about=f"of {label}"),)
        return ()

    def traits(self) -> dict[str, object]:
        log, log_title = log_of(self.snapshot)
        return {"view": view_of(self), "log": log, "log_title": log_title, "body": self.parts}

    def gone(self, now_s: float) -> CallContent:
        return replace(self, snapshot=self.snapshot.gone(), is_final=True)

    def changes(self, *, is_live: bool) -> object:
        shot = self.snapshot
        passed_s = None if is_live or self.is_end else int(shot.elapsed_s)
        told = (shot.state, shot.output, shot.waits_for, shot.summary, shot.reference)
        return (*told, self.is_final, self.is_cancelling, passed_s)


def view_of(content: CallContent) -> dict[str, object]:
    """Plain data for the script. ``since`` and ``now`` are the kernel's clock; the script knows its own."""
    snapshot = content.snapshot
    return {
        "state": snapshot.state.engine_name,
        "icon": snapshot.state.icon,
        "word": snapshot.word,
        "tone": snapshot.state.tone,
        "label": text.label(snapshot),
        "ticks": snapshot.state.is_pending,
        "since": snapshot.since_s,
        "now": snapshot.taken_s,
        "time": text.state_text(snapshot).removeprefix(snapshot.word).strip(" ,")
        if not snapshot.state.is_pending
        else "",
        "value": html.short_value(snapshot),
        "facts": text.facts_text(snapshot),
        "error": head(snapshot.problem.headline, max_chars=HEADLINE_CHARS) if snapshot.problem else "",
        "buttons": [asdict(button) for button in content.buttons],
    }


def log_of(snapshot: Snapshot) -> tuple[str, str]:
    """The tail of the output and its title."""
    printed = printed_text(snapshot.output)
    title = f"Output, {counted(printed.count(chr(10)) + 1, 'line')}" if printed else ""
    return tail(printed, max_chars=LOG_CHARS), title
