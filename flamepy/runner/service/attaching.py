# SPDX-License-Identifier: Apache-2.0
"""Services that are open on this process's engine, whoever opened them; and a handle of one, by its name.

A notebook attaches to what another part of it, or a program on the same engine, serves.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

from flamepy.codec.reading import decode_or_explain
from flamepy.core.session import SessionState
from flamepy.engine.api import Engine
from flamepy.engine.current import current_engine, existing_engine
from flamepy.errors import InvalidArgument, InvalidState, NotFound
from flamepy.runner.service.handle import RESERVED_NAMES, RunnerService
from flamepy.runner.service.interface import interface_of
from flamepy.runner.service.service_link import ServiceLink
from flamepy.runner.types import RunnerContext


class OpenService(NamedTuple):
    """A service that takes calls. name: for people; more than one may have it."""

    name: str
    session_id: str
    application: str


def open_services() -> list[OpenService]:
    """The open services, oldest first; those with private names left out. Where there is no engine, none is started."""
    engine = existing_engine()
    return [] if engine is None else [each for each in _services_of(engine) if not each.name.startswith("_")]


def attach(name: str) -> RunnerService:
    """A handle of the open service of that name, or of that session id.

    Raises NotFound, InvalidArgument (several services have the name), InvalidState (inside a worker).
    """
    engine = current_engine()
    services = _services_of(engine)
    found = [each for each in services if name in (each.name, each.session_id)]
    if not found:
        raise NotFound(f"no open service is called {name!r}. {_cure(name, services)}")
    if len(found) > 1:
        ids = ", ".join(each.session_id for each in found)
        raise InvalidArgument(f"{len(found)} open services are called {name!r}: give one of their sessions, {ids}.")
    _, session_id, application = found[0]
    definition = engine.session_spec(session_id).definition
    if definition is None:
        raise InvalidState(f"{name!r} cannot be attached to from inside a call: pass its handle to the call instead.")
    context = decode_or_explain(definition, f"the service {name!r}")
    assert isinstance(context, RunnerContext)
    interface = interface_of(context.execution_object, reserved=RESERVED_NAMES, name=found[0].name)
    return RunnerService(ServiceLink(engine, application, session_id, interface))


def _services_of(engine: Engine) -> list[OpenService]:
    return [
        OpenService(name, view.id, view.application)
        for view in engine.list_sessions()
        if view.state is SessionState.OPEN and (name := engine.session_spec(view.id).name)
    ]


def _cure(name: str, services: list[OpenService]) -> str:
    names = list(dict.fromkeys(each.name for each in services))
    if not names:
        return "None is open on this engine; another process has an engine of its own, whose services stay there."
    close = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Open are: {', '.join(names)}."
