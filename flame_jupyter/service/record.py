# SPDX-License-Identifier: Apache-2.0
"""What the notebook knows about one service that a cell defined: its session, opened when needed, and what it runs."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from flame_jupyter.cells.used_files import used_paths
from flamepy.errors import FlameError

if TYPE_CHECKING:
    from flame_jupyter.cells.fingerprint import ServiceFingerprint
    from flame_jupyter.lines import ServiceLine
    from flamepy import SessionView
    from flamepy.runner import Runner, RunnerService


@dataclass
class ServiceRecord:
    """One service of one cell.

    line: what its cell asked for; variable: where its handle is bound; name: for people; source: what it was made of;
    open_object: starts a session for a function, class or instance; before_call: is told of each call; after_call: of
    what each call gives; refusal: what every new call raises, None while the service may be used; modules: the Python
    files that its session runs with, by path; serial: tells this service from all others of its name.
    """

    line: ServiceLine
    variable: str
    name: str
    local: Any
    source: ServiceFingerprint
    runner: Runner
    open_object: Callable[[Any], RunnerService]
    before_call: Callable[[ServiceRecord], None] = lambda _: None
    after_call: Callable[[Any], None] = lambda _: None
    handle: Any = None
    service: RunnerService | None = None
    refusal: FlameError | None = None
    modules: dict[str, bytes] = field(default_factory=dict)
    serial: int = field(default_factory=itertools.count(1).__next__)
    is_told_stale: bool = False
    looked_at_s: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _opening_thread: int = 0

    @property
    def kind(self) -> str:
        """function, class or instance"""
        from flamepy.front_ends import kind_of

        return kind_of(self.local)

    @property
    def session_id(self) -> str:
        """The session of the service itself; "" before it is opened."""
        from flamepy.front_ends import view_of

        return "" if self.service is None else view_of(self.service).session_id

    def changed_modules(self, stale: Sequence[str] | None = None) -> list[str]:
        """Python files that it uses and that are not what its session runs with.

        Data files do not count: they are read anew by every new service.

        stale: files of its Runner that have changed, where that is known.
        """
        if self.service is None:
            return []
        stale = self.runner.stale_files() if stale is None else stale
        now = modules_of(self.runner)
        changed = {path for path in now.keys() | self.modules.keys() if now.get(path) != self.modules.get(path)}
        changed.update(path for path in stale if _is_module(path))
        return (
            sorted(changed.intersection(self._used_of(changed | now.keys() | self.modules.keys()))) if changed else []
        )

    def _used_of(self, paths: Collection[str]) -> Collection[str]:
        """Those of these files that its code can get to."""
        package = self.runner.package
        imports = self.source.imports
        if package is None or imports is None:
            return paths
        return used_paths(self.source.modules | imports, paths, package.root)

    def session(self) -> SessionView | None:
        """Its session as it is now; None before it is opened and after its Runner has closed."""
        return self.runner.session(self.session_id)

    def unfinished_calls(self) -> int:
        session = self.session()
        return 0 if session is None else session.pending + session.running

    def opened(self) -> RunnerService:
        """The session of the service itself, opened now if need be. Raises the refusal."""
        if self.refusal is not None:
            raise type(self.refusal)(*self.refusal.args)
        if self.service is None:
            with self._lock:
                if self.service is None:
                    self.service = self._opened_now()
                    self.modules = modules_of(self.runner)
        return self.service

    def called(self) -> RunnerService:
        """The same, for a call."""
        service = self.opened()
        if not self.runner.is_open():
            self._refuse_call()
        self.before_call(self)
        return service

    def _refuse_call(self) -> NoReturn:
        from flamepy import EngineForked, InvalidState, RunnerClosed

        reason = None
        try:
            self.runner.check_open(f"call {self.name}")
        except EngineForked:  # the Runner goes on, where the cells run
            raise
        except InvalidState as error:
            reason = error
        raise RunnerClosed(
            f"cannot call {self.name}: its Runner has ended, with its engine. "
            f"Run the cell that defines {self.variable} again, which starts a new one."
        ) from reason

    def _opened_now(self) -> RunnerService:
        from flamepy.front_ends import ConstructorNeedsArguments

        try:
            return self.open(self.local)
        except ConstructorNeedsArguments as error:
            needed = needed_arguments(self.local)
            if self.kind != "class" or not needed:
                raise
            names, shown = " and ".join(map(repr, needed)), ", ".join("..." for _ in needed)
            raise ConstructorNeedsArguments(
                f"{self.variable}() needs {names}. Call {self.variable}({shown}) first and use the service that it "
                f"returns, or give {names} a default."
            ) from error

    def open(self, execution_object: Any) -> RunnerService:
        """A session of its own for ``execution_object``. Where its code names the service, it means the original."""
        if self.refusal is not None:
            raise type(self.refusal)(*self.refusal.args)
        with self._as_original():
            return self.open_object(execution_object)

    def pickled(self) -> bytes:
        """The original. Where its code names the service, it means itself."""
        import cloudpickle

        with self._as_original():
            return bytes(cloudpickle.dumps(self.local))

    def is_opening(self) -> bool:
        """Is this thread pickling the definition of this very service?"""
        return self._opening_thread == threading.get_ident()

    @contextlib.contextmanager
    def _as_original(self) -> Iterator[None]:
        with self._lock:
            before, self._opening_thread = self._opening_thread, threading.get_ident()
            try:
                yield
            finally:
                self._opening_thread = before


def modules_of(runner: Runner) -> dict[str, bytes]:
    """The Python files of the Runner's package and what identifies their content."""
    package = runner.package
    return {} if package is None else {path: each for path, each in package.identities.items() if _is_module(path)}


def _is_module(path: str) -> bool:
    return path.endswith(".py")


def needed_arguments(cls: type) -> list[str]:
    """The parameters of the constructor that have no default."""
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):  # some classes written in C tell no signature
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in optional]
