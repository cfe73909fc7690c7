# SPDX-License-Identifier: Apache-2.0
"""What a front end builds on: the names beyond those of a program, kept as stable. flame_jupyter uses no others.

A front end is what people see of flamepy: it shows calls that run, finds out why a service cannot be made, and turns
errors into words. Each name loads its home on first use, so that an extension costs nothing before it is needed.

Example:
    >>> from flamepy.front_ends import parse_bytes, short_repr
    >>> parse_bytes("2M", "the limit")
    2097152
    >>> short_repr([1] * 1000)
    '[1, 1, 1, 1, 1, 1, ...]'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flamepy.clock import monotonic_s as monotonic_s
    from flamepy.core.resources import parse_bytes as parse_bytes
    from flamepy.core.shown import short_repr as short_repr
    from flamepy.engine.select import cluster_of as cluster_of
    from flamepy.engine.select import load_cluster as load_cluster
    from flamepy.runner.service.handle import RESERVED_NAMES as RESERVED_NAMES
    from flamepy.runner.service.handle import view_of as view_of
    from flamepy.runner.service.interface import ConstructorNeedsArguments as ConstructorNeedsArguments
    from flamepy.runner.service.interface import interface_of as interface_of
    from flamepy.runner.service.interface import open_save_of as open_save_of
    from flamepy.runner.service.interface import public_methods as public_methods
    from flamepy.runner.service.interface import unknown_attribute as unknown_attribute
    from flamepy.runner.service.signatures import described as described
    from flamepy.runner.service.signatures import signature_of_method as signature_of_method
    from flamepy.runner.types import kind_of as kind_of
    from flamepy.runner.waiting.hooks import watch_waits as watch_waits
    from flamepy.runner.waiting.progress import show_progress_with as show_progress_with
    from flamepy.runner.waiting.progress import wait_for_all as wait_for_all
    from flamepy.runner.waiting.user_errors import told as told
    from flamepy.tools.cluster import connection_problem as connection_problem
    from flamepy.tools.doctor import examine as examine
    from flamepy.tools.findings import Finding as Finding
    from flamepy.tools.findings import Level as Level
    from flamepy.tools.findings import Report as Report
    from flamepy.tools.hiding import NEEDED as NEEDED
    from flamepy.tools.hiding import hiding_files as hiding_files
    from flamepy.tools.installation import kernel_problem as kernel_problem

_HOMES = {
    "monotonic_s": "flamepy.clock",
    "parse_bytes": "flamepy.core.resources",
    "short_repr": "flamepy.core.shown",
    "cluster_of": "flamepy.engine.select",
    "load_cluster": "flamepy.engine.select",
    "RESERVED_NAMES": "flamepy.runner.service.handle",
    "view_of": "flamepy.runner.service.handle",
    "ConstructorNeedsArguments": "flamepy.runner.service.interface",
    "interface_of": "flamepy.runner.service.interface",
    "open_save_of": "flamepy.runner.service.interface",
    "public_methods": "flamepy.runner.service.interface",
    "unknown_attribute": "flamepy.runner.service.interface",
    "described": "flamepy.runner.service.signatures",
    "signature_of_method": "flamepy.runner.service.signatures",
    "kind_of": "flamepy.runner.types",
    "watch_waits": "flamepy.runner.waiting.hooks",
    "show_progress_with": "flamepy.runner.waiting.progress",
    "wait_for_all": "flamepy.runner.waiting.progress",
    "told": "flamepy.runner.waiting.user_errors",
    "connection_problem": "flamepy.tools.cluster",
    "examine": "flamepy.tools.doctor",
    "Finding": "flamepy.tools.findings",
    "Level": "flamepy.tools.findings",
    "Report": "flamepy.tools.findings",
    "NEEDED": "flamepy.tools.hiding",
    "hiding_files": "flamepy.tools.hiding",
    "kernel_problem": "flamepy.tools.installation",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
