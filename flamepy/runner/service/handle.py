# SPDX-License-Identifier: Apache-2.0
"""The handle of a service: each method of the user's object is a RemoteMethod, whose call goes to a worker.

Handles travel as names.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

from flamepy.engine.api import Engine
from flamepy.runner.deploy.closing import finish_sessions
from flamepy.runner.service.interface import Interface, unknown_attribute
from flamepy.runner.service.service_link import ServiceLink, ServiceView
from flamepy.runner.service.signatures import described, signature_of_method


class RemoteMethod:
    """One method of a service. Calling it returns at once: an ``ObjectFuture``, of a generator an ``ObjectStream``.

    Example:
        >>> from flamepy import Runner
        >>> with Runner("docs") as runner:
        ...     words = runner.service(["one", "three"])
        ...     words.index("three").get()
        1
    """

    def __init__(self, link: ServiceLink, method: str, name: str) -> None:
        self._link = link
        self._method = method
        self._name = name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        link = self._link
        if self._method in link.interface.streams:
            return link.stream(self._method, self._name, args, kwargs)
        return link.call(self._method, self._name, args, kwargs)

    def __getattr__(self, attribute: str) -> Any:
        # reached only for what a method does not have; these are what help() and inspect.signature() look for
        link = self.__dict__.get("_link")
        if link is not None and link.original is not None:
            if attribute == "__origin__" and hasattr(link.original, self._method):
                return getattr(link.original, self._method)
            if attribute == "__signature__" and (found := signature_of_method(link.original, self._method)):
                return found
        raise AttributeError(attribute)

    def __repr__(self) -> str:
        return f"<remote method {self._name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (RunnerService(self._link), self._method)


class RunnerService:
    """A running service: call it when it is a function, call its methods otherwise. Made by ``Runner.service``.

    A call returns at once: an ``ObjectFuture``, of a generator an ``ObjectStream``. Futures and references among the
    arguments become their values on the worker, without waiting here. Passed to a call, the handle travels as a name:
    the callee calls the same service.

    Example:
        >>> from flamepy import Runner
        >>> class Box:
        ...     content = None
        ...     def put(self, value):
        ...         self.content = value
        ...     def look(self):
        ...         return self.content
        >>> with Runner("docs") as runner:
        ...     box, length = runner.service(Box()), runner.service(len)
        ...     stored = box.put(length("four"))
        ...     box.look().get()
        4
    """

    def __init__(self, link: ServiceLink) -> None:
        self._link = link
        original = link.original
        if original is not None:
            self.__dict__["__origin__"] = original  # help() is about that
            if link.interface.kind == "function":
                self.__dict__["__wrapped__"] = original  # inspect.signature() too
        for method, name in link.interface.methods.items():
            documented = getattr(original, method, None)
            cls = RemoteMethod if documented is None else described(RemoteMethod, documented.__doc__)
            self.__dict__[method] = cls(link, method, name)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        link = self._link
        if not link.interface.is_callable:
            listed = ", ".join(f"{each}()" for each in link.interface.methods)
            raise TypeError(f"the service {link.interface.name!r} is no function: call one of its methods: {listed}.")
        if None in link.interface.streams:
            return link.stream(None, link.interface.name, args, kwargs)
        return link.call(None, link.interface.name, args, kwargs)

    def close(self, wait: bool = True, timeout: float | None = None, cancel: bool = False) -> None:
        """No new calls; the calls that are out end first, or are cancelled. Idempotent.

        Args:
            wait: Return when the calls that are out have ended, as by default; False returns at once, and the rest
                happens behind them.
            timeout: Seconds until calls that are still out are cancelled; by default they are not.
            cancel: Cancel them at once; by default they end by themselves.

        Example:
            >>> from flamepy import Runner
            >>> with Runner("docs") as runner:
            ...     length = runner.service(len)
            ...     length.close()
            ...     length("four")
            Traceback (most recent call last):
            flamepy.errors.RunnerClosed: cannot call len: the service 'len' is closed. Create it again with ...
        """
        link = self._link
        if link.close_reason:
            return
        link.refuse(f"the service {link.interface.name!r} is closed. Create it again with Runner.service().")
        finish_sessions(link.engine, link.leases(), wait=wait, timeout_s=timeout, cancel=cancel)

    def __getattr__(self, attribute: str) -> RemoteMethod:
        # reached only for what the service does not have; private names are asked for by copy, pickle and IPython
        link = self.__dict__.get("_link")
        if link is None or attribute.startswith("_"):
            raise AttributeError(attribute)
        if link.interface.is_left_to_object(attribute):
            return RemoteMethod(link, attribute, f"{link.interface.name}.{attribute}")
        raise unknown_attribute(link.interface.name, attribute, link.interface.methods)

    def __dir__(self) -> list[str]:
        return ["close", *self._link.interface.methods]

    def __repr__(self) -> str:
        link = self._link
        what = f"methods {', '.join(link.interface.methods)}" if link.interface.methods else "a function"
        return f"<RunnerService {link.interface.name} ({what}) session {link.session_id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        link = self._link
        described = description_of(link.interface, is_stateful=link.is_stateful, retries=link.retries)
        return _attached, (link.application, link.session_id, described, link.engine.objects.endpoint)


def service_of(link: ServiceLink) -> RunnerService:
    """The handle, with the docstring of what it stands for where that is known."""
    original = link.original
    service: RunnerService = (RunnerService if original is None else described(RunnerService, original.__doc__))(link)
    return service


def view_of(service: RunnerService) -> ServiceView:
    """What a handle stands for. A function, because the names on the handle belong to the user's methods."""
    return service._link.view()  # noqa: SLF001 - it is this module's


# What a user's public method may not be called: the handle needs these names.
RESERVED_NAMES = frozenset(name for name in vars(RunnerService) if not name.startswith("_"))


def description_of(interface: Interface, *, is_stateful: bool, retries: int) -> bytes:
    """What a handle is made of besides the name of its session. Read by ``handle_of``."""
    return pickle.dumps((replace(interface, methods=dict(interface.methods)), is_stateful, retries))


def handle_of(engine: Engine, application: str, session_id: str, description: bytes) -> RunnerService:
    """The handle of a session that another handle, or another process, has opened."""
    interface, is_stateful, retries = pickle.loads(description)
    return RunnerService(
        ServiceLink(engine, application, session_id, interface, is_stateful=is_stateful, retries=retries)
    )


def _attached(application: str, session_id: str, description: bytes, endpoint: str) -> RunnerService:
    """A handle that travelled: the same session, as this process reaches it."""
    from flamepy.engine.current import engine_at

    return handle_of(engine_at(endpoint), application, session_id, description)
