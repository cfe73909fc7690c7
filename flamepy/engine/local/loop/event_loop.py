# SPDX-License-Identifier: Apache-2.0
"""The event loop: the one writer of tasks, sessions and workers.

Every thread leaves its commands in the inbox. The leader (leader_followers.py: the engine's thread, or a thread that
waits for a result) sleeps in one poll on the result pipe (reports and deaths of workers, wake-ups), the zygote and
the uplink.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import cast

from flamepy.cache.budget import SegmentBudget
from flamepy.cache.memfd_pool import memfd_pool
from flamepy.clock import monotonic_s
from flamepy.engine.completion import INTERRUPT_CHECK_S, Completion, look_up_at
from flamepy.engine.local.fast_parts import FastParts
from flamepy.engine.local.loop.completions import Completions
from flamepy.engine.local.loop.containment import Containment, as_engine_failure
from flamepy.engine.local.loop.dispatcher import Dispatcher
from flamepy.engine.local.loop.leader_followers import (
    EngineThreadLeads,
    HeldBackInterrupt,
    LeaderFollowers,
    may_be_leader,
)
from flamepy.engine.local.loop.question import Answer, Question
from flamepy.engine.local.loop.reports import Reports, ResultReader
from flamepy.engine.local.records import CallRecord
from flamepy.engine.local.workers.pool import Pool
from flamepy.engine.local.workers.startup import StartupResources
from flamepy.engine.uplink.host import UplinkHost
from flamepy.errors import FlameError, InvalidState
from flamepy.protocol import frames

logger = logging.getLogger(__name__)

SHUT_DOWN = "flamepy was shut down, and all Runners and services with it: create the Runner again."
_BURST_CALLS = 64  # calls for busy workers that are accepted together


class Loop:
    """Starts the thread. ``post`` and ``ask`` are for any thread; the rest is the thread's own."""

    def __init__(
        self, startup: StartupResources, *, limit: int, uplink: UplinkHost, budget: SegmentBudget, parts: FastParts
    ) -> None:
        self._startup = startup
        self._results_read, self._results_write = startup.results_read, startup.results_write
        self.pool = Pool(startup, limit=limit, uplink=uplink, reuses_memory=parts.reuses_memory)
        completions = Completions(self.pool, self._call_back_later)
        self._contain = Containment(self.pool, completions)
        self.dispatcher = Dispatcher(self.pool, budget, completions, self._contain, ahead_s=parts.ahead_s)
        self._reports = Reports(self.pool, budget, completions, self.dispatcher, self._contain)
        self._results = ResultReader(
            self._results_read, self._reports, self.pool, self._contain, give_up=self._give_up, post=self._post_again
        )
        self._inbox: deque[CallRecord | Callable[[], object]] = deque()  # calls to accept, and other commands
        self._is_asleep = False
        self._is_stopping = False
        self.has_ended = False  # then the inbox is not read any more
        self.failure: FlameError | None = None  # why it has ended, when that was not asked for
        self._is_hot = False  # did the last events come soon?
        self._poller = select.poll()
        self._poller.register(self._results_read, select.POLLIN)
        self._poller.register(self.pool.zygote_fileno(), select.POLLIN)
        self._poller.register(uplink, select.POLLIN)
        self._uplink = uplink
        self.leaders = LeaderFollowers(self.wake) if parts.has_waiters_lead else EngineThreadLeads(self.wake)
        self._leading = _Leading(self)
        self._callbacks: deque[Callable[[], object]] = deque()  # of others, to be run by the engine's thread
        self._reuses_memory = parts.reuses_memory
        if self._reuses_memory:
            memfd_pool.add_owner(self._look_up)
        self._thread = threading.Thread(target=self._run, name="flame-engine", daemon=True)
        self._thread.start()

    # --- from any thread -------------------------------------------------------------------------------------------

    def post(self, command: Callable[[], object]) -> None:
        """Have the engine's thread run ``command``. Appending is one step: an interrupt loses nothing."""
        self._inbox.append(command)
        if self._is_asleep:
            self.wake()

    def _look_up(self) -> None:
        """Memory is kept: have its deadline seen. Called by the garbage collector too, so it takes no lock."""
        if self._is_asleep:
            self.wake()

    def wake(self) -> None:
        """Have the leader look into the inbox."""
        self._is_asleep = False
        os.write(self._results_write, frames.WAKE_FRAME)

    def submit(self, record: CallRecord) -> None:
        """Have a call accepted: here and now when a worker could begin it, else soon, together with others."""
        self._inbox.append(record)
        if self._is_asleep:
            self.wake()
        elif self.dispatcher.has_free_capacity or len(self._inbox) >= _BURST_CALLS or record.is_at_front():
            # the leader may have to wait for the interpreter lock longer than the workers have work
            self._step(self.leaders.take_over_soon)

    def step(self) -> None:
        """Handle the inbox here and now, when this thread can become the leader: saves a change of thread."""
        self._step(self.leaders.take_for_a_step)

    def _step(self, take: Callable[[], bool]) -> None:
        if may_be_leader(for_a_step=True):
            with HeldBackInterrupt(self.wake):  # before the leader lock is taken: an interrupt must not leave with it
                if take():
                    with self._leading:
                        self._handle_inbox()

    def wait(self, completion: Completion, timeout_s: float | None) -> bool:
        """Wait until the call has ended, running iterations in this thread where it may lead.

        False when ``timeout_s`` passed first. Raises what an interrupt raises.
        """
        deadline_s = None if timeout_s is None else monotonic_s() + timeout_s
        is_engine = threading.get_ident() == self._thread.ident  # a callback waits
        while completion.outcome is None:
            if may_be_leader():
                with HeldBackInterrupt(self.wake) as interrupt:  # before the leader lock is taken, see step
                    if self.leaders.take_to_wait(is_engine=is_engine):
                        # callbacks are the engine's thread's to run: give way to it
                        self._lead_until(
                            lambda: (
                                completion.outcome is not None
                                or interrupt.is_pending
                                or (bool(self._callbacks) and not is_engine and not self.leaders.engine_is_away)
                            ),
                            deadline_s,
                        )
                if completion.outcome is not None:
                    break
            if deadline_s is not None and monotonic_s() >= deadline_s:
                return False
            self._follow(completion, look_up_at(deadline_s))
        return True

    def _follow(self, completion: Completion, until_s: float) -> None:
        """Wait for the leader's iterations, for a moment: the leader may stop to."""
        me = threading.get_ident()
        self.leaders.followers[me] = None
        try:
            self.leaders.call_engine()
            completion.block(until_s - monotonic_s())
        finally:
            self.leaders.followers.pop(me, None)

    def _lead_until(self, is_over: Callable[[], bool], deadline_s: float | None) -> None:
        """With the leader lock: run iterations, and give it back."""
        with self._leading:
            if self._inbox:
                self._handle_inbox()
            while not is_over() and not self._is_stopping:
                if deadline_s is not None and monotonic_s() >= deadline_s:
                    break
                self._run_iteration(look_up_at(deadline_s))

    def release_leader_lock(self, error: BaseException | None) -> None:
        """Give the leader lock back.

        ``error``: what got out of the iterations; the loop gives up then, and tells all who wait.
        """
        try:
            if error is not None:
                self._give_up(error)
        finally:
            self.leaders.release(is_needed=bool(self._callbacks) or self._is_stopping)

    def _handle_inbox(self) -> None:
        try:
            self._results.read()  # no other thread does while calls come fast, and workers would run dry
            self._run_inbox()
            self.dispatcher.resolve()
            self.dispatcher.dispatch()
        except Exception as error:  # noqa: BLE001 - as in _run_iteration
            self._go_on_after(error)

    def ask(self, command: Callable[[], Answer]) -> Answer:
        """Have the leader run ``command``, and wait for its answer. Raises FlameError.

        Not from inside an iteration: it would wait for itself.
        """
        question = Question(command)
        self.post(question)
        while not question.is_answered:
            if not self.has_ended:
                self.step()  # again, too: the engine's thread may be in a callback that waits for this thread
            if self.has_ended:
                with contextlib.suppress(ValueError):  # the thread has taken it just before its end
                    self._inbox.remove(question)
                    raise copy.copy(self.failure or InvalidState(SHUT_DOWN))
            question.wait(INTERRUPT_CHECK_S)
        return question.answer()

    def stop(self, timeout_s: float) -> None:
        """Cancel everything, end every process, then the thread itself. Once."""
        self.post(self._stop)
        self._thread.join(timeout_s)
        if self._reuses_memory:
            memfd_pool.remove_owner(self._look_up)
        self._startup.close()

    def abandon(self) -> None:
        """In a forked child: close copies of descriptors, so that processes of the parent see its end, not ours."""
        self._is_asleep = False  # a wake-up would be written into whatever file of the child gets the number
        self._results_write = -1
        self.pool.abandon()
        self._startup.close()

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                with self.leaders.engine_is_leader():
                    while not self._is_stopping and not self.leaders.is_wanted and not self._callbacks:
                        self._run_iteration(None)
                self._run_callbacks()  # without the leader lock: other people's code may wait for other calls
        except BaseException as error:  # noqa: BLE001 - told to all who wait
            self._give_up(error)
        finally:
            with self.leaders.engine_is_leader():
                self._end_all_calls()
                self.has_ended = True
                self._end_all_calls()  # what was posted before the flag was seen
                self.pool.close()
            self._run_callbacks()

    def _run_callbacks(self) -> None:
        if self._callbacks:
            self.leaders.engine_is_away = True
            while self._callbacks:
                callback = self._callbacks.popleft()
                try:
                    callback()
                except BaseException:
                    logger.exception("done callback failed callback=%r", callback)
            self.leaders.engine_is_away = False
            self.leaders.call_engine()  # go on at once, if there is no other leader

    def _give_up(self, error: BaseException) -> None:
        """The loop cannot go on: all calls end with the reason, and the next use of flamepy starts a new engine."""
        self._is_stopping = True
        self.failure = as_engine_failure(error)
        with contextlib.suppress(Exception):  # the thread does it once more at its end
            self.dispatcher.end_all(self.failure)

    def _end_all_calls(self) -> None:
        with contextlib.suppress(FlameError):  # trouble that repeats itself has no one left to hurt
            self._run_inbox()
        self.dispatcher.end_all(self.failure)

    def _run_iteration(self, until_s: float | None) -> None:
        """Sleep until something happens, at most until ``until_s`` (monotonic), then handle all of it."""
        try:
            self._handle_events(until_s)
        except Exception as error:  # noqa: BLE001 - what it was about ends; the loop goes on
            self._go_on_after(error)

    def _go_on_after(self, error: Exception) -> None:
        """The iteration broke off: what it had not come to is done in another one, which waits for no event."""
        self._inbox.append(_nothing)
        self._contain.end_step(error)

    def _handle_events(self, until_s: float | None) -> None:
        self._is_asleep = True
        events = self._next_events(until_s)
        self._is_asleep = False
        for fd, _ in events:
            if fd == self._results_read:
                self._results.read()
            elif fd == self.pool.zygote_fileno():
                self._replace_zygote(fd)
            else:
                self._try(self._uplink.accept)
        self._run_inbox()
        self._try(self._meet_deadlines)
        self.dispatcher.resolve()
        self.dispatcher.dispatch()

    def _next_events(self, until_s: float | None) -> list[tuple[int, int]]:
        sleep_ms = self._sleep_ms(until_s)
        if sleep_ms == 0.0:
            return self._poller.poll(0)
        began_s = now_s = monotonic_s()
        spin_until_s = began_s + frames.SPIN_S if self._is_hot else 0.0
        while now_s < spin_until_s:
            events = self._poller.poll(0)
            if events:
                return events
            now_s = monotonic_s()
        events = self._poller.poll(sleep_ms)
        self._is_hot = monotonic_s() - began_s < frames.HOT_S
        return events

    def _sleep_ms(self, until_s: float | None) -> float | None:
        if self._inbox or self._callbacks or self.dispatcher.has_resolved() or self.leaders.is_wanted:
            return 0.0
        due_s = (until_s, self.pool.next_deadline_s(), self.dispatcher.recheck_at_s, memfd_pool.next_trim_s())
        deadlines = [at_s for at_s in due_s if at_s is not None]
        # one more millisecond: poll rounds down, and waking too early would spin
        return max(0.0, min(deadlines) - monotonic_s()) * 1000 + 1 if deadlines else None

    def _run_inbox(self) -> None:
        inbox = self._inbox
        while inbox:
            item = inbox.popleft()
            try:
                if type(item) is CallRecord:
                    self.dispatcher.accept(item)
                else:
                    cast("Callable[[], object]", item)()
            except Exception as error:  # noqa: BLE001 - it ends this call, or is the asker's
                if type(item) is CallRecord:
                    self._contain.end_call(item, error)
                else:
                    if type(item) is Question:
                        item.fail(error)
                    self._contain.end_step(error)

    def _try(self, step: Callable[[], object]) -> None:
        """Run a step that no single call depends on."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - it ends this step
            self._contain.end_step(error)

    def _meet_deadlines(self) -> None:
        now_s = monotonic_s()
        self.pool.run_timers(now_s)
        memfd_pool.trim(now_s)
        recheck_at_s = self.dispatcher.recheck_at_s
        if recheck_at_s is not None and now_s >= recheck_at_s:
            self.dispatcher.take_over_backlogs(now_s)

    def _replace_zygote(self, fd: int) -> None:
        self._results.read()  # what the workers reported before they were ended with it
        try:
            self._poller.unregister(fd)
            for exited in self.pool.replace_zygote():
                self._reports.take_exit(exited)
            self._poller.register(self.pool.zygote_fileno(), select.POLLIN)
        except Exception as error:  # noqa: BLE001 - without a zygote there are no workers
            self._give_up(error)

    def _post_again(self, command: Callable[[], object]) -> None:
        self._inbox.append(command)

    def _stop(self) -> None:
        self._is_stopping = True

    def _call_back_later(self, callback: Callable[[], object]) -> None:
        self._callbacks.append(callback)


def _nothing() -> None:
    """A command that does nothing: one that is in the inbox has the leader look at everything."""


class _Leading:
    """``with`` the leader lock, which is given back at the end. Nothing gets out but to those who wait."""

    __slots__ = ("_loop",)

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def __enter__(self) -> None:
        """The leader lock has been taken by who enters."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        self._loop.release_leader_lock(error)
        return True
