# SPDX-License-Identifier: Apache-2.0
"""The calls that the variables of the notebook hold: ``%flame_runner wait`` waits for them, ``logs`` shows output.

Variables are named by the user; without a name, all that the notebook holds are meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from flame_jupyter.service.handle import ServiceHandle, record_of
from flame_jupyter.service.remote_handle import TravelledHandle, service_behind
from flame_jupyter.tracebacks.collect import failures_of
from flame_jupyter.wording import close_matches

if TYPE_CHECKING:
    from flamepy import ObjectFuture

_MAX_DEPTH = 4  # of lists in lists that hold futures


def futures_in(values: Iterable[object]) -> list[ObjectFuture]:
    """The futures among ``values`` and in lists, tuples, sets and dicts of them; each once."""
    from flamepy import ObjectFuture

    found: dict[int, ObjectFuture] = {}

    def look(value: Any, depth: int) -> None:
        if isinstance(value, ObjectFuture):
            found[id(value)] = value
        elif depth < _MAX_DEPTH and isinstance(value, Mapping):
            for each in list(value.values()):
                look(each, depth + 1)
        elif depth < _MAX_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
            for each in list(value):
                look(each, depth + 1)

    for each in values:
        look(each, 0)
    return list(found.values())


def holders_of_futures(variables: Mapping[str, object]) -> list[str]:
    """The variables that hold futures, or collections of them; those of IPython itself left out."""
    return [name for name, value in _own(variables) if futures_in([value])]


def holders_of_output(variables: Mapping[str, object]) -> list[str]:
    """The variables whose logs can be shown: futures, collections of them, services."""
    return [name for name, value in _own(variables) if _session_of(value) is not None or futures_in([value])]


def named(variables: Mapping[str, object], names: Sequence[str], known: Iterable[str]) -> list[object]:
    """The values of these variables. Raises UsageError with the name that was probably meant."""
    for name in names:
        if name not in variables:
            close = close_matches(name, known)
            hint = f"Did you mean {close[0]!r}?" if close else "Name variables that hold futures or lists of futures."
            raise UsageError(f"{name!r} is not defined. {hint}")
    return [variables[name] for name in names]


def meant(
    variables: Mapping[str, object], names: Sequence[str], unfinished: Callable[[], Sequence[ObjectFuture]]
) -> list[ObjectFuture]:
    """The futures that the named variables hold; without names, all that any variable holds, and ``unfinished``.

    Raises UsageError.
    """
    held = named(variables, names, holders_of_futures(variables)) if names else list(variables.values())
    futures = futures_in(held)
    if not names:
        known = {(each.session_id, each.task_id) for each in futures}
        return futures + [each for each in unfinished() if (each.session_id, each.task_id) not in known]
    if not futures:
        raise UsageError(f"{', '.join(names)}: no future is in there. Name variables that hold futures.")
    return futures


def wait_for(futures: Sequence[ObjectFuture], timeout_s: float | None, *, progress: bool) -> None:
    """Return when all have ended, however they ended. Raises UsageError when ``timeout_s`` passes first."""
    from flamepy.front_ends import wait_for_all

    if not wait_for_all(futures, timeout_s, progress=progress):
        out = sum(not future.done() for future in futures)
        raise UsageError(
            f"{out} of {len(futures)} calls have not ended after {timeout_s:g} s. They go on: wait again, "
            "or end them with %flame_runner cancel."
        )


def cancel_all(futures: Sequence[ObjectFuture]) -> str:
    """Cancel those that have not ended; returns what to print."""
    running = [each for each in futures if not each.done()]
    if not running:
        return "Flame: there are no calls to cancel."
    stopped = sum([each.cancel() for each in running])
    left = sum(not each.done() for each in running) if stopped < len(running) else 0
    cannot = f"; {left} cannot be stopped" if left else ""
    return f"Flame: cancelled {stopped} call{'' if stopped == 1 else 's'}{cannot}."


def the_one(variables: Mapping[str, object], name: str) -> ObjectFuture:
    """The future that the named variable holds. Raises UsageError when it holds none, or many."""
    futures = meant(variables, [name], list)
    if len(futures) > 1:
        raise UsageError(
            f"{name} holds {len(futures)} futures: name a variable that holds one, or call "
            f"flame_jupyter.inspect(...) with one of them."
        )
    return futures[0]


def kinds_text(futures: Sequence[ObjectFuture]) -> str:
    """What the view of the wait does not tell, which names the first failure: the kinds, when there are several."""
    failures = failures_of(futures)
    return f"Failed: {failures}." if failures.count("(first: ") > 1 else ""


def ended_text(futures: Sequence[ObjectFuture]) -> str:
    if not futures:
        return "Flame: there are no calls to wait for."
    states = [each.state for each in futures]
    shown = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    text = f"Flame: {len(futures)} call{'' if len(futures) == 1 else 's'} ended: {', '.join(shown)}."
    failures = failures_of(futures)
    return f"{text}\nFailed: {failures}." if failures else text


def logs_text(variables: Mapping[str, object], names: Sequence[str], limit_chars: int) -> str:
    """What the calls have printed, oldest first, at most the last ``limit_chars`` of it. Raises UsageError.

    Of a service: what its calls have printed that the notebook still holds a future of.
    """
    futures = sorted(_with_output(variables, names), key=lambda each: each.id)
    blocks = [f"--- {each.call_text} #{each.id} {each.state}\n{output}" for each in futures if (output := each.output)]
    if not blocks:
        whose = " and ".join(names) if names else "any call"
        return f"Flame: no output of {whose}. It is kept as long as a variable holds the future of the call."
    text = "\n".join(each.rstrip("\n") for each in blocks)
    left_out = len(text) - limit_chars
    return text if left_out <= 0 else f"... {left_out} earlier characters left out\n{text[left_out:]}"


def _with_output(variables: Mapping[str, object], names: Sequence[str]) -> Iterator[ObjectFuture]:
    everything = futures_in(variables.values())
    if not names:
        yield from everything
        return
    for name, value in zip(names, named(variables, names, holders_of_output(variables)), strict=True):
        if (session_id := _session_of(value)) is not None:
            yield from (each for each in everything if each.session_id == session_id)
        elif found := futures_in([value]):
            yield from found
        else:
            raise UsageError(f"{name} is no future and no service: logs shows what calls have printed.")


def _session_of(value: object) -> str | None:
    """The session of a service, "" before it is opened; None of anything else."""
    from flamepy.front_ends import view_of
    from flamepy.runner import RunnerService

    if isinstance(value, ServiceHandle):
        return record_of(value).session_id
    if isinstance(value, TravelledHandle):  # the result of a call
        value = service_behind(value)
    return view_of(value).session_id if isinstance(value, RunnerService) else None


def _own(variables: Mapping[str, object]) -> list[tuple[str, object]]:
    return [(name, value) for name, value in list(variables.items()) if not name.startswith("_") and name != "Out"]
