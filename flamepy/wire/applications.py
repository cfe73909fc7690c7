# SPDX-License-Identifier: Apache-2.0
"""Applications as messages and back."""

from __future__ import annotations

from typing import Any

from flamepy.core.application import (
    DEFAULT_DELAY_RELEASE_S,
    DEFAULT_MAX_INSTANCES,
    Application,
    ApplicationAttributes,
    ApplicationSchema,
    ApplicationState,
    Shim,
)
from flamepy.wire import messages
from flamepy.wire.states import state_of
from flamepy.wire.times import from_ms, to_ms

_SAME = ("description", "image", "command", "working_directory", "max_instances", "delay_release", "url", "installer")

_TEXTS = ("input", "output", "common_data")


def specification(attributes: ApplicationAttributes | Application) -> messages.ApplicationSpec:
    """What an application is registered with. Blank texts of the schema are left out: a server refuses them."""
    schema = attributes.schema or ApplicationSchema()
    texts = {name: text for name in _TEXTS if (text := getattr(schema, name)) is not None and text.strip()}
    return messages.ApplicationSpec(
        shim=messages.Shim.Name(attributes.shim or Shim.HOST),
        labels=attributes.labels or (),
        arguments=attributes.arguments or (),
        environments=[
            messages.Environment(name=name, value=value) for name, value in (attributes.environments or {}).items()
        ],
        schema=messages.ApplicationSchema(**texts) if texts else None,
        **{name: value for name in _SAME if (value := getattr(attributes, name)) is not None},
    )


def attributes_of(spec: messages.ApplicationSpec) -> ApplicationAttributes:
    """What a client registers an application with. Raises FlameError for a shim that nobody knows."""
    return ApplicationAttributes(
        shim=state_of(Shim, spec.shim),
        labels=list(spec.labels),
        arguments=list(spec.arguments),
        environments={each.name: each.value for each in spec.environments},
        schema=_schema_of(spec),
        **_told(spec),
    )


def message_of(application: Application) -> messages.Application:
    """A registered application, as a server tells it."""
    return messages.Application(
        metadata=messages.Metadata(id=application.id, name=application.name),
        spec=specification(application),
        status=messages.ApplicationStatus(
            state=messages.ApplicationState.Name(application.state), creation_time=to_ms(application.creation_time)
        ),
    )


def application_of(message: messages.Application) -> Application:
    """A registered application, as a client knows it. Raises FlameError for a state that nobody knows."""
    spec = message.spec
    told = {"max_instances": DEFAULT_MAX_INSTANCES, "delay_release": DEFAULT_DELAY_RELEASE_S, **_told(spec)}
    return Application(
        id=message.metadata.id,
        name=message.metadata.name,
        state=state_of(ApplicationState, message.status.state),
        creation_time=from_ms(message.status.creation_time),
        shim=state_of(Shim, spec.shim),
        labels=list(spec.labels),
        arguments=list(spec.arguments),
        environments={each.name: each.value for each in spec.environments},
        schema=_schema_of(spec),
        **told,
    )


def _told(spec: messages.ApplicationSpec) -> dict[str, Any]:
    """The fields that are there: absent is another thing than empty."""
    return {name: getattr(spec, name) for name in _SAME if spec.HasField(name)}


def _schema_of(spec: messages.ApplicationSpec) -> ApplicationSchema | None:
    """None also for an empty one, which a cluster answers where there was none."""
    texts = {
        name: getattr(spec.schema, name) for name in ("input", "output", "common_data") if spec.schema.HasField(name)
    }
    return ApplicationSchema(**texts) if texts else None
