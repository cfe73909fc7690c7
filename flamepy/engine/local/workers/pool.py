# SPDX-License-Identifier: Apache-2.0
"""The workers of the embedded engine: started, interrupted, let go, buried. Used by the engine's thread only."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flamepy.clock import monotonic_s
from flamepy.core.descriptors import lacks_descriptors, too_few_descriptors
from flamepy.engine.local import schedule
from flamepy.engine.local.apps.registry import Installed
from flamepy.engine.local.link.import_path import hidden_modules, import_path_of_caller
from flamepy.engine.local.link.worker_link import WorkerLink
from flamepy.engine.local.records import CallRecord, SessionRecord, WorkerRecord, split_at
from flamepy.engine.local.workers.cpu_limits import thread_limits
from flamepy.engine.local.workers.startup import StartupResources
from flamepy.engine.uplink.host import UplinkHost
from flamepy.errors import FlameError, FlameErrorCode
from flamepy.protocol.app_directory import is_complete, restore_directory
from flamepy.protocol.commands import ImportPath
from flamepy.protocol.worker_specification import WorkerSpecification

logger = logging.getLogger(__name__)

KEEP_WARM_S = 60.0  # a notebook pauses; shorter makes every pause pay a process start
_TICK_S = 1.0  # how often idle workers are looked at, while there is more than one
EXIT_S = 5.0  # time for what a worker does at its end (atexit handlers, finalizers), before it is killed
OUTPUTS_S, _OUTPUTS_SOON_S = 0.05, 0.005  # between looks at the size of outputs; the short one while one grows fast
CANCEL_GRACE_S = 2.0  # time for a call to react to an interrupt before its worker is killed
_RETIRED_KNOWN = 256  # their connections end at about the same time as they do
START_S = 60.0  # from the first wish for a worker to the zygote's first answer: a Python on a busy machine needs a few
MAX_STATEFUL = 64  # each stateful service holds a process of its own


@dataclass(frozen=True)
class WorkerExit:
    """A worker has ended. victims: the call that it had begun, behind those whose answer is lost; others: the rest."""

    worker: WorkerRecord
    pid: int
    exit_code: int
    output: bytes
    victims: list[CallRecord]
    others: list[CallRecord]


class Pool:
    """``shared``: workers that serve any session of their application; ``pinned``: one stateful session each."""

    def __init__(self, startup: StartupResources, *, limit: int, uplink: UplinkHost, reuses_memory: bool) -> None:
        self.limit = limit
        self._reuses_memory = reuses_memory
        self.shared: dict[int, WorkerRecord] = {}
        self.pinned: dict[int, WorkerRecord] = {}
        self._startup = startup
        self._uplink = uplink
        self._kill_at_s: dict[int, float] = {}
        self._tick_at_s = 0.0
        self.outputs_at_s: float | None = None  # when to look how much running calls print, None = none runs
        self._next_worker = 1
        self._zygote_failures = 0  # since it last started a worker
        self._is_zygote_known = False  # has it started a worker?
        self._is_zygote_silent = False  # it was killed, because it never did
        self._zygote_due_s: float | None = None  # when it must have started its first worker
        self._retired: deque[tuple[int, int, Installed]] = deque(maxlen=_RETIRED_KNOWN)
        self._status_table = startup.status_table
        self._launcher = startup.launcher

    def zygote_fileno(self) -> int:
        """Becomes readable when the zygote has ended."""
        return self._launcher.fileno()

    def all(self) -> Iterator[WorkerRecord]:
        yield from list(self.shared.values())
        yield from list(self.pinned.values())

    def has_free_capacity(self) -> bool:
        """Would a call that comes now run at once, on an idle worker or on a new one?"""
        return len(self.shared) < self.limit or not all(worker.in_flight for worker in self.shared.values())

    def take_back(self, worker: WorkerRecord) -> list[CallRecord]:
        """The calls that the worker has not begun are not in flight any more, whatever it does; oldest first."""
        recalls, begun = self._status_table.recall(worker.slot)
        others = worker.take_back(begun)
        is_running = bool(worker.in_flight) and worker.in_flight[-1].number == begun
        worker.link.answer_recall(recalls, begun if is_running else 0)
        return others

    def get(self, worker_id: int) -> WorkerRecord | None:
        return self.shared.get(worker_id) or self.pinned.get(worker_id)

    def start(self, installed: Installed, session: SessionRecord | None = None) -> WorkerRecord | None:
        """Fork a worker of the application, for one stateful session or for all others; None when no slot is free.

        Raises FlameError when this process lacks what a worker needs, such as descriptors.
        """
        worker_id, self._next_worker = self._next_worker, self._next_worker + 1
        with contextlib.ExitStack() as undo:
            slot = self._status_table.cleared({each.slot for each in self.all()})
            if slot is None:
                return None
            try:
                self._restore_directories(installed)
                link, fds = _opened_link(self._startup.scratch / f"output-{worker_id}")
                undo.callback(link.close)
                path = import_path_of_caller()
                specification = self._specification(worker_id, installed, path)
                is_asked = self._launcher.fork(worker_id, slot, specification, fds)
            except OSError as error:
                raise _no_worker(installed.name, error) from error
            undo.pop_all()
        if not self._is_zygote_known and self._zygote_due_s is None:
            self._zygote_due_s = monotonic_s() + START_S
        if not is_asked:  # the zygote is gone; its end is handled in the next iteration, and this worker with it
            logger.debug("fork failed worker=%d", worker_id)
        worker = WorkerRecord(worker_id, slot, installed, link, session)
        worker.import_path = path
        worker.knows_authkey = self._launcher.authkey is not None
        (self.shared if session is None else self.pinned)[worker_id] = worker
        logger.debug("worker start worker=%d application=%s", worker_id, installed.name)
        return worker

    def _specification(self, worker_id: int, installed: Installed, path: ImportPath) -> WorkerSpecification:
        root, archive = installed.root, installed.archive
        hidden = () if root is None else hidden_modules(root if is_complete(root) or archive is None else None, path)
        environ = {**os.environ, **installed.environ}
        environ.update(thread_limits(environ, workers=self.limit))
        return WorkerSpecification(
            installed.name, worker_id, root, archive, *path, hidden, environ, self._uplink.address, self._reuses_memory
        )

    def _restore_directories(self, installed: Installed) -> None:
        """A cleaner of the temporary directory may have removed what workers need there. Raises OSError, NotFound."""
        self._startup.scratch.mkdir(parents=True, exist_ok=True)
        self._uplink.restore()
        if installed.root is not None:
            restore_directory(installed.archive, installed.root)

    def start_pinned(self, session: SessionRecord) -> WorkerRecord | None:
        """The worker of a stateful session; None when there are as many as there may be."""
        if session.worker is None and len(self.pinned) < MAX_STATEFUL:
            session.worker = self.start(session.installed, session)
        return session.worker

    def warm_up(self, installed: Installed, wanted: int) -> None:
        """See that there are ``wanted`` workers of the application, as far as the limit allows."""
        counted = [worker for worker in self.shared.values() if not worker.is_leaving]
        mine = sum(1 for worker in counted if worker.installed is installed)
        for _ in range(min(wanted - mine, self.limit - len(counted))):
            self.start(installed)

    def retire(self, worker: WorkerRecord) -> None:
        """The worker ends by itself after the calls that it has; its end is seen later."""
        worker.is_leaving = True
        if not worker.in_flight:
            self.send_away(worker)

    def send_away(self, worker: WorkerRecord) -> None:
        """Tell a worker without calls to end; kill it when it has not ended after EXIT_S."""
        worker.link.send_leave()
        self._kill_at_s[worker.id] = monotonic_s() + EXIT_S

    def see_off(self) -> None:
        """After a fault: workers that must leave, and perhaps have not been told, are told and given a deadline."""
        for worker in self.all():
            if worker.id not in self._kill_at_s:
                if worker.fault is not None:
                    self.discard(worker)
                elif worker.is_leaving and not worker.in_flight:
                    self.send_away(worker)

    def run_timers(self, now_s: float) -> None:
        """Do what is due: kill workers whose cancelled call has not ended, let idle ones go."""
        if self._kill_at_s:
            self._kill_overdue(now_s)
        if self._zygote_due_s is not None and now_s >= self._zygote_due_s:
            self._zygote_due_s, self._is_zygote_silent = None, True
            self._launcher.kill()  # its end is seen later
        if self.outputs_at_s is not None and now_s >= self.outputs_at_s:
            self._bound_outputs(now_s)
        if now_s >= self._tick_at_s and len(self.shared) > 1:
            self._tick_at_s = now_s + _TICK_S
            self._retire_idle(now_s)

    def _retire_idle(self, now_s: float) -> None:
        for worker in schedule.to_retire(self.shared.values(), now_s=now_s, keep_warm_s=KEEP_WARM_S):
            self.retire(worker)

    def interrupt(self, worker: WorkerRecord, number: int) -> None:
        """Interrupt the call that it has begun last; kill it when that has not ended after CANCEL_GRACE_S."""
        self._status_table.ask_to_interrupt(worker.slot, number)
        self._launcher.signal(worker.id, signal.SIGINT)
        self._kill_at_s[worker.id] = monotonic_s() + CANCEL_GRACE_S

    def discard(self, worker: WorkerRecord) -> None:
        """Kill a worker that must run nothing more; its end is seen later."""
        worker.is_leaving = True
        self._launcher.signal(worker.id, signal.SIGKILL)

    def _kill_overdue(self, now_s: float) -> None:
        for worker_id, at_s in list(self._kill_at_s.items()):
            if now_s >= at_s:
                del self._kill_at_s[worker_id]
                logger.debug("cancel kill worker=%d", worker_id)
                self._launcher.signal(worker_id, signal.SIGKILL)

    def has_answered(self, worker: WorkerRecord, *, was_interrupted: bool) -> None:
        """A call of this worker has ended. was_interrupted: it is the one that the worker would be killed for."""
        worker.has_begun = True
        worker.is_waiting = False
        if was_interrupted:
            self._kill_at_s.pop(worker.id, None)

    def next_deadline_s(self) -> float | None:
        """When something is due here (monotonic), None = nothing."""
        due_s = self.outputs_at_s
        if self._zygote_due_s is not None:
            due_s = self._zygote_due_s if due_s is None else min(due_s, self._zygote_due_s)
        if self._kill_at_s:
            kill_at_s = min(self._kill_at_s.values())
            due_s = kill_at_s if due_s is None else min(due_s, kill_at_s)
        if len(self.shared) > 1:
            due_s = self._tick_at_s if due_s is None else min(due_s, self._tick_at_s)
        return due_s

    def output_tail(self, worker: WorkerRecord) -> bytes:
        """The end of what its present call has printed so far. From any thread."""
        return worker.link.output_tail(self._status_table.output_begin(worker.slot))

    def _bound_outputs(self, now_s: float) -> None:
        """Only of calls that have run for a while: what a short one leaves the worker bounds at its end.

        Each look gives the interpreter lock away, and to get it back from a busy caller takes a switch interval.
        """
        busy = [worker for worker in self.all() if worker.in_flight]
        is_much = [worker.link.bound_output() for worker in busy if now_s - worker.head_since_s >= OUTPUTS_S]
        pause_s = _OUTPUTS_SOON_S if any(is_much) else OUTPUTS_S
        self.outputs_at_s = now_s + pause_s if busy else None

    def set_pid(self, worker_id: int, pid: int) -> None:
        worker = self.get(worker_id)
        self._zygote_failures = 0
        self._zygote_due_s, self._is_zygote_known = None, True
        if worker is not None:
            worker.pid = pid

    def remove_exited(self, worker_id: int, *, pid: int, exit_code: int) -> WorkerExit | None:
        """A worker has ended, and everything that it reported has been read."""
        worker = self.get(worker_id)
        if worker is None:
            return None
        logger.debug("worker end worker=%d pid=%d exit_code=%d", worker_id, pid, exit_code)
        victims, others = split_at(worker.in_flight, self._status_table.begun(worker.slot))
        exited = WorkerExit(worker, pid, exit_code, self.output_tail(worker), victims, others)
        if worker.is_leaving and exit_code == 0:
            self._retired.append((worker_id, pid, worker.installed))  # not the record: it holds its session's values
        self._forget(worker)  # last: what fails before it can be done again
        return exited

    def retired(self, worker_id: int, pid: int) -> Installed | None:
        """What the worker runs or ran, if this process has been told to leave, and does so by itself."""
        for each in self.all():
            if each.id == worker_id and each.pid == pid and each.is_leaving:
                return each.installed
        return next(
            (each for each_id, each_pid, each in self._retired if (each_id, each_pid) == (worker_id, pid)), None
        )

    def _forget(self, worker: WorkerRecord) -> None:
        """Each step may be done again, where a fault came behind it."""
        self._kill_at_s.pop(worker.id, None)
        worker.link.close()
        worker.in_flight.clear()
        self.shared.pop(worker.id, None)
        self.pinned.pop(worker.id, None)

    def replace_zygote(self) -> list[WorkerExit]:
        """The zygote ended by itself, and all workers with it. Start another; returns what happened to the workers.

        Raises FlameError when it ends again and again without having started a worker, or when it did nothing at all.
        """
        logger.debug("zygote lost pid=%d", self._launcher.pid)
        self._launcher.close()
        self._zygote_failures += 1
        self._zygote_due_s, self._is_zygote_known = None, False
        if self._is_zygote_silent:
            raise FlameError(
                FlameErrorCode.INTERNAL,
                f"{sys.executable} was started to run workers, and has not begun after {START_S:g} s: it is no Python, "
                "or this machine is too busy. Run the program with a Python interpreter, or set sys.executable to one "
                "that has flamepy.",
            )
        if self._zygote_failures >= schedule.START_FAILURES:
            raise FlameError(
                FlameErrorCode.INTERNAL,
                f"the process that starts workers ended {self._zygote_failures} times in a row "
                f"({self._launcher.last_words()}). "
                f"See whether {sys.executable} -c 'import flamepy.worker.zygote' works.",
            )
        self._launcher = self._startup.start_zygote()
        exits = []
        for worker in self.all():
            worker.has_begun = True  # their end is no fault of the application
            if worker.pid:
                self._launcher.end_group(worker.pid)
            exited = self.remove_exited(worker.id, pid=0, exit_code=-signal.SIGKILL)
            if exited is not None:
                exits.append(exited)
        return exits

    def resize(self, limit: int) -> None:
        """Change the limit; idle workers beyond it leave, busy ones when their calls have ended."""
        self.limit = limit
        staying = [worker for worker in self.shared.values() if not worker.is_leaving]
        for worker in sorted(staying, key=lambda worker: len(worker.in_flight))[: max(0, len(staying) - limit)]:
            self.retire(worker)

    def unpack(self, archive: str, root: str, name: str) -> None:
        self._launcher.unpack(archive, root, name)

    def remove_directories(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._launcher.remove(path)

    def close(self) -> None:
        """Have every worker end, without the calls that it has not begun, and the zygote, which sees to it."""
        for worker in self.all():
            self.take_back(worker)
            if worker.in_flight:
                self._status_table.ask_to_interrupt(worker.slot, worker.in_flight[-1].number)
                self._launcher.signal(worker.id, signal.SIGINT)
            worker.link.send_leave()
        self._launcher.close()
        for worker in self.all():
            worker.link.close()
        self.shared.clear()
        self.pinned.clear()

    def abandon(self) -> None:
        """In a forked child: close copies of descriptors, so that processes of the parent see its end."""
        self._launcher.abandon()
        for worker in self.all():
            worker.link.close()


def _opened_link(output: Path) -> tuple[WorkerLink, list[int]]:
    """The engine's end of a worker to be, and the descriptors that the worker gets. Raises OSError.

    output: a path for what the worker's calls print; the file has no name.
    """
    with contextlib.ExitStack() as undo:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        undo.callback(ours.close)
        undo.callback(theirs.close)
        output_fd = os.open(output, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        undo.callback(os.close, output_fd)
        os.unlink(output)
        link = WorkerLink(ours, theirs, output_fd)
        undo.pop_all()
    return link, [theirs.fileno(), output_fd]


def _no_worker(application: str, error: OSError) -> FlameError:
    what = f"cannot start a worker for {application}"
    if lacks_descriptors(error):
        return too_few_descriptors(what)
    return FlameError(
        FlameErrorCode.INTERNAL,
        f"{what}: {error.strerror or error} ({error.filename or tempfile.gettempdir()}). See that the temporary "
        "directory exists, can be written and has room (TMPDIR names it), then call again.",
    )
