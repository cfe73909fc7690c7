# SPDX-License-Identifier: Apache-2.0
"""What is configured, and where each value came from: the file, a variable of the environment, or the default."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from flamepy.config import ContextFields, FlameContext
from flamepy.config.context import CONF_VARIABLE
from flamepy.core.shown import url_without_secrets
from flamepy.errors import InvalidConfig
from flamepy.tools.findings import Finding

GROUP = "Configuration"
_VARIABLES = {
    "endpoint": "FLAME_ENDPOINT",
    "cache endpoint": "FLAME_CACHE_ENDPOINT",
    "cache storage": "FLAME_CACHE_STORAGE",
    "workers": "FLAME_WORKERS",
    "memory limit": "FLAME_MEMORY_LIMIT",
}


def look_at_configuration(environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    environ = os.environ if environ is None else environ
    try:
        context = FlameContext(environ=environ)
        in_file = FlameContext(environ={CONF_VARIABLE: environ.get(CONF_VARIABLE, "")})
    except InvalidConfig as error:
        yield Finding.of_error(GROUP, "file", error)
        return
    yield Finding(GROUP, "file", _file_text(context, environ))
    for subject, value in _values(context).items():
        variable = _VARIABLES.get(subject, "")
        if value is None:
            continue
        is_from_environment = bool(environ.get(variable, "").strip()) and value != _values(in_file)[subject]
        yield Finding(GROUP, subject, f"{value} (from {variable if is_from_environment else 'the file'})")
    try:
        excludes = context.required_package().excludes
        yield Finding(GROUP, "package excludes", ", ".join(excludes))
    except InvalidConfig as error:
        yield Finding.of_error(GROUP, "package", error)


def _file_text(context: ContextFields, environ: Mapping[str, str]) -> str:
    if context.source is None:
        return "none, so the embedded engine runs the calls (~/.flame/flame.yaml or FLAME_CONF would name one)"
    by = f"named by {CONF_VARIABLE}" if environ.get(CONF_VARIABLE) else "the default place"
    kind = "context" if context.schema == "contexts" else "cluster"
    return f"{context.source} ({by}), {kind} {context.name!r}"


def _values(context: ContextFields) -> dict[str, object]:
    limit = context.memory_limit_bytes
    storage = None if context.package is None else context.package.storage
    return {
        "endpoint": context.endpoint,
        "cache endpoint": context.cache_endpoint,
        "cache storage": context.cache.storage,
        "package storage": None if storage is None else url_without_secrets(storage),
        "workers": context.workers,
        "memory limit": None if limit is None else f"{limit} bytes",
    }
