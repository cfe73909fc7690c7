# SPDX-License-Identifier: Apache-2.0
"""One executor: it binds to a session, hands its tasks to a worker one after the other, and ends with the worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flamepy.clock import monotonic_s
from flamepy.config import FlameContextTls
from flamepy.core.task import Task, TaskState
from flamepy.errors import FlameError
from flamepy.protocol.app_directory import remove_tree
from flamepy.server.application_table import Registered, check_runs_here
from flamepy.server.executors.guard import Guard
from flamepy.server.executors.instance_client import InstanceClient, InstanceFailed
from flamepy.server.executors.instance_process import InstanceProcess
from flamepy.server.executors.package_installer import PackageInstaller
from flamepy.server.executors.worker_environ import Surroundings, expanded, worker_environ
from flamepy.server.session_table import SessionRecord
from flamepy.wire import messages

REFUSED = "Connection refused"  # where nobody listens at the worker's socket any more
LEAVE_S = 5.0  # for a worker to say good-bye to its session: a checkpoint is written in that time
_EXIT_NOTICED_S = 1.0  # between the end of a worker's connection and that of its process
INSTALL_FAILED, SHIM_FAILED, ENTER_FAILED, UNKNOWN = 10, 11, 12, 19  # what a failed binding is told by


class BindFailed(Exception):
    """code: of the step that failed."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Workshop:
    """What all executors share. directory: for files; inherited: the environment of the server.

    tls: what workers trust and show when they come for objects; None = nothing is encrypted.
    """

    directory: Path
    socket_directory: str
    home: str
    endpoint: str
    cache_endpoint: str
    inherited: dict[str, str]
    tls: FlameContextTls | None
    start_limit_s: float
    installer: PackageInstaller
    guard: Guard


class Supervisor(Protocol):
    """Who gives an executor its tasks, and hears what became of them."""

    async def next_task(self, executor: Executor) -> Task | None:
        """None: it shall leave its session."""

    def task_ended(
        self, executor: Executor, task: Task, state: TaskState, *, output: bytes | None, message: str | None
    ) -> None: ...

    def bound(self, executor: Executor) -> None: ...

    def bind_failed(self, executor: Executor, failure: BindFailed) -> None: ...


class Executor:
    """number: of all executors of this server, for names of files. ``task``: the one that runs."""

    def __init__(
        self, executor_id: str, number: int, session: SessionRecord, registered: Registered, workshop: Workshop
    ) -> None:
        self.id = executor_id
        self.session = session
        self.registered = registered
        self.state = messages.ExecutorState.ExecutorBinding
        self.task: Task | None = None
        self.idle_since_s: float | None = None
        self.given: asyncio.Future[Task | None] = asyncio.get_running_loop().create_future()  # while it is idle
        self.is_released = asyncio.Event()
        self._shop = workshop
        self._number = number
        self._socket = f"{workshop.socket_directory}/{number}"
        self._directory = workshop.directory / "work" / str(number)
        self._client = InstanceClient(self._socket)
        self.process: InstanceProcess | None = None

    @property
    def has_started(self) -> bool:
        return self.state != messages.ExecutorState.ExecutorBinding

    @property
    def is_leaving(self) -> bool:
        """Will its slot become free before it takes another task?"""
        is_unbinding = self.state == messages.ExecutorState.ExecutorUnbinding
        return is_unbinding or (self.is_released.is_set() and self.task is None)

    def become_idle(self) -> None:
        self.idle_since_s = monotonic_s()
        self.given = asyncio.get_running_loop().create_future()

    def give(self, task: Task | None) -> None:
        """While it is idle: its next task, or None to have it leave."""
        self.idle_since_s = None
        self.task = task
        self.given.set_result(task)

    def release(self) -> None:
        """Have it leave its session: now where it starts or is idle, else behind its task."""
        self.is_released.set()
        if self.idle_since_s is not None:
            self.give(None)

    async def run(self, supervisor: Supervisor) -> None:
        """From the binding to the end of the worker. When it is cancelled, the worker ends in the middle of a task."""
        has_entered = False
        try:
            try:
                has_entered = await self._unless_released(self._bind())
            except BindFailed as failure:
                supervisor.bind_failed(self, failure)
            except Exception as error:  # ours; without a count of it the next attempt would follow at once, for ever
                supervisor.bind_failed(self, BindFailed(UNKNOWN, f"{type(error).__name__}: {error}"))
                raise
            if has_entered:
                self.state = messages.ExecutorState.ExecutorBound
                supervisor.bound(self)
                await self._work(supervisor)
        finally:
            self.state = messages.ExecutorState.ExecutorUnbinding
            await self._end(says_goodbye=has_entered and self.task is None)

    async def _bind(self) -> None:
        """Raises BindFailed."""
        application, shop = self.registered.application, self._shop
        try:
            installed = await shop.installer.install(self.registered)
        except FlameError as error:
            raise BindFailed(INSTALL_FAILED, f"application installation failed: {error}") from error
        try:
            check_runs_here(application)
            self.process = await self._started(installed)
        except (FlameError, OSError) as error:
            raise BindFailed(SHIM_FAILED, f"shim creation failed: {error}") from error
        await self._until_it_listens(self.process)
        spec = self.session.spec
        try:
            result = await self._client.enter(self.session.id, application, spec.common_data or None)
        except InstanceFailed as error:
            raise BindFailed(ENTER_FAILED, f"on_session_enter failed: {await self._words_of(error)}") from error
        if result.return_code:
            raise BindFailed(ENTER_FAILED, f"on_session_enter failed: {result.message}")

    async def _started(self, installed: dict[str, str]) -> InstanceProcess:
        """Raises OSError."""
        application, shop = self.registered.application, self._shop
        temporary = self._directory / "tmp"
        temporary.mkdir(parents=True)
        around = Surroundings(
            instance_socket=self._socket,
            endpoint=shop.endpoint,
            cache_endpoint=shop.cache_endpoint,
            home=shop.home,
            socket_directory=shop.socket_directory,
            temporary=str(temporary),
            tls=shop.tls,
        )
        environ = worker_environ(shop.inherited, application.environments, installed, around)
        return await InstanceProcess.start(
            [expanded(each, environ) for each in (application.command or "", *application.arguments)],
            environ=environ,
            directory=Path(application.working_directory or self._directory),
            log=shop.directory / "logs" / str(self._number),
            guard=shop.guard,
        )

    async def _until_it_listens(self, process: InstanceProcess) -> None:
        """Raises BindFailed when its process ends before, or takes too long."""
        connecting = asyncio.create_task(self._client.connect())
        try:
            await asyncio.wait(
                {connecting, process.exited},
                timeout=self._shop.start_limit_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if connecting.done():
                connecting.result()
                return
        finally:
            connecting.cancel()
        if process.exited.done():
            words = f"{process.last_words()}. It did not listen on FLAME_INSTANCE_ENDPOINT before it ended."
        else:
            said = process.last_words()
            words = (
                f"the worker did not listen on FLAME_INSTANCE_ENDPOINT within {self._shop.start_limit_s:g} s"
                f"{f': {said}' if said else ''}. Start the server with a higher --start-limit if it needs longer."
            )
        raise BindFailed(SHIM_FAILED, f"shim creation failed: {words}")

    async def _work(self, supervisor: Supervisor) -> None:
        while (task := await supervisor.next_task(self)) is not None:
            state, output, message = TaskState.FAILED, None, None
            is_lost = False
            try:
                result = await self._client.invoke(self.session.id, task.id, task.input)
            except InstanceFailed as error:
                is_lost = error.is_lost
                words = await self._words_of(error)
                # by which clients know that the task has not begun
                refused = f"{REFUSED}: " if REFUSED in str(error) else ""
                message = f"transport error: {refused}{words}" if is_lost else str(error)
            else:
                state = TaskState.FAILED if result.return_code else TaskState.SUCCEED
                output = result.output if result.HasField("output") else None
                message = result.message if result.HasField("message") else None
            self.task = None
            supervisor.task_ended(self, task, state, output=output, message=message)
            if is_lost:
                return

    async def _words_of(self, error: InstanceFailed) -> str:
        """What became of the worker behind a call that gave no answer."""
        if error.is_lost and self.process is not None:
            await asyncio.wait({self.process.exited}, timeout=_EXIT_NOTICED_S)
            return self.process.last_words() or str(error)
        return str(error)

    async def _unless_released(self, work: Awaitable[None]) -> bool:
        """Tells whether the work was done; it is cancelled when the executor is released before."""
        working = asyncio.ensure_future(work)
        released = asyncio.create_task(self.is_released.wait())
        try:
            await asyncio.wait({working, released}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return True
            return False
        finally:
            for each in (working, released):
                each.cancel()
            await asyncio.gather(working, released, return_exceptions=True)

    async def _end(self, *, says_goodbye: bool) -> None:
        if self.process is not None:
            if says_goodbye and not self.process.exited.done():
                with contextlib.suppress(InstanceFailed, asyncio.TimeoutError):
                    await asyncio.wait_for(self._client.leave(), LEAVE_S)
            await self._client.close()
            await self.process.end()
        with contextlib.suppress(FileNotFoundError):
            Path(self._socket).unlink()
        await asyncio.to_thread(remove_tree, str(self._directory))
