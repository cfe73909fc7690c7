# SPDX-License-Identifier: Apache-2.0
"""Runner: deploys a project directory, turns functions and objects into services, undoes everything at the end."""

from __future__ import annotations

import contextlib
import inspect
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from flamepy.cache.objects import put_object
from flamepy.codec.pickling import encode
from flamepy.config import ContextFields, FlameContext
from flamepy.core.cache import ObjectKey, ObjectRef
from flamepy.core.cluster import ClusterView
from flamepy.core.names import checked_application_name, short_name
from flamepy.core.resources import ResourceRequirement
from flamepy.core.session import SessionView
from flamepy.engine.api import Capability, Engine, SessionSpec, WorkerView
from flamepy.engine.current import engine_for, warn_of_differences
from flamepy.engine.select import is_inside_worker
from flamepy.engine.unsupported import warn_if_unsupported
from flamepy.errors import CallTimeout, FlameError, InvalidArgument, NotFound, RunnerClosed
from flamepy.runner.deploy.closing import count_unfinished, finish_sessions, unfinished_calls
from flamepy.runner.deploy.deployment import ProjectRequest, application_around, changed_paths, deploy
from flamepy.runner.service.handle import RESERVED_NAMES, RunnerService, description_of, service_of
from flamepy.runner.service.interface import check_constructor, interface_of
from flamepy.runner.service.service_link import ServiceLink, ServiceView
from flamepy.runner.service.signatures import checks_of, shown_in_help
from flamepy.runner.types import RunnerContext, SessionContext
from flamepy.runner.waiting.hooks import waiting_for
from flamepy.runner.waiting.iterators import ObjectFutureIterator
from flamepy.runner.waiting.object_future import ObjectFuture
from flamepy.runner.waiting.progress import wait_for_all
from flamepy.runner.waiting.user_errors import note_other_failures

if TYPE_CHECKING:  # see deployment.py
    from flamepy.packaging import Package


class StaleCodeWarning(UserWarning):
    """Files changed after services were opened: those go on with the old code.

    ``Runner.service`` warns, once for each service. Open the service again to have it use the new files.
    """


class Runner:
    """Runs functions and objects on workers, with the files of a directory beside them.

    Deploys at once, so it can be used with or without ``with``; ``close()`` undoes it.

    Args:
        name: Of the application, in letters, digits, ``-``, ``_`` and ``.``. Runners of one name and the same content
            share it.
        fail_if_exists: Raise AlreadyExists when there is an application of that name; else it is shared.
        dependencies: What workers need, as ``pip`` writes it, ``["numpy>=2"]``; by default nothing. The embedded engine
            installs nothing, and says when something is missing.
        python_version: Of the workers, such as ``"3.11"``; by default that of this program.
        context: The configuration; by default ``flame.yaml`` and the environment.
        engine: Where calls run; by default what the configuration connects to.
        root: The directory to package; by default the working directory.
        excludes: Patterns of files that stay here, beyond the configured ones; by default none.
        includes: Patterns of files that travel all the same; by default none.
        max_package_bytes: How much the package may hold unpacked; by default 100 MiB.
        max_package_files: How many files it may hold; by default 100,000.
        extra_files: Path -> content of files that only the package gets; by default none. A function that gives them
            is asked again at each service.

    Raises:
        InvalidArgument: For a name that is not allowed, or for something that the workers' Python lacks.
        InvalidConfig: When the configuration is wrong.
        AlreadyExists: Only with ``fail_if_exists``.
        PackageError: When the directory cannot be packaged or is too big.

    Example:
        >>> from flamepy import Runner
        >>> def double(number):
        ...     return number * 2
        >>> with Runner("docs") as runner:
        ...     service = runner.service(double)
        ...     runner.get([service(1), service(2)])
        [2, 4]
    """

    def __init__(
        self,
        name: str,
        fail_if_exists: bool = False,
        dependencies: Sequence[str] | None = None,
        python_version: str | None = None,
        *,
        context: ContextFields | None = None,
        engine: Engine | None = None,
        root: str | os.PathLike[str] | None = None,
        excludes: Iterable[str] = (),
        includes: Iterable[str] = (),
        max_package_bytes: int | None = None,
        max_package_files: int | None = None,
        extra_files: Mapping[str, bytes] | Callable[[], Mapping[str, bytes]] | None = None,
    ) -> None:
        self.name = checked_application_name(name)
        self._lock = threading.Lock()
        self._links: list[ServiceLink] = []
        self._told_stale: weakref.WeakSet[ServiceLink] = weakref.WeakSet()
        self._is_closed = False  # to new services
        self._is_ending = False  # a thread sees to the end, or has done so
        is_nested = is_inside_worker(os.environ)
        is_chosen = context is not None
        if context is None:
            # in a worker, whatever configuration file lies around has no say
            context = ContextFields() if is_nested else FlameContext()
        settings = context.required_package()  # before anything is started
        directory = _absolute(root)
        if engine is None:
            engine = engine_for(context)
            if is_chosen:
                warn_of_differences(context, engine)
        self._engine = engine
        engine.provisioner.check(dependencies, python_version)
        self._project = ProjectRequest(
            name=name,
            root=directory,
            context=context,
            settings=settings,
            excludes=tuple(excludes),
            includes=tuple(includes),
            max_bytes=max_package_bytes,
            max_files=max_package_files,
            python_version=python_version,
            around=application_around(name, os.environ) if is_nested else None,
            extra=extra_files if callable(extra_files) else dict(extra_files or {}).copy,
        )
        with contextlib.ExitStack() as undo:
            self._deployment = self._first_deployment = deploy(
                engine, self._project, undo, fail_if_exists=fail_if_exists
            )
            self._undo = undo.pop_all()

    # -- services

    def service(
        self,
        execution_object: Any,
        autoscale: bool | None = None,
        warmup: int = 0,
        resreq: ResourceRequirement | str | None = None,
        *,
        name: str | None = None,
        retries: int = 0,
    ) -> RunnerService:
        """Open a service of a function, a class or an object; call the handle, or its methods, to make calls.

        A function runs on any worker. A class becomes one object, made without arguments in the worker that keeps it;
        it is stateful like an instance: one copy of the state, calls one at a time, in order. The call of a generator
        gives an ``ObjectStream``, an iterator of the futures of its parts.

        Args:
            execution_object: The function, class or instance.
            autoscale: May it run on several workers? By default functions do, classes and instances do not. True for
                a class: one object per worker, and no shared state.
            warmup: Workers to start at once; by default none.
            resreq: What one worker needs on a cluster, ``"cpu=1,mem=2g"``; by default nothing in particular.
            name: For people; by default that of the function or class.
            retries: How often a call is started again when its worker is lost; by default never. For services without
                state, and not for generators.

        Returns:
            The handle: call it, or its methods. It can be passed to calls.

        Raises:
            ConstructorNeedsArguments: When a class cannot be made without arguments.
            InvalidArgument: For what has nothing to call, or has a public method that the handle needs for itself.
            ValueError: For a combination that has no meaning, such as an instance with ``autoscale``.
            NotPicklable: When it cannot travel to a worker.
            RunnerClosed: After ``close()``.

        Example:
            >>> from flamepy import Runner
            >>> class Counter:
            ...     total = 0
            ...     def add(self, number):
            ...         self.total += number
            ...         return self.total
            >>> with Runner("docs") as runner:
            ...     counter = runner.service(Counter)
            ...     runner.get([counter.add(2), counter.add(3)])
            [2, 5]
        """
        self.check_open("open a service")
        context = RunnerContext(execution_object, autoscale=autoscale, warmup=warmup)
        interface = interface_of(execution_object, reserved=RESERVED_NAMES, name=name)
        if interface.kind == "class":
            check_constructor(execution_object)
        _check_retries(retries, is_stateful=bool(context.stateful), name=interface.name)
        if resreq is not None:
            resreq = ResourceRequirement.from_string(resreq) if isinstance(resreq, str) else resreq
            warn_if_unsupported(self._engine.info, Capability.RESOURCES, "resreq")
        definition = encode(context, what=f"the {interface.kind} {interface.name}")
        self._redeploy_if_changed()
        application = self._deployment.application
        spec = SessionSpec(
            application=application,
            definition=definition,
            is_stateful=bool(context.stateful),
            min_instances=context.min_instances,
            max_instances=context.max_instances,
            warmup=warmup,
            resreq=resreq,
            name=interface.name,
            handle=description_of(interface, is_stateful=bool(context.stateful), retries=retries),
            lease=self._deployment.lease_id,
        )
        chosen_id = _chosen_session_id(execution_object)
        session_id = chosen_id or short_name(application)
        if chosen_id:
            self._engine.sessions.open(session_id, spec)  # joins a session that is open under this id
        else:
            self._engine.sessions.create(session_id, spec)
        link = ServiceLink(
            self._engine,
            application,
            session_id,
            interface,
            is_stateful=bool(context.stateful),
            retries=retries,
            checks=checks_of(execution_object, interface.kind, interface.methods, is_callable=interface.is_callable),
            original=shown_in_help(execution_object, interface.kind),
            lease=spec.lease,
        )
        with self._lock:
            self._links = [each for each in self._links if not each.close_reason]
            if not self._is_closed:
                self._links.append(link)
                return service_of(link)
        self._engine.sessions.close(
            session_id, cancel=True, lease=spec.lease
        )  # another thread has closed this Runner meanwhile
        self.check_open("open a service")
        raise AssertionError("unreachable: a Runner never opens again")

    def services(self) -> list[ServiceView]:
        """The open services, in the order in which they were opened.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     length = runner.service(len)
            ...     [each.name for each in runner.services()]
            ['len']
        """
        return [each.view() for each in list(self._links) if not each.close_reason] if self._engine.is_alive else []

    def session(self, session_id: str) -> SessionView | None:
        """A service's session as it is now: its state, and how many of its calls are queued, running and ended.

        Args:
            session_id: As in ``ServiceView.session_id``.

        Returns:
            A snapshot; None when there is no such session any more, or the engine has ended.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     length = runner.service(len)
            ...     future = length("four")
            ...     future.wait()
            ...     runner.session(future.session_id).succeed
            True
            1
        """
        try:
            return self._engine.sessions.get(session_id) if session_id and self._engine.is_alive else None
        except NotFound:
            return None

    # -- many futures at once

    def get(self, futures: Iterable[ObjectFuture]) -> list[Any]:
        """Wait for the values of several calls.

        Args:
            futures: Of any services.

        Returns:
            The values, in the order of ``futures``.

        Raises:
            TaskFailed: Or another error of the first call in that order that has failed; it tells of the others.
            InvalidArgument: For something that is no future.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     length = runner.service(len)
            ...     runner.get([length(word) for word in ("one", "three")])
            [3, 5]
        """
        waited = _checked(futures)
        with waiting_for(waited):
            try:
                return [each.get() for each in waited]
            except FlameError as error:
                note_other_failures(error, waited)
                raise

    def wait(self, futures: Iterable[ObjectFuture], timeout: float | None = None, progress: bool = False) -> None:
        """Return when all calls have ended, however they ended.

        Args:
            futures: Of any services.
            timeout: Seconds; by default as long as it takes.
            progress: Show how far they are when it takes longer than half a second: a bar in a terminal, a live view
                in a notebook. By default nothing is shown.

        Raises:
            CallTimeout: When some have not ended after ``timeout``; they go on.
            InvalidArgument: For something that is no future.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     futures = [runner.service(len)(word) for word in ("one", "three")]
            ...     runner.wait(futures, timeout=60)
            ...     [each.state for each in futures]
            ['succeeded', 'succeeded']
        """
        waited = _checked(futures)
        if not wait_for_all(waited, timeout, progress=progress):
            out = [each for each in waited if not each.done()]
            first = f", the first is {out[0]!r}" if out else ""
            raise CallTimeout(
                f"{len(out)} of {len(waited)} calls have not ended after {timeout} s{first}. "
                "They go on: wait longer, or end them with cancel()."
            )

    def select(self, futures: Iterable[ObjectFuture]) -> ObjectFutureIterator:
        """Iterate over the futures in the order in which their calls end, with ``for`` or ``async for``.

        Args:
            futures: Of any services.

        Returns:
            An iterator; ``len()`` of it is how many are to come.

        Raises:
            InvalidArgument: For something that is no future.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     length = runner.service(len)
            ...     sum(each.get() for each in runner.select([length("one"), length("three")]))
            8
        """
        return ObjectFutureIterator(self._engine, _checked(futures))

    def ref(self, futures: Iterable[ObjectFuture]) -> list[ObjectRef]:
        """Wait for the calls, and leave their values where they are.

        Args:
            futures: Of any services.

        Returns:
            Where the values lie in the object cache, in the order of ``futures``: arguments for further calls.

        Raises:
            TaskFailed: Or another error of the first call in that order that has failed.
            InvalidArgument: For something that is no future.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     repeat = runner.service(lambda text: text * 3)
            ...     (reference,) = runner.ref([repeat("ha")])
            ...     repeat(reference).get()
            'hahahahahahahahaha'
        """
        waited = _checked(futures)
        with waiting_for(waited):
            return [each.ref() for each in waited]

    def unfinished(self) -> list[ObjectFuture]:
        """Futures of the calls of its services that have not ended, also of those that no variable holds any more.

        ``runner.wait(runner.unfinished())`` waits for all of them; ``each.cancel()`` ends one.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     future = runner.service(len)("four")
            ...     runner.wait(runner.unfinished())
            ...     future.done()
            True
        """
        return [
            ObjectFuture(self._engine, each)
            for session_id in self._open_session_ids()
            for each in unfinished_calls(self._engine, session_id)
        ]

    def count_unfinished(self) -> int:
        """How many calls ``unfinished()`` would give: quicker, when there are many."""
        return sum(count_unfinished(self._engine, session_id) for session_id in self._open_session_ids())

    def _open_session_ids(self) -> list[str]:
        return list(_leases_of([each for each in list(self._links) if not each.close_reason]))

    def put_object(self, obj: Any) -> ObjectRef:
        """Put a value into the cache once, for many calls.

        Args:
            obj: The value. Later changes to it do not reach the cache.

        Returns:
            A reference; given as an argument, it becomes the value. It holds until the Runner closes.

        Raises:
            NotPicklable: When the value cannot travel.
            RunnerClosed: After ``close()``.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     words = runner.put_object(["one", "three"])
            ...     runner.service(len)(words).get()
            2
        """
        self.check_open("put an object")
        # below the first application: it stays until the end, whatever is packaged meanwhile
        return put_object(
            self._engine.objects, ObjectKey.for_shared(self._first_deployment.application).to_prefix(), obj
        )

    # -- the deployment

    @property
    def application(self) -> str:
        """The application that new services use: the name, or ``NAME.<sha8>`` when that has other content."""
        return self._deployment.application

    @property
    def package(self) -> Package | None:
        """What was packaged; None when an application was joined that no Runner of this process registered."""
        return self._deployment.package

    def stale_files(self) -> list[str]:
        """The files that changed since they were packaged; the next service takes them in."""
        return changed_paths(self._engine, self._project, self._deployment)

    # -- the workers

    @property
    def worker_limit(self) -> int | None:
        """How many workers of the embedded engine run calls at one time; None where another process decides that."""
        return self._engine.worker_limit

    def workers(self) -> list[WorkerView]:
        """The processes that run calls on this Runner's engine, whatever Runner the calls are of."""
        return list(self._engine.workers())

    def cluster(self, timeout: float = 2.0) -> ClusterView | None:
        """How the cluster is that runs the calls: nodes, executors, and why calls wait there.

        Args:
            timeout: Seconds to wait for its answer; without one, what was known before is given, and how old it is.

        Returns:
            A snapshot; None where calls run on this machine.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     print(runner.cluster())
            None
        """
        return self._engine.cluster(wait_s=timeout)

    def resize(self, workers: int) -> None:
        """Change the limit of workers, for all Runners of the engine. Calls that run go on.

        Args:
            workers: How many may run calls at one time, from 1 on.

        Raises:
            InvalidArgument: For anything but a whole number from 1 on.
            InvalidState: When the engine does not decide that, as in a call.
        """
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise InvalidArgument(f"workers must be a whole number from 1 on, got {workers!r}.")
        self.check_open("change its workers")
        self._engine.resize(workers)

    # -- the end

    def is_closed(self) -> bool:
        """Has it been told to close?"""
        return self._is_closed

    def is_open(self) -> bool:
        """Does it take services and calls? Not after ``close()``, nor when its engine has ended.

        The engine ends with ``flamepy.shutdown()``, or by itself when it had to give up; a new Runner starts a new one.
        """
        return not self._is_closed and self._engine.is_alive

    def close(self, wait: bool = True, timeout: float | None = None, cancel: bool = False) -> None:
        """End the services and undo the deployment. Idempotent.

        Args:
            wait: Return when the calls that are out have ended, as by default; False returns at once, and the rest
                happens behind them.
            timeout: Seconds until calls that are still out are cancelled; by default they are not.
            cancel: Cancel them at once; by default they end by themselves.

        Example:
            >>> from flamepy import Runner
            >>> runner = Runner("docs")
            >>> future = runner.service(len)("four")
            >>> runner.close()
            >>> future.get()
            4
        """
        try:
            with self._lock:
                if self._is_ending:
                    return
                self._is_closed = self._is_ending = True
                links = self._links
            for each in links:
                each.refuse(self._close_reason())
            # a function: Python 3.13.0 lets an interrupt that hits a comprehension pass by the handler around it
            leases = _leases_of(links)
            finish_sessions(self._engine, leases, wait=wait, timeout_s=timeout, cancel=cancel, then=self._undo.close)
            self._links = []
        except BaseException:
            self._is_ending = False  # an interrupt may come at any moment: the next close goes on from there
            raise

    def __enter__(self) -> Runner:
        self.check_open("enter it")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(cancel=error is not None)

    def __repr__(self) -> str:
        if self._is_closed:
            state = "closed"
        elif self._engine.is_alive:
            state = f"open, {len(self.services())} services"
        else:
            state = "its engine has ended"
        return f"<Runner {self.name} ({state}) on {self._engine.info.kind}>"

    def check_open(self, what: str) -> None:
        """Raise why it takes no calls any more, and what to do, when it does not.

        Args:
            what: That cannot be done then, as in "call it".

        Raises:
            RunnerClosed: After ``close()``.
            EngineFailed: When the engine had to give up.
            EngineForked: In a child of a process that was forked.
            InvalidState: After ``flamepy.shutdown()``.
        """
        if self._is_closed:
            raise RunnerClosed(f"cannot {what}: {self._close_reason()}")
        if not self._engine.is_alive:
            self._engine.applications.list()  # raises

    def _close_reason(self) -> str:
        return f"the Runner {self.name!r} is closed. Open a new one: Runner({self.name!r})."

    def _redeploy_if_changed(self) -> None:
        """A new service never runs old code: package the directory again when its files have changed."""
        changed = self.stale_files()
        if not changed:
            return
        before = self._deployment
        with self._lock, contextlib.ExitStack() as undo:
            self.check_open("open a service")
            self._deployment = deploy(self._engine, self._project, undo)
            self._undo.push(undo.pop_all())
        code = [path for path in changed if path.endswith(".py")]  # data changes all the time
        if not code or self._deployment.application == before.application:
            return
        stale = [each for each in list(self._links) if not each.close_reason and each not in self._told_stale]
        if stale:  # each service is named once: its user knows from then on
            self._told_stale.update(stale)
            names = ", ".join(dict.fromkeys(each.interface.name for each in stale))
            shown = ", ".join(code[:3]) + (f" and {len(code) - 3} more" if len(code) > 3 else "")
            warnings.warn(
                f"{shown} changed: new services use the new files, but {names} still run the old ones. "
                "Open those services again to have them use the new files.",
                StaleCodeWarning,
                stacklevel=3,
            )


def _absolute(root: str | os.PathLike[str] | None) -> str:
    try:
        return os.path.abspath(os.fspath(root) if root is not None else os.getcwd())
    except FileNotFoundError as error:
        raise InvalidArgument(
            "the working directory of this process has been removed: change to one that exists (os.chdir), or name the "
            "directory to package, Runner(root=...)."
        ) from error


def _check_retries(retries: int, *, is_stateful: bool, name: str) -> None:
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ValueError(f"retries must be a non-negative integer, got {retries!r}.")
    if retries and is_stateful:
        raise ValueError(
            f"retries={retries} does not fit {name}, which is stateful: starting a call again could repeat its effect. "
            "Leave retries out."
        )


def _chosen_session_id(execution_object: Any) -> str | None:
    """The id in the object's ``_session_context``, as in 0.6. Looked up without running properties."""
    chosen = inspect.getattr_static(execution_object, "_session_context", None)
    if chosen is None:
        return None
    if not isinstance(chosen, SessionContext):
        warnings.warn(
            f"_session_context is a {type(chosen).__name__}, not a flamepy.runner.SessionContext: it is ignored.",
            UserWarning,
            stacklevel=3,
        )
        return None
    return chosen.session_id


def _checked(futures: Iterable[ObjectFuture]) -> list[ObjectFuture]:
    if isinstance(futures, ObjectFuture):
        raise InvalidArgument("this takes a list of futures: give [future], or use the future's own get() and wait().")
    checked = list(futures)
    for position, each in enumerate(checked):
        if not isinstance(each, ObjectFuture):
            raise InvalidArgument(f"futures[{position}] is {type(each).__name__}, not an ObjectFuture: leave it out.")
    return checked


def _leases_of(links: Iterable[ServiceLink]) -> dict[str, str]:
    return {session_id: lease for each in links for session_id, lease in each.leases().items()}
