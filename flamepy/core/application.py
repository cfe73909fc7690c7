# SPDX-License-Identifier: Apache-2.0
"""Applications: what can be run, under which name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from flamepy.core.shown import url_without_secrets

DEFAULT_MAX_INSTANCES = 1_000_000  # what the reference server fills in
DEFAULT_DELAY_RELEASE_S = 60


class ApplicationState(IntEnum):
    """Does an application take sessions?

    Attributes:
        ENABLED: It does.
        DISABLED: It does not.
    """

    ENABLED = 0
    DISABLED = 1


class Shim(IntEnum):
    """What runs an application's code.

    Attributes:
        HOST: A process of the machine.
        WASM: A WebAssembly runtime; on clusters only.
    """

    HOST = 0
    WASM = 1


@dataclass(frozen=True)
class ApplicationSchema:
    """JSON Schema texts of what an application takes and gives; None where nothing is said.

    Attributes:
        input: Of a task's input.
        output: Of a task's output.
        common_data: Of what all tasks of a session share.
    """

    input: str | None = None
    output: str | None = None
    common_data: str | None = None


class _Shown:
    """Shows the fields of a record, and of its url what is no secret: a notebook keeps what it displays."""

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}  # type: ignore[attr-defined]
        if values["url"] is not None:
            values["url"] = url_without_secrets(values["url"])
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})"


@dataclass(frozen=True, repr=False)
class ApplicationAttributes(_Shown):
    """What the author of an application says about it; None = the engine's default.

    Attributes:
        shim: What runs its code.
        image: A container image, for clusters.
        description: For people.
        labels: For people, and for tools that choose by them.
        command: What a worker is started with.
        arguments: Of the command.
        environments: Variables of its workers.
        working_directory: Of its workers.
        max_instances: How many workers it may have at one time.
        delay_release: How long a worker without work is kept, in seconds.
        schema: What its tasks take and give.
        url: Where its package lies; None = nothing to install.
        installer: What installs the package.
    """

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


@dataclass(frozen=True, repr=False)
class Application(_Shown):
    """A registered application, defaults filled in.

    Attributes:
        id: Made up when it was registered.
        name: What it is found by.
        state: Does it take sessions?
        creation_time: When it was registered.
        shim: What runs its code.
        image: A container image, for clusters.
        description: For people.
        labels: For people, and for tools that choose by them.
        command: What a worker is started with.
        arguments: Of the command.
        environments: Variables of its workers.
        working_directory: Of its workers.
        max_instances: How many workers it may have at one time.
        delay_release: How long a worker without work is kept, in seconds.
        schema: What its tasks take and give.
        url: Where its package lies; None = nothing to install.
        installer: What installs the package.
    """

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
