# SPDX-License-Identifier: Apache-2.0
"""Applications: what can be run, under which name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

DEFAULT_MAX_INSTANCES = 1_000_000  # what the reference server fills in
DEFAULT_DELAY_RELEASE_S = 60


class ApplicationState(IntEnum):
    ENABLED = 0
    DISABLED = 1


class Shim(IntEnum):
    HOST = 0
    WASM = 1


@dataclass(frozen=True)
class ApplicationSchema:
    """JSON Schema texts of a task's input, its output and the session's common data."""

    input: str | None = None
    output: str | None = None
    common_data: str | None = None


@dataclass(frozen=True)
class ApplicationAttributes:
    """What the author of an application says about it. ``url``: where its package lies; None = nothing to install."""

    shim: Shim | None = None
    image: str | None = None
    description: str | None = None
    labels: list[str] | None = None
    command: str | None = None
    arguments: list[str] | None = None
    environments: dict[str, str] | None = None
    working_directory: str | None = None
    max_instances: int | None = None
    delay_release: int | None = None
    schema: ApplicationSchema | None = None
    url: str | None = None
    installer: str | None = None


@dataclass(frozen=True)
class Application:
    """A registered application, defaults filled in."""

    id: str
    name: str
    state: ApplicationState
    creation_time: datetime
    shim: Shim = Shim.HOST
    image: str | None = None
    description: str | None = None
    labels: list[str] = field(default_factory=list)
    command: str | None = None
    arguments: list[str] = field(default_factory=list)
    environments: dict[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    max_instances: int = DEFAULT_MAX_INSTANCES
    delay_release: int = DEFAULT_DELAY_RELEASE_S
    schema: ApplicationSchema | None = None
    url: str | None = None
    installer: str | None = None
