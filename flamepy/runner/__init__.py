# SPDX-License-Identifier: Apache-2.0
"""What users hold: Runner, RunnerService, ObjectFuture. Each loads on first use: workers need only ``types``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flamepy.engine.environment import EnvironmentWarning as EnvironmentWarning
    from flamepy.engine.unsupported import UnsupportedOptionWarning as UnsupportedOptionWarning
    from flamepy.runner.deploy.deployment import PackageKeptWarning as PackageKeptWarning
    from flamepy.runner.runner import Runner as Runner
    from flamepy.runner.runner import StaleCodeWarning as StaleCodeWarning
    from flamepy.runner.service.attaching import OpenService as OpenService
    from flamepy.runner.service.attaching import attach as attach
    from flamepy.runner.service.attaching import open_services as open_services
    from flamepy.runner.service.handle import RemoteMethod as RemoteMethod
    from flamepy.runner.service.handle import RunnerService as RunnerService
    from flamepy.runner.service.interface import ConstructorNeedsArguments as ConstructorNeedsArguments
    from flamepy.runner.service.interface import UnknownMethod as UnknownMethod
    from flamepy.runner.service.object_stream import ObjectStream as ObjectStream
    from flamepy.runner.service.service_link import ServiceView as ServiceView
    from flamepy.runner.service.signatures import WrongArguments as WrongArguments
    from flamepy.runner.types import RunnerContext as RunnerContext
    from flamepy.runner.types import RunnerRequest as RunnerRequest
    from flamepy.runner.types import SessionContext as SessionContext
    from flamepy.runner.waiting.hooks import Watch as Watch
    from flamepy.runner.waiting.hooks import waiting_for as waiting_for
    from flamepy.runner.waiting.iterators import ObjectFutureIterator as ObjectFutureIterator
    from flamepy.runner.waiting.object_future import ObjectFuture as ObjectFuture
    from flamepy.runner.waiting.object_future import UnsavedStateWarning as UnsavedStateWarning

_HOMES = {
    "ConstructorNeedsArguments": "service.interface",
    "UnknownMethod": "service.interface",
    "EnvironmentWarning": "flamepy.engine.environment",
    "UnsupportedOptionWarning": "flamepy.engine.unsupported",
    "ObjectFuture": "waiting.object_future",
    "ObjectFutureIterator": "waiting.iterators",
    "ObjectStream": "service.object_stream",
    "OpenService": "service.attaching",
    "RemoteMethod": "service.handle",
    "Runner": "runner",
    "RunnerContext": "types",
    "RunnerRequest": "types",
    "RunnerService": "service.handle",
    "ServiceView": "service.service_link",
    "SessionContext": "types",
    "PackageKeptWarning": "deploy.deployment",
    "StaleCodeWarning": "runner",
    "UnsavedStateWarning": "waiting.object_future",
    "WrongArguments": "service.signatures",
    "attach": "service.attaching",
    "open_services": "service.attaching",
    "waiting_for": "waiting.hooks",
    "Watch": "waiting.hooks",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home if home.startswith("flamepy.") else f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
