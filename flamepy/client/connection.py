# SPDX-License-Identifier: Apache-2.0
"""A connection: applications and sessions of one engine, by name; in a session, tasks of bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from flamepy.client.attributes import application_attributes, needed_capabilities, session_spec
from flamepy.client.outcome import error_of, output_of
from flamepy.client.task_future import TaskFuture
from flamepy.client.watcher import TaskInformer, TaskWatcher
from flamepy.codec.payload import Payload
from flamepy.config.records import DEFAULT_TEMPLATE
from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.names import short_name
from flamepy.core.session import SessionAttributes, SessionView
from flamepy.core.task import Task
from flamepy.engine.api import Call, Capability, Engine, SessionSpec, WorkerView
from flamepy.engine.completion import Completion
from flamepy.engine.unsupported import warn_if_unsupported
from flamepy.errors import InvalidArgument, InvalidState

if TYPE_CHECKING:
    from typing_extensions import Self


class Connection:
    """Talks to one engine: applications and sessions by name. Made by ``connect``.

    Closing it leaves the engine, and what runs there, alone. The functions ``create_session``, ``get_application`` and
    so on do the same over a connection of their own.

    Example:
        >>> import flamepy
        >>> with flamepy.connect() as connection:
        ...     connection.register_application("my-app", {"description": "an example"})
        ...     connection.get_application("my-app").description
        'an example'
    """

    def __init__(self, engine: Engine) -> None:
        self._open_engine: Engine | None = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """No more use through it. Idempotent. Sessions that were opened through it go on."""
        self._open_engine = None

    @property
    def _engine(self) -> Engine:
        if self._open_engine is None:
            raise InvalidState("this connection is closed: make another one with flamepy.connect().")
        return self._open_engine

    def register_application(self, name: str, app_attrs: ApplicationAttributes | Mapping[str, Any]) -> None:
        """Make an application known to the engine.

        Args:
            name: Its name, in letters, digits, ``-``, ``_`` and ``.``.
            app_attrs: What it is; may be a mapping of the record's fields. One that the engine does not heed is warned
                about.

        Raises:
            AlreadyExists: When the name is taken.
            InvalidArgument: For a field that there is not, or a value that cannot be.
        """
        attributes = application_attributes(app_attrs)
        self._engine.applications.register(name, attributes)
        for capability, option in needed_capabilities(attributes, self.get_application(DEFAULT_TEMPLATE)):
            warn_if_unsupported(self._engine.info, capability, option)

    def unregister_application(self, name: str) -> None:
        """Remove an application and its closed sessions.

        Args:
            name: Its name.

        Raises:
            NotFound: When there is no such application.
            InvalidState: While sessions of it are open.
        """
        self._engine.applications.unregister(name)

    def get_application(self, name: str) -> Application | None:
        """Look an application up.

        Args:
            name: Its name.

        Returns:
            What is registered; None when there is no such application.
        """
        return self._engine.applications.get(name)

    def list_applications(self) -> list[Application]:
        """Every registered application, the built-in ones too."""
        return list(self._engine.applications.list())

    def list_executors(self) -> list[WorkerView]:
        """The worker processes as they are now."""
        return list(self._engine.workers())

    def create_session(self, attrs: SessionAttributes) -> Session:
        """Open a new session of an application.

        Args:
            attrs: Of which application, and what it is opened with; an id is made up unless there is one.

        Returns:
            The open session.

        Raises:
            NotFound: When there is no such application.
            AlreadyExists: When there is a session of that id.
            InvalidArgument: When the common data is not bytes.
        """
        session_id = short_name(attrs.application) if attrs.id is None else attrs.id
        return self._session(self._engine.sessions.create(session_id, self._spec(attrs)))

    def open_session(self, session_id: str, spec: SessionAttributes | None = None) -> Session:
        """Join an open session.

        Args:
            session_id: Its id.
            spec: What to open it with when there is none; by default that is an error.

        Returns:
            The session.

        Raises:
            NotFound: When there is no such session, and no ``spec``.
            InvalidArgument: When it is closed, or was opened with something else than ``spec``.
        """
        return self._session(self._engine.sessions.open(session_id, None if spec is None else self._spec(spec)))

    def list_sessions(self) -> list[Session]:
        """Every session, closed ones too, as long as their application is there."""
        return [self._session(view) for view in self._engine.sessions.list()]

    def get_session(self, session_id: str) -> Session:
        """Look a session up.

        Args:
            session_id: Its id.

        Returns:
            The session as it is now, open or closed.

        Raises:
            NotFound: When there is no such session.
        """
        return self._session(self._engine.sessions.get(session_id))

    def close_session(self, session_id: str) -> Session:
        """No new tasks in it; those that wait are cancelled, those that run end by themselves. Idempotent.

        Args:
            session_id: Its id.

        Returns:
            The closed session.

        Raises:
            NotFound: When there is no such session.
        """
        return self._session(self._engine.sessions.close(session_id))

    def _spec(self, attrs: SessionAttributes) -> SessionSpec:
        if attrs.resreq is not None:
            warn_if_unsupported(self._engine.info, Capability.RESOURCES, "resreq")
        if attrs.batch_size != 1:
            warn_if_unsupported(self._engine.info, Capability.BATCHES, f"batch_size={attrs.batch_size}")
        return session_spec(attrs)

    def _session(self, view: SessionView) -> Session:
        return Session(self, self._engine, view)


class Session:
    """A session, whose tasks take and give bytes. Made by ``create_session`` and its kin.

    State, counters and events are a snapshot of when this object was made, or closed. What the bytes mean is the
    application's business; those of ``flmrun`` are pickles.

    Example:
        >>> import pickle
        >>> import flamepy
        >>> from flamepy.runner import RunnerContext, RunnerRequest
        >>> session = flamepy.create_session("flmrun", pickle.dumps(RunnerContext(len)))
        >>> pickle.loads(session.invoke(pickle.dumps(RunnerRequest(args=("four",)))))
        4
        >>> session.close()
        >>> session.succeed
        1
    """

    def __init__(self, connection: Connection, engine: Engine, view: SessionView) -> None:
        self.connection = connection
        self._engine = engine
        self._take(view)

    def _take(self, view: SessionView) -> None:
        self.id = view.id
        self.application = view.application
        self.state = view.state
        self.creation_time = view.creation_time
        self.completion_time = view.completion_time
        self.pending = view.pending
        self.running = view.running
        self.succeed = view.succeed
        self.failed = view.failed
        self.cancelled = view.cancelled
        self.events = view.events

    def __repr__(self) -> str:
        return f"<Session {self.id} of {self.application}: {self.state.name}>"

    def common_data(self) -> bytes | None:
        """What the session was opened with."""
        return self._engine.sessions.common_data(self.id)

    def create_task(self, input: bytes | None) -> Task:  # noqa: A002 - the name of 0.6
        """Start a task, to be found again by its id until the session goes.

        Args:
            input: What it is given.

        Returns:
            The task as it is at first.

        Raises:
            InvalidArgument: When the input is not bytes, or the session is closed.
        """
        completion = self._submit(input)
        self._engine.pin(completion)
        return self._engine.sessions.task(self.id, completion.task_id)

    def get_task(self, task_id: str) -> Task:
        """Look a task up.

        Args:
            task_id: Its id.

        Returns:
            The task as it is now.

        Raises:
            NotFound: When there is no such task any more.
        """
        return self._engine.sessions.task(self.id, task_id)

    def list_tasks(self) -> Iterator[Task]:
        """The tasks that can still be found, as they are now."""
        return iter(self._engine.sessions.tasks(self.id))

    def watch_task(self, task_id: str, timeout: float | None = None) -> TaskWatcher:
        """Follow a task.

        Args:
            task_id: Its id.
            timeout: Seconds until the watcher raises ``CallTimeout``; by default it watches as long as it takes.

        Returns:
            An iterator over the task at each change of state, up to a terminal one.

        Raises:
            NotFound: When there is no such task any more.
        """
        return TaskWatcher(self._engine.watch(self.id, task_id), timeout_s=timeout)

    def run(self, input: bytes | None) -> TaskFuture:  # noqa: A002 - the name of 0.6
        """Start a task.

        Args:
            input: What it is given.

        Returns:
            Its future, which gives the output or raises ``TaskFailed``.

        Raises:
            InvalidArgument: When the input is not bytes, or the session is closed.
        """
        return TaskFuture(self._engine, self._submit(input))

    def invoke(self, input: bytes | None, informer: TaskInformer | None = None) -> bytes | None:  # noqa: A002 - 0.6
        """Run a task and wait for its output.

        Args:
            input: What it is given.
            informer: Told about each state on the way; by default nobody is.

        Returns:
            The output.

        Raises:
            TaskFailed: When it failed.
            InvalidArgument: When the input is not bytes, or the session is closed.
        """
        completion = self._submit(input)
        if informer is None:
            return TaskFuture(self._engine, completion).result()
        for task in self._engine.watch(self.id, completion.task_id):
            informer.on_update(task)
        completion.wait()
        assert completion.outcome is not None
        error = error_of(completion.outcome, completion.name)
        if error is not None:
            informer.on_error(error)
            raise error
        return output_of(completion.outcome)

    def close(self) -> None:
        """No new tasks; those that wait are cancelled, those that run end by themselves. Idempotent."""
        self._take(self._engine.sessions.close(self.id))

    def _submit(self, data: bytes | None) -> Completion:
        if data is not None and not isinstance(data, bytes):
            raise InvalidArgument(
                f"a task's input must be bytes, not {type(data).__name__}: pickle it, or use Runner.service."
            )
        call = Call(request=Payload(b"" if data is None else data), input=data, name=self.application)
        return self._engine.submit(self.id, call)
