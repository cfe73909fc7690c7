# SPDX-License-Identifier: Apache-2.0
"""What a caller says about an application or a session, checked: pure functions."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any

from flamepy.codec.payload import Payload
from flamepy.core.application import Application, ApplicationAttributes, ApplicationSchema, Shim
from flamepy.core.session import SessionAttributes
from flamepy.engine.api import Capability, SessionSpec
from flamepy.errors import InvalidArgument


def application_attributes(given: ApplicationAttributes | Mapping[str, Any]) -> ApplicationAttributes:
    """Attributes from a record or from a mapping of its fields; blank schema texts count as absent.

    Raises InvalidArgument.
    """
    attributes = given if isinstance(given, ApplicationAttributes) else _from_mapping(given)
    for name, (kind, example) in _VALUES.items():
        value = getattr(attributes, name)
        if value is not None and not kind(value):
            raise InvalidArgument(f"application attribute {name} is {value!r}: write it like {name}={example}.")
    return dataclasses.replace(attributes, schema=_without_blanks(attributes.schema))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_text, value))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_variables(value: object) -> bool:
    return isinstance(value, Mapping) and _is_texts([*value, *value.values()])


# What a value of each attribute is, with an example for who gave another one.
_VALUES: dict[str, tuple[Callable[[object], bool], str]] = {
    "shim": (lambda value: isinstance(value, Shim), "Shim.HOST"),
    "image": (_is_text, "'python:3.12'"),
    "description": (_is_text, "'what it is for'"),
    "labels": (_is_texts, "['gpu', 'nightly']"),
    "command": (_is_text, "'python'"),
    "arguments": (_is_texts, "['-m', 'module']"),
    "environments": (_is_variables, "{'NAME': 'value'}"),
    "working_directory": (_is_text, "'/srv/data'"),
    "max_instances": (_is_count, "4"),
    "delay_release": (_is_count, "60"),
    "schema": (lambda value: isinstance(value, ApplicationSchema), "ApplicationSchema(input='{}')"),
    "url": (_is_text, "'file:///opt/flame/packages/app.tar'"),
    "installer": (_is_text, "'python'"),
}
# What the embedded engine's one way to run workers leaves no choice about.
_HOW_WORKERS_RUN = (
    "shim", "image", "command", "arguments", "working_directory", "max_instances", "delay_release", "installer",
)  # fmt: skip


def needed_capabilities(
    attributes: ApplicationAttributes, template: Application | None
) -> list[tuple[Capability, str]]:
    """What an engine must be able to do so that each attribute is heeded, with the attribute as its author wrote it.

    template: the engine's own application for Python calls: what is the same there is how it works anyway.
    """
    needed = []
    for name in _HOW_WORKERS_RUN:
        value = getattr(attributes, name)
        if value is not None and value != getattr(template, name, None):
            needed.append((Capability.COMMANDS, f"{name}={value!r}"))
    if attributes.environments:
        needed.append((Capability.ENVIRONMENTS, f"environments={attributes.environments!r}"))
    return needed


def session_spec(attributes: SessionAttributes) -> SessionSpec:
    """What the engine opens the session with. Raises InvalidArgument for common data that is not bytes."""
    data = attributes.common_data
    if data is not None and not isinstance(data, bytes):
        raise InvalidArgument(
            f"common_data must be bytes in core API, not {type(data).__name__}: pickle it, or use Runner.service."
        )
    return SessionSpec(
        application=attributes.application,
        definition=None if data is None else Payload(data),
        is_stateful=_has_state(data),
        min_instances=attributes.min_instances,
        max_instances=attributes.max_instances,
        warmup=attributes.min_instances,
        resreq=attributes.resreq,
        name=attributes.application,
        common_data=data,
    )


def _from_mapping(given: Mapping[str, Any]) -> ApplicationAttributes:
    if not isinstance(given, Mapping):
        raise InvalidArgument(
            f"application attributes must be ApplicationAttributes or a dict, not {type(given).__name__}: "
            "pass for example {'command': 'python'}."
        )
    values = dict(given)
    _refuse_unknown(values, ApplicationAttributes, "an application attribute")
    schema = values.get("schema")
    if isinstance(schema, Mapping):
        _refuse_unknown(schema, ApplicationSchema, "a schema field")
        values["schema"] = ApplicationSchema(**schema)
    elif schema is not None and not isinstance(schema, ApplicationSchema):
        raise InvalidArgument(f"schema must be an ApplicationSchema or a dict, not {type(schema).__name__}.")
    if values.get("shim") is not None:
        values["shim"] = _shim(values["shim"])
    return ApplicationAttributes(**values)


def _shim(value: Any) -> Shim:
    try:
        return Shim[value.upper()] if isinstance(value, str) else Shim(value)
    except (KeyError, ValueError) as error:
        raise InvalidArgument(f"{value!r} is not a shim: use Shim.HOST or Shim.WASM.") from error


def _refuse_unknown(given: Mapping[str, Any], record: type, noun: str) -> None:
    known = [field.name for field in dataclasses.fields(record)]
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            cure = f"Did you mean {close[0]!r}?" if close else f"Use one of {', '.join(known)}."
            raise InvalidArgument(f"{key!r} is not {noun}. {cure}")


def _without_blanks(schema: ApplicationSchema | None) -> ApplicationSchema | None:
    if schema is None:
        return None
    kept = {name: text for name, text in vars(schema).items() if text is not None and text.strip()}
    return ApplicationSchema(**kept) if kept else None


def _has_state(common_data: bytes | None) -> bool:
    """Is it a pickled RunnerContext of a stateful service? The engine must know, and does not look into bytes."""
    if common_data is None or b"RunnerContext" not in common_data:
        return False
    from flamepy.codec.pickling import decode

    try:
        context = decode(Payload(common_data))
    except Exception:  # noqa: BLE001 - anything may happen while user classes load; the worker will explain it
        return False
    return bool(getattr(context, "stateful", False))
