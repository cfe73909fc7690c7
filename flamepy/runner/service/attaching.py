# SPDX-License-Identifier: Apache-2.0
"""Services that are open on this process's engine, by whichever program; and a handle of one, by its name.

A notebook attaches to what another part of it, or a program on the same engine, serves.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

from flamepy.core.session import SessionState
from flamepy.engine.api import Engine
from flamepy.engine.current import current_engine, existing_engines
from flamepy.errors import InvalidArgument, NotFound
from flamepy.runner.service.handle import RunnerService, handle_of


class OpenService(NamedTuple):
    """A service that takes calls.

    Attributes:
        name: For people; more than one may have it.
        session_id: Of its session.
        application: Whose package its workers have.
    """

    name: str
    session_id: str
    application: str


def open_services() -> list[OpenService]:
    """The services that are open on the engines of this process, oldest first, whoever opened them.

    Those with private names are left out. Where there is no engine, none is started.

    Example:
        >>> from flamepy import Runner
        >>> from flamepy.runner import open_services
        >>> with Runner("docs") as runner:
        ...     service = runner.service(len)
        ...     [each.name for each in open_services()]
        ['len']
    """
    found = [each for engine in existing_engines() for each in _services_of(engine)]
    return [each for each in found if not each.name.startswith("_")]


def attach(name: str) -> RunnerService:
    """Get a handle of an open service, whoever opened it.

    Args:
        name: Of the service, or the id of its session.

    Returns:
        A handle: calls go to the same service.

    Raises:
        NotFound: When no open service has that name.
        InvalidArgument: When several have it; the message lists their sessions.

    Example:
        >>> from flamepy import Runner
        >>> from flamepy.runner import attach
        >>> with Runner("docs") as runner:
        ...     service = runner.service(len, name="length")
        ...     attach("length")("four").get()
        4
    """
    current = current_engine()
    engines = [current, *(each for each in existing_engines() if each is not current)]
    services = [(engine, each) for engine in engines for each in _services_of(engine)]
    found = [each for each in services if name in (each[1].name, each[1].session_id)]
    if not found:
        raise NotFound(f"no open service is called {name!r}. {_cure(name, [each for _, each in services])}")
    if len(found) > 1:
        ids = ", ".join(each.session_id for _, each in found)
        raise InvalidArgument(f"{len(found)} open services are called {name!r}: give one of their sessions, {ids}.")
    engine, service = found[0]
    description = engine.sessions.get(service.session_id).handle
    return handle_of(engine, service.application, service.session_id, description)


def _services_of(engine: Engine) -> list[OpenService]:
    return [
        OpenService(view.name, view.id, view.application)
        for view in engine.sessions.list()
        if view.state is SessionState.OPEN and view.name
    ]


def _cure(name: str, services: list[OpenService]) -> str:
    names = list(dict.fromkeys(each.name for each in services))
    if not names:
        return "None is open on this engine; another process has an engine of its own, whose services stay there."
    close = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Open are: {', '.join(names)}."
