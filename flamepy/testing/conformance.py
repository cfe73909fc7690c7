# SPDX-License-Identifier: Apache-2.0
"""Whether an engine keeps the rules of all engines: for who writes one."""

from __future__ import annotations

import pickle
from collections.abc import Callable

from flamepy.codec.payload import Payload
from flamepy.core.session import SessionState
from flamepy.core.task import TaskState
from flamepy.engine.api import Call, CancelResult, Engine, SessionSpec
from flamepy.engine.current import use_engine
from flamepy.errors import (
    AlreadyExists,
    DependencyFailed,
    FlameError,
    InvalidArgument,
    InvalidState,
    NotFound,
    TaskFailed,
)
from flamepy.runner.runner import Runner
from flamepy.testing import sample_calls

_BOUND_S = 60.0  # an engine that takes longer for a call of microseconds has lost it


class BrokenRule(AssertionError):
    """An engine does not keep a rule: the message is the engine and the rule. Raised by ``check_engine``."""


def check_engine(make: Callable[[], Engine]) -> list[str]:
    """Try every rule of engines, each on an engine of its own.

    Args:
        make: Makes an engine; it is closed here.

    Returns:
        The rules, all of them kept.

    Raises:
        BrokenRule: At the first one that is broken, with what happened as its cause.

    Example:
        >>> from flamepy.testing import InlineEngine, check_engine
        >>> check_engine(InlineEngine)[0]
        'a call gives its value'
    """
    for rule, check in _RULES.items():
        engine = make()
        try:
            with use_engine(engine):
                check(engine)
        except Exception as error:
            raise BrokenRule(f"{engine.info.kind}: {rule}") from error
        finally:
            engine.close()
        if engine.is_alive:
            raise BrokenRule(f"{engine.info.kind}: a closed engine is not alive")
    return list(_RULES)


def _raises(kind: type[FlameError], action: Callable[[], object], words: str = "") -> FlameError:
    raised = None
    try:
        action()
    except kind as error:
        raised = error
    assert raised is not None, f"no {kind.__name__} was raised"
    assert words in str(raised), f"the message lacks {words!r}: {raised}"
    return raised


def _gives_its_value(_: Engine) -> None:
    with Runner("conformance") as runner:
        echo = runner.service(sample_calls.echo)
        assert echo({"a": [1, 2]}).get(_BOUND_S) == {"a": [1, 2]}
        big = bytes(range(256)) * 4096
        assert echo(big).get(_BOUND_S) == big


def _raises_its_error(_: Engine) -> None:
    with Runner("conformance") as runner:
        future = runner.service(sample_calls.fail)("no root")
        error = _raises(TaskFailed, lambda: future.get(_BOUND_S), "no root")
        assert isinstance(error, ValueError)
        assert future.state == "failed"


def _takes_results_as_arguments(_: Engine) -> None:
    with Runner("conformance") as runner:
        add, fail = runner.service(sample_calls.add), runner.service(sample_calls.fail)
        total = add(1, 2)
        for _step in range(5):
            total = add(total, 1)
        assert total.get(_BOUND_S) == 8
        _raises(DependencyFailed, lambda: add(fail("first"), 1).get(_BOUND_S), "first")
        assert add(runner.put_object(40), 2).get(_BOUND_S) == 42


def _keeps_state_in_order(_: Engine) -> None:
    with Runner("conformance") as runner:
        counter = runner.service(sample_calls.Counter)
        futures = [counter.add(number) for number in range(1, 6)]
        assert [each.get(_BOUND_S) for each in futures] == [1, 3, 6, 10, 15]
        _raises(TaskFailed, lambda: counter.add_and_fail(100).get(_BOUND_S))
        assert counter.add(1).get(_BOUND_S) == 16


def _streams(_: Engine) -> None:
    with Runner("conformance") as runner:
        assert [each.get(_BOUND_S) for each in runner.service(sample_calls.count_to)(3)] == [0, 1, 2]
        assert [each.get(_BOUND_S) for each in runner.service(sample_calls.Counter()).up_to(2)] == [1, 2]


def _names_what_is_not_there(engine: Engine) -> None:
    _raises(NotFound, lambda: engine.sessions.get("nowhere"), "not found")
    _raises(NotFound, lambda: engine.sessions.open("nowhere", None), "not found")
    _raises(NotFound, lambda: engine.submit("nowhere", Call(Payload(b""))), "not found")
    _raises(NotFound, lambda: engine.applications.unregister("nowhere"), "not found")
    _raises(NotFound, lambda: engine.sessions.create("s", SessionSpec("nowhere")), "not found")
    assert engine.applications.get("nowhere") is None


def _closed_sessions_take_no_calls(engine: Engine) -> None:
    with Runner("conformance") as runner:
        runner.service(sample_calls.echo)
        (session_id,) = [each.session_id for each in runner.services()]
        _raises(AlreadyExists, lambda: engine.sessions.create(session_id, SessionSpec(runner.application)))
        assert engine.sessions.close(session_id).state is SessionState.CLOSED
        assert engine.sessions.close(session_id).state is SessionState.CLOSED
        _raises(InvalidArgument, lambda: engine.submit(session_id, Call(Payload(b""))), "is not open")
        _raises(InvalidArgument, lambda: engine.sessions.open(session_id, None), "is not open")
        _raises(InvalidState, lambda: engine.sessions.create_like(session_id, "other"), "is not open")


def _tells_of_tasks(engine: Engine) -> None:
    with Runner("conformance") as runner:
        future = runner.service(sample_calls.echo)(1)
        *_, last = engine.watch(future.session_id, future.task_id)
        assert last.state is TaskState.SUCCEED
        assert future.get(_BOUND_S) == 1
        engine.pin(future.completion)
        view = engine.sessions.get(future.session_id)
        assert (view.pending, view.running, view.succeed) == (0, 0, 1)
        assert engine.cancel(engine.task(future.session_id, future.task_id)) is CancelResult.ENDED


def _finds_pinned_calls(_: Engine) -> None:
    with Runner("conformance") as runner:
        future = runner.service(sample_calls.echo)("kept")
        data = pickle.dumps(future)
        assert pickle.loads(data).get(_BOUND_S) == "kept"


def _undoes_what_runners_opened(engine: Engine) -> None:
    before = {each.name for each in engine.applications.list()}
    with Runner("conformance") as runner:
        service = runner.service(sample_calls.echo)
        service(1).get(_BOUND_S)
        assert runner.application in {each.name for each in engine.applications.list()}
    assert {each.name for each in engine.applications.list()} == before


def _stores_objects_with_versions(engine: Engine) -> None:
    ref = engine.objects.put("app/s", Payload(b"one"))
    assert ref.version == 1
    assert bytes(engine.objects.get(ref).base.payload().data) == b"one"
    assert engine.objects.patch(ref, Payload(b"two")).version == 2
    stored = engine.objects.get(ref)
    assert (stored.version, [bytes(each.payload().data) for each in stored.patches]) == (2, [b"two"])
    engine.objects.delete("app/*")
    _raises(NotFound, lambda: engine.objects.get(ref), "not found")
    _raises(InvalidArgument, lambda: engine.objects.put("no key", Payload(b"")))


_RULES: dict[str, Callable[[Engine], None]] = {
    "a call gives its value": _gives_its_value,
    "a call raises the error of its code": _raises_its_error,
    "a call takes results of others as arguments, and their failures": _takes_results_as_arguments,
    "an object keeps its state, in the order of calls, without what failed calls did": _keeps_state_in_order,
    "a generator gives its parts": _streams,
    "what is not there is NotFound": _names_what_is_not_there,
    "a closed session takes no calls": _closed_sessions_take_no_calls,
    "tasks are told of, and watching one ends": _tells_of_tasks,
    "a future that was pickled is found again": _finds_pinned_calls,
    "a Runner undoes what it has opened": _undoes_what_runners_opened,
    "objects have versions and patches": _stores_objects_with_versions,
}
