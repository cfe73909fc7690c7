# SPDX-License-Identifier: Apache-2.0
"""The applications of the server: registered, replaced and removed by the rules of a cluster.

What is refused is said in the words of a cluster's session manager, which clients look into.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from flamepy.core.application import Application, ApplicationAttributes, ApplicationState, Shim
from flamepy.core.names import checked_application_name
from flamepy.errors import AlreadyExists, FlameError, FlameErrorCode, InvalidArgument, NotFound
from flamepy.wire import applications, messages

# What a Runner copies. Its command is that of a cluster's node: a client that brings a worker of its own replaces it.
RUNNER_TEMPLATE = ApplicationAttributes(
    description="The Flame Runner application for executing customized Python applications.",
    command="${FLAME_HOME}/bin/uv",
    arguments=["run", "--python", "python${FLAME_PYTHON_VERSION}", "python", "-m", "flamepy.runner.runpy"],
    installer="python",
)
BUILT_IN = {"flmrun": RUNNER_TEMPLATE}


@dataclass(frozen=True)
class Registered:
    """generation: another one for each registration, so that what is kept of an earlier one is not taken for it."""

    application: Application
    generation: int


class ApplicationTable:
    """now: the clock. has_open_sessions: of the application of that name?"""

    def __init__(self, now: Callable[[], datetime], has_open_sessions: Callable[[str], bool]) -> None:
        self._now = now
        self._has_open_sessions = has_open_sessions
        self._generations = itertools.count(1)
        self._registered: dict[str, Registered] = {}
        for name, attributes in BUILT_IN.items():
            self.register(name, attributes)

    def register(self, name: str, attributes: ApplicationAttributes) -> None:
        """Raises InvalidArgument, AlreadyExists."""
        if checked_application_name(name) in self._registered:
            raise AlreadyExists(f"Application '{name}' already exists: use another name, or unregister it first.")
        self._store(name, attributes)

    def update(self, name: str, attributes: ApplicationAttributes) -> None:
        """What is not given goes back to its default; only the shim stays. Raises NotFound, InvalidArgument."""
        known = self.get(checked_application_name(name)).application
        if self._has_open_sessions(name):
            raise InvalidArgument(f"Cannot update application '{name}': has open sessions. Close them first.")
        self._store(name, replace(attributes, shim=known.shim))

    def unregister(self, name: str) -> Registered:
        """Raises NotFound, InvalidArgument."""
        if name not in self._registered:
            raise NotFound(f"Failed to delete application '{name}': there is none of that name.")
        if self._has_open_sessions(name):
            raise InvalidArgument(f"Cannot unregister application '{name}': has open sessions. Close them first.")
        return self._registered.pop(name)

    def get(self, name: str) -> Registered:
        """Raises NotFound."""
        if name not in self._registered:
            raise NotFound(f"Application {name} not found: register it first.")
        return self._registered[name]

    def is_current(self, registered: Registered) -> bool:
        """Is it the one of its name now?"""
        return self._registered.get(registered.application.name) is registered

    def all(self) -> list[Application]:
        return [each.application for each in self._registered.values()]

    def _store(self, name: str, attributes: ApplicationAttributes) -> None:
        application = Application(name, name, ApplicationState.ENABLED, self._now())
        given = {field: value for field, value in vars(attributes).items() if value is not None}
        self._registered[name] = Registered(replace(application, **given), next(self._generations))


def attributes_from(
    request: messages.RegisterApplicationRequest | messages.UpdateApplicationRequest,
) -> ApplicationAttributes:
    """What a client wants to register. Raises InvalidArgument for what a cluster does not accept as a request."""
    if not request.HasField("application"):
        raise InvalidArgument("applilcation spec is missed")  # as a cluster spells it
    spec = request.application
    for field, words in (("input", "input"), ("output", "output"), ("common_data", "common data")):
        if spec.schema.HasField(field):
            _check_schema(words, getattr(spec.schema, field))
    if spec.working_directory and not spec.working_directory.startswith("/"):
        raise InvalidArgument(f"working_directory must be an absolute path, got: {spec.working_directory}")
    attributes = applications.attributes_of(spec)
    return replace(attributes, working_directory=attributes.working_directory or None)


def _check_schema(words: str, text: str) -> None:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid {words} schema: {error}. Write a JSON Schema document.") from error
    if not isinstance(document, dict | bool):
        raise InvalidArgument(f"invalid {words} schema: {text[:40]} is not a JSON Schema. Write an object.")


def check_runs_here(application: Application) -> None:
    """Can workers of this server run it? Raises FlameError."""
    if application.shim is not Shim.HOST:
        raise FlameError(
            FlameErrorCode.INVALID_CONFIG,
            f"application {application.name} wants the shim {application.shim.name}: this server runs processes of "
            "the machine only. Register it with the shim HOST.",
        )
    if not application.command:
        raise FlameError(
            FlameErrorCode.INVALID_CONFIG,
            f"application {application.name} has no command: register it with what its workers are started with.",
        )
