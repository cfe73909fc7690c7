# SPDX-License-Identifier: Apache-2.0
"""A snapshot as ``text/plain``: complete in words, for terminals, screen readers, diffs and stripped pages."""

from __future__ import annotations

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.formatting import clock_text, counted, duration_text, printed_text, size_text, tail
from flame_jupyter.display.model.snapshot import Snapshot

OUTPUT_CHARS = 4096
WORTH_TELLING_S = 0.3  # of imports: who waited for less has not noticed
TRACEBACK_CHARS = 4096
ALL_BUT = "The tracebacks of all but three are"


def plain(snapshot: Snapshot) -> str:
    """All that the HTML says, without icons."""
    parts = [f"{snapshot.summary} {ALL_BUT} left out: .get() shows one."] if snapshot.summary else []
    parts.append(f"{snapshot.call} #{snapshot.id}: {_lower_first(state_text(snapshot))}")
    if facts := facts_text(snapshot):
        parts.append(facts)
    if snapshot.preview is not None:
        parts += [part for part in (snapshot.preview.text, snapshot.preview.note) if part]
    if snapshot.problem is not None:
        parts.append(snapshot.problem.headline)
        if snapshot.problem.traceback_text and not snapshot.is_folded:
            parts += [
                "Traceback from the worker:",
                tail(snapshot.problem.traceback_text.strip("\n"), max_chars=TRACEBACK_CHARS),
            ]
    if (output := printed_text(snapshot.output)) and not snapshot.is_folded:
        parts += [f"Output, {counted(output.count(chr(10)) + 1, 'line')}:", tail(output, max_chars=OUTPUT_CHARS)]
    return "\n".join(parts)


def state_text(snapshot: Snapshot) -> str:
    """The state in words, with its time."""
    return snapshot.state.sentence.format(
        word=snapshot.word, elapsed=duration_text(snapshot.elapsed_s), clock=clock_text(snapshot.taken_s)
    )


def facts_text(snapshot: Snapshot) -> str:
    """Type, shape and size of the result, as far as they are known; and what took time before the call began."""
    facts = [snapshot.preview.summary] if snapshot.preview is not None and snapshot.preview.summary else []
    if snapshot.nbytes is not None and snapshot.state is not CallState.FETCHING:  # which says it in its word
        facts.append(size_text(snapshot.nbytes))
    if snapshot.state.is_terminal and snapshot.importing_s >= WORTH_TELLING_S:
        facts.append(f"importing took {duration_text(snapshot.importing_s)}")
    return ", ".join(facts)


def caption(snapshot: Snapshot) -> str:
    """The line above a live view. It may be read much later: of a pending call it tells when that was, and no state."""
    line = f"{snapshot.call} #{snapshot.id}, called at {clock_text(snapshot.created_s)}"
    if snapshot.state.is_terminal:
        return line
    return f"{line}; pending at {clock_text(snapshot.taken_s)}"


def label(snapshot: Snapshot) -> str:
    """The accessible name of a view."""
    return f"Flame call {snapshot.name} number {snapshot.id}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
