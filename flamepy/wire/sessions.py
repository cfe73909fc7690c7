# SPDX-License-Identifier: Apache-2.0
"""Sessions, and what happened to them, as messages and back."""

from __future__ import annotations

from flamepy.core.resources import ResourceRequirement
from flamepy.core.session import Event, SessionAttributes, SessionState, SessionView
from flamepy.wire import messages
from flamepy.wire.states import state_of
from flamepy.wire.times import from_ms, to_ms


def specification(attributes: SessionAttributes) -> messages.SessionSpec:
    """What a session is opened with."""
    needs = attributes.resreq
    return messages.SessionSpec(
        application=attributes.application,
        common_data=attributes.common_data,
        min_instances=attributes.min_instances,
        max_instances=attributes.max_instances,
        batch_size=attributes.batch_size,
        resreq=None if needs is None else resources(needs),
    )


def attributes_of(session_id: str, spec: messages.SessionSpec) -> SessionAttributes:
    """What a client opens a session with."""
    return SessionAttributes(
        application=spec.application,
        id=session_id,
        common_data=spec.common_data if spec.HasField("common_data") else None,
        min_instances=spec.min_instances,
        max_instances=spec.max_instances if spec.HasField("max_instances") else None,
        batch_size=spec.batch_size,
        resreq=requirement_of(spec.resreq) if spec.HasField("resreq") else None,
    )


def message_of(view: SessionView, spec: messages.SessionSpec) -> messages.Session:
    """A session, as a server tells it."""
    return messages.Session(
        metadata=messages.Metadata(id=view.id, name=view.id),
        spec=spec,
        status=messages.SessionStatus(
            state=messages.SessionState.Name(view.state),
            creation_time=to_ms(view.creation_time),
            completion_time=None if view.completion_time is None else to_ms(view.completion_time),
            pending=view.pending,
            running=view.running,
            succeed=view.succeed,
            failed=view.failed,
            cancelled=view.cancelled,
            events=map(event_message, view.events),
        ),
    )


def view_of(message: messages.Session) -> SessionView:
    """A session, as a client knows it. Raises FlameError for a state that nobody knows."""
    status = message.status
    return SessionView(
        id=message.metadata.id,
        application=message.spec.application,
        state=state_of(SessionState, status.state),
        creation_time=from_ms(status.creation_time),
        completion_time=from_ms(status.completion_time) if status.HasField("completion_time") else None,
        pending=status.pending,
        running=status.running,
        succeed=status.succeed,
        failed=status.failed,
        cancelled=status.cancelled,
        events=tuple(map(event_of, status.events)),
    )


def resources(needs: ResourceRequirement) -> messages.ResourceRequirement:
    return messages.ResourceRequirement(cpu=needs.cpu, memory=needs.memory, gpu=needs.gpu)


def requirement_of(message: messages.ResourceRequirement) -> ResourceRequirement:
    return ResourceRequirement(cpu=message.cpu, memory=message.memory, gpu=message.gpu)


def event_message(event: Event) -> messages.Event:
    time = event.creation_time
    return messages.Event(code=event.code, message=event.message, creation_time=None if time is None else to_ms(time))


def event_of(message: messages.Event) -> Event:
    """A time of 0 is one that the server does not know."""
    return Event(
        code=message.code,
        message=message.message if message.HasField("message") else None,
        creation_time=from_ms(message.creation_time) if message.creation_time else None,
    )
