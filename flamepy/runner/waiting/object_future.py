# SPDX-License-Identifier: Apache-2.0
"""What a call gives back at once: ObjectFuture, the caller's end of a Completion.

The engine completes; a future only looks, waits and decodes. The value is decoded anew in each ``get()``, so it is a
private copy. The methods are those of ``concurrent.futures.Future`` where they mean the same.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import logging
import time
import warnings
import weakref
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from flamepy.codec.pickling import decode, placeholder
from flamepy.core.cache import ObjectKey, ObjectRef
from flamepy.core.shown import short_repr
from flamepy.core.task import TaskState
from flamepy.engine.api import CancelResult, Engine
from flamepy.engine.completion import Completion, Outcome
from flamepy.errors import CallTimeout, FlameError, InvalidState, NotFound, RunnerClosed
from flamepy.runner.waiting.hooks import is_watched, waiting_for
from flamepy.runner.waiting.user_errors import error_of

if TYPE_CHECKING:
    from flamepy.runner.waiting.bridges import Standard

logger = logging.getLogger(__name__)

# Arguments of these types are shown in displays; others are not kept, because they may be big.
_SHOWN_TYPES = frozenset({int, float, bool, type(None), str, complex})
_SHOWN_STRING_CHARS = 200
_MAX_CALL_TEXT_CHARS = 60

_ENDED_BY_ENGINE = "the engine ends this future when its call has ended: cancel() is what its holder can do."

_STATE_WORDS = {
    TaskState.PENDING: "queued",
    TaskState.RUNNING: "running",
    TaskState.SUCCEED: "succeeded",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "cancelled",
}


class UnsavedStateWarning(UserWarning):
    """The state of a service works, but cannot be saved: it would be lost together with its worker.

    Told once for each service. Leave such values out of the state with ``__getstate__`` to have it saved.
    """


class WarningsShown:
    """What the futures of one service have told already, so that it is told once."""

    __slots__ = ("has_warned",)

    def __init__(self) -> None:
        self.has_warned = False


class ObjectFuture(concurrent.futures.Future[Any]):
    """The result of one call, now or later. Made by calling a service, never by hand.

    It is a ``concurrent.futures.Future``, so that ``concurrent.futures.wait`` and ``asyncio.wrap_future`` take it; in
    ``async`` code, ``await`` it. Given as an argument of another call it becomes the value, without waiting here.

    Example:
        >>> from flamepy import Runner
        >>> with Runner("docs") as runner:
        ...     total = runner.service(sum)
        ...     three = total([1, 2])
        ...     total([10], three).get()
        13
    """

    __slots__ = ("_arguments", "_completion", "_engine", "_ref", "_standard_", "_waits_for", "_warnings_shown", "id")

    _ids: ClassVar[itertools.count[int]] = itertools.count(1)  # next() on a count is atomic

    def __init__(
        self,
        engine: Engine,
        completion: Completion,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
        waits_for: Sequence[ObjectFuture] = (),
        warnings_shown: WarningsShown | None = None,
    ) -> None:
        # not the base's __init__, which would make a lock for each call: see _standard
        self.id = next(self._ids)
        self._engine = engine
        self._completion = completion
        self._arguments = _small_arguments(args, kwargs)
        # weak: a future must not keep the results alive that its call took as arguments
        self._waits_for: tuple[tuple[weakref.ref[Completion], int], ...] = ()
        if waits_for:
            self._waits_for = tuple((weakref.ref(each._completion), each.id) for each in waits_for)  # noqa: SLF001 - its own class
        self._ref: ObjectRef | None = None
        self._warnings_shown = warnings_shown

    # -- the value

    def get(self, timeout: float | None = None) -> Any:
        """Wait for the call and return its value, or raise its error.

        Args:
            timeout: Seconds; by default as long as it takes.

        Returns:
            The value: a copy of its own at each ``get``.

        Raises:
            TaskFailed: When the call raised; the error is of the type that the call raised as well.
            CallTimeout: When the call has not ended after ``timeout``; it goes on.
            CallCancelled: When it was cancelled.

        Example:
            >>> from flamepy import Runner
            >>> def number(text):
            ...     return int(text)
            >>> with Runner("docs") as runner:
            ...     future = runner.service(number)("four")
            ...     try:
            ...         future.get(timeout=60)
            ...     except ValueError as error:
            ...         print(error)
            invalid literal for int() with base 10: 'four'
        """
        __tracebackhide__ = True  # debuggers and pytest begin at the caller's line
        return self._value_of(self._finished(timeout))

    def result(self, timeout: float | None = None) -> Any:
        """The same as ``get``, under the name of ``concurrent.futures``.

        Args:
            timeout: Seconds; by default as long as it takes.
        """
        __tracebackhide__ = True
        return self._value_of(self._finished(timeout))

    def exception(self, timeout: float | None = None) -> FlameError | None:
        """Wait for the call and return its error.

        Args:
            timeout: Seconds; by default as long as it takes.

        Returns:
            What ``get`` would raise; None when the call gave a value.

        Raises:
            CallTimeout: When the call has not ended after ``timeout``; it goes on.
        """
        outcome = self._finished(timeout)
        return None if outcome.value is not None else error_of(outcome, self.name)

    def ref(self) -> ObjectRef:
        """Wait for the call and return where its value lies in the object cache.

        Returns:
            A reference: an argument for further calls, and for ``get_object``. It holds until the Runner closes.

        Raises:
            TaskFailed: Or another error of the call.
            RunnerClosed: When the Runner is closed, and its part of the cache is gone.

        Example:
            >>> from flamepy import Runner, get_object
            >>> with Runner("docs") as runner:
            ...     get_object(runner.service(sorted)("ba").ref())
            ['a', 'b']
        """
        outcome = self._finished(None)
        if outcome.value is None:
            raise error_of(outcome, self.name)
        if self._ref is None:
            try:
                application = self._engine.sessions.get(self.session_id).application
            except NotFound as error:
                raise RunnerClosed(
                    f"the Runner of {self.name} is closed and its part of the object cache is gone: "
                    "take the value with get(), or call ref() before the Runner closes."
                ) from error
            prefix = ObjectKey(application, self.session_id).to_prefix()
            self._ref = self._engine.objects.put_value(prefix, outcome.value)
        return self._ref

    def ask(self, function: Callable[..., Any], *arguments: Any) -> ObjectFuture:
        """Call ``function(value, *arguments)`` on a worker, so that a big value need not come here to be looked at.

        Args:
            function: What looks at the value; importable on the worker.
            arguments: Given to it behind the value.

        Returns:
            The future of its answer. It waits for this call, not for others.

        Raises:
            RunnerClosed: When the Runner is closed.
        """
        from flamepy.runner.waiting.remote_query import ask_where_it_is

        return QueryFuture(self._engine, ask_where_it_is(self._engine, self._completion, self, function, arguments))

    def spill(self) -> None:
        """Move a big value that will hardly be read soon from memory to disk: ``get()`` gives it as before."""
        value = None if self._completion.outcome is None else self._completion.outcome.value
        if value is not None:
            self._engine.objects.spill(value)

    # -- waiting and watching

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the call has ended, however it ended.

        Args:
            timeout: Seconds; by default as long as it takes.

        Returns:
            Has it ended? False when the time passed first.
        """
        completion = self._completion
        if completion.outcome is not None and not is_watched():
            return True
        with waiting_for((self,)):  # a front end hears of a wait for a call that has ended, too
            return completion.wait(timeout)

    def done(self) -> bool:
        """Has the call ended, with a value, an error or by cancel?"""
        return self._completion.outcome is not None

    def running(self) -> bool:
        """Does a worker run the call?"""
        return self._completion.outcome is None and self._completion.state is TaskState.RUNNING

    def cancelled(self) -> bool:
        """Has it been cancelled?"""
        return self._completion.state is TaskState.CANCELLED

    def cancel(self) -> bool:
        """Remove the call when it has not begun, interrupt it when it runs.

        Returns:
            Was it cancelled? False when it had already ended.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     future = runner.service(len)("four")
            ...     future.wait()
            ...     future.cancel()
            True
            False
        """
        if self._completion.outcome is not None:
            return False
        return self._engine.cancel(self._completion) is CancelResult.CANCELLED

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Have ``fn(future)`` called when the call has ended: at once, or in the engine's thread.

        Args:
            fn: Must not block. What it raises is logged, as ``concurrent.futures`` does.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     runner.service(len)("four").add_done_callback(lambda future: print(future.state))
            succeeded
        """
        call_back = _CallBack(self, fn)
        if getattr(fn, "__module__", "") == "asyncio.tasks":
            from flamepy.runner.waiting.bridges import called_in_its_loop

            call_back.call = called_in_its_loop(fn)
        self._completion.on_done(call_back)

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        """Do not call ``fn`` after all; ``asyncio.wait`` asks for it.

        Args:
            fn: What ``add_done_callback`` was given.

        Returns:
            How many times it would have been called.
        """
        return self._completion.remove_callbacks(_CallBack(self, fn))

    def as_concurrent(self) -> concurrent.futures.Future[Any]:
        """This call as a ``concurrent.futures.Future`` of no other kind, for what looks closer than ``isinstance``."""
        from flamepy.runner.waiting.bridges import ConcurrentFuture

        return ConcurrentFuture.of(self)

    def __await__(self) -> Generator[Any, None, Any]:
        """``await`` it: waits without blocking the event loop. Cancelling the awaiting task leaves the call running.

        Example:
            >>> import asyncio
            >>> from flamepy import Runner
            >>> async def count(words):
            ...     with Runner("docs") as runner:
            ...         return await runner.service(len)(words)
            >>> asyncio.run(count(["one", "three"]))
            2
        """
        from flamepy.runner.waiting.bridges import wait_in_loop

        with waiting_for((self,), is_blocking=False):
            yield from wait_in_loop(self._engine, self._completion).__await__()
        return self._value_of(self._finished(0))

    # -- what displays show

    @property
    def name(self) -> str:
        """The function, or ``Class.method``."""
        return self._completion.name

    @property
    def call_text(self) -> str:
        """The call as it was written, with its arguments when they are small plain values: ``Counter.add(3)``."""
        if self._arguments is None:
            return f"{self.name}(…)"
        args, kwargs = self._arguments
        shown = [short_repr(each) for each in args] + [f"{key}={short_repr(each)}" for key, each in kwargs]
        text = f"{self.name}({', '.join(shown)})"
        return text if len(text) <= _MAX_CALL_TEXT_CHARS else text[: _MAX_CALL_TEXT_CHARS - 2] + "…)"

    @property
    def state(self) -> str:
        """One of waiting (for arguments), queued, running, succeeded, failed, cancelled, lost (its value is gone)."""
        completion = self._completion
        outcome = completion.outcome
        if outcome is not None and isinstance(outcome.error, NotFound):
            return "lost"
        if completion.state is TaskState.PENDING:
            for reference, _ in self._waits_for:
                awaited = reference()
                if awaited is not None and awaited.outcome is None:
                    return "waiting"
        return _STATE_WORDS[completion.state]

    @property
    def created_s(self) -> float:
        """When the call was made, in seconds since the epoch."""
        return self._completion.created_s

    @property
    def started_s(self) -> float:
        """When a worker began the call, in seconds since the epoch; 0.0 = not yet."""
        return self._completion.started_s

    @property
    def finished_s(self) -> float:
        """When the call ended, in seconds since the epoch; 0.0 = not yet."""
        return self._completion.finished_s

    @property
    def output(self) -> str:
        """The last part of what the call has printed so far."""
        outcome = self._completion.outcome
        tail = self._engine.output(self._completion) if outcome is None else outcome.output
        return tail.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """The part of the output that went to ``sys.stderr``; empty until the call has ended."""
        outcome = self._completion.outcome
        return "" if outcome is None else outcome.errors.decode(errors="replace")

    @property
    def importing_s(self) -> float:
        """How long its worker imported modules before the call could begin, in seconds; a part of ``elapsed_s``."""
        outcome = self._completion.outcome
        return 0.0 if outcome is None else outcome.importing_s

    @property
    def nbytes(self) -> int | None:
        """The size of the encoded value; None until there is one."""
        outcome = self._completion.outcome
        return None if outcome is None or outcome.value is None else outcome.value.nbytes

    @property
    def session_id(self) -> str:
        """The session of its service."""
        return self._completion.session_id

    @property
    def task_id(self) -> str:
        """The call's own name within its session."""
        return self._completion.task_id

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The calls whose results this one takes as arguments and that have not ended: ``("load #2", "train #5")``."""
        awaited = ((reference(), number) for reference, number in self._waits_for)
        return tuple(f"{each.name} #{number}" for each, number in awaited if each is not None and each.outcome is None)

    @property
    def ran_s(self) -> float | None:
        """How long the call ran, in seconds, as its worker measured it; None until it has ended, and when it never ran.

        It is less than the time between ``started_s`` and ``finished_s`` when this process was stopped meanwhile.
        """
        outcome = self._completion.outcome
        return None if outcome is None else outcome.duration_s or None

    @property
    def elapsed_s(self) -> float:
        """How long the call has run, or ran, or has been waiting for a worker."""
        if self.ran_s is not None:
            return self.ran_s
        began = self.started_s or self.created_s
        return max((self.finished_s or time.time()) - began, 0.0)

    def __repr__(self) -> str:
        return f"<ObjectFuture {self.name} #{self.id} {self.state} {self.elapsed_s:.1f}s>"

    # -- what the functions of concurrent.futures look at, where a plain attribute is expected

    def _standard(self) -> Standard:
        """A plain future that ends with this one: made when it is asked for, because most are not."""
        standard: Standard | None = getattr(self, "_standard_", None)
        if standard is None:
            from flamepy.runner.waiting.bridges import Standard

            standard = self._standard_ = Standard(self._completion)
        return standard

    if not TYPE_CHECKING:  # for whom they are the attributes of the base

        @property
        def _condition(self):
            return self._standard().seen()[0]

        @property
        def _state(self):
            return self._standard().seen()[1]

        @property
        def _waiters(self):
            return self._standard().waiters_for(self)

    def set_running_or_notify_cancel(self) -> bool:
        raise InvalidState(_ENDED_BY_ENGINE)

    def set_result(self, result: Any) -> NoReturn:
        raise InvalidState(_ENDED_BY_ENGINE)

    def set_exception(self, exception: BaseException | None) -> NoReturn:
        raise InvalidState(_ENDED_BY_ENGINE)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("set_")]

    def __reduce__(self) -> tuple[Any, ...]:
        """As an argument of a call: a dependency that the engine resolves. Elsewhere: a name, bound again on load."""
        as_argument = placeholder(self)
        if as_argument is not None:
            return as_argument
        self._engine.pin(self._completion)
        return _found, (self.session_id, self.task_id, self._engine.objects.endpoint)

    # -- inside

    @property
    def completion(self) -> Completion:
        """The engine's end, for the runner layer."""
        return self._completion

    def belongs_to(self, engine: Engine) -> bool:
        return self._engine is engine

    def _finished(self, timeout_s: float | None) -> Outcome:
        outcome = self._completion.outcome
        if outcome is None or is_watched():
            if not self.wait(timeout_s):
                self._give_up(timeout_s)
            outcome = self._completion.outcome
            assert outcome is not None
        return outcome

    def _give_up(self, timeout_s: float | None) -> NoReturn:
        raise CallTimeout(
            f"{self.name} #{self.id} is {self.state} and has no result after {timeout_s} s of waiting. "
            "It goes on: wait longer, or end it with cancel()."
        )

    def _value_of(self, outcome: Outcome) -> Any:
        __tracebackhide__ = True
        if outcome.value is None:
            raise error_of(outcome, self.name)
        if outcome.warning:
            self._warn(outcome.warning)
        payload = outcome.value.payload()
        try:
            return decode(payload)
        except (KeyboardInterrupt, MemoryError):  # of this process
            raise
        except BaseException as error:
            from flamepy.codec.reading import unreadable_here  # only where something failed

            raise unreadable_here(f"the result of {self.name} #{self.id}", error) from error

    def _warn(self, text: str) -> None:
        """Once per service: each of its calls carries the warning, because it is not known which future is read."""
        warnings_shown = self._warnings_shown
        if warnings_shown is not None:
            if warnings_shown.has_warned:
                return
            warnings_shown.has_warned = True
        warnings.warn(f"{self.name}: {text}", UnsavedStateWarning, stacklevel=4)


class _CallBack:
    """``fn`` with its future. Two of the same are equal, so that one can be found again."""

    __slots__ = ("_fn", "_future", "call")

    def __init__(self, future: ObjectFuture, fn: Callable[[Any], object]) -> None:
        self._future = future
        self._fn = self.call = fn

    def __call__(self) -> None:
        try:
            self.call(self._future)
        except (Exception, SystemExit):  # SystemExit, because it would end the engine's thread
            logger.exception("done callback failed future=%r callback=%r", self._future, self._fn)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _CallBack) and self._future is other._future and self._fn == other._fn

    __hash__ = None  # type: ignore[assignment]


class QueryFuture(ObjectFuture):
    """The future of a question: numbered apart from the calls that a user makes."""

    __slots__ = ()

    _ids: ClassVar[itertools.count[int]] = itertools.count(1)


def _small_arguments(
    args: tuple[object, ...], kwargs: dict[str, object] | None
) -> tuple[tuple[object, ...], tuple[tuple[str, object], ...]] | None:
    """The arguments, when all of them are small plain values; None otherwise."""
    for each in args if not kwargs else (*args, *kwargs.values()):
        if type(each) not in _SHOWN_TYPES or (type(each) is str and len(each) > _SHOWN_STRING_CHARS):
            return None
    return args, tuple(kwargs.items()) if kwargs else ()


def _found(session_id: str, task_id: str, endpoint: str) -> ObjectFuture:
    """A future that travelled: find its call in the engine that has it."""
    from flamepy.engine.current import engine_at

    engine = engine_at(endpoint)
    return ObjectFuture(engine, engine.task(session_id, task_id))
