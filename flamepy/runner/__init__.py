# SPDX-License-Identifier: Apache-2.0
"""What users hold: Runner, RunnerService, ObjectFuture. Each loads on first use: workers need only ``types``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flamepy.runner.attaching import OpenService as OpenService
    from flamepy.runner.attaching import attach as attach
    from flamepy.runner.attaching import open_services as open_services
    from flamepy.runner.environment import EnvironmentWarning as EnvironmentWarning
    from flamepy.runner.futures import ObjectFuture as ObjectFuture
    from flamepy.runner.futures import UnsavedStateWarning as UnsavedStateWarning
    from flamepy.runner.iterators import ObjectFutureIterator as ObjectFutureIterator
    from flamepy.runner.link import ServiceView as ServiceView
    from flamepy.runner.methods import ConstructorNeedsArguments as ConstructorNeedsArguments
    from flamepy.runner.methods import UnknownMethod as UnknownMethod
    from flamepy.runner.methods import unknown_attribute as unknown_attribute
    from flamepy.runner.progress import show_progress_with as show_progress_with
    from flamepy.runner.progress import wait_for_all as wait_for_all
    from flamepy.runner.runner import Runner as Runner
    from flamepy.runner.runner import StaleCodeWarning as StaleCodeWarning
    from flamepy.runner.service import RemoteMethod as RemoteMethod
    from flamepy.runner.service import RunnerService as RunnerService
    from flamepy.runner.service import view_of as view_of
    from flamepy.runner.signatures import WrongArguments as WrongArguments
    from flamepy.runner.signatures import described as described
    from flamepy.runner.signatures import signature_of_method as signature_of_method
    from flamepy.runner.streams import ObjectStream as ObjectStream
    from flamepy.runner.types import RunnerContext as RunnerContext
    from flamepy.runner.types import RunnerRequest as RunnerRequest
    from flamepy.runner.types import SessionContext as SessionContext
    from flamepy.runner.waits import Watch as Watch
    from flamepy.runner.waits import waiting_for as waiting_for
    from flamepy.runner.waits import watch_waits as watch_waits

_HOMES = {
    "ConstructorNeedsArguments": "methods",
    "UnknownMethod": "methods",
    "unknown_attribute": "methods",
    "EnvironmentWarning": "environment",
    "ObjectFuture": "futures",
    "ObjectFutureIterator": "iterators",
    "ObjectStream": "streams",
    "OpenService": "attaching",
    "RemoteMethod": "service",
    "Runner": "runner",
    "RunnerContext": "types",
    "RunnerRequest": "types",
    "RunnerService": "service",
    "ServiceView": "link",
    "SessionContext": "types",
    "StaleCodeWarning": "runner",
    "UnsavedStateWarning": "futures",
    "WrongArguments": "signatures",
    "attach": "attaching",
    "described": "signatures",
    "open_services": "attaching",
    "show_progress_with": "progress",
    "signature_of_method": "signatures",
    "view_of": "service",
    "wait_for_all": "progress",
    "waiting_for": "waits",
    "watch_waits": "waits",
    "Watch": "waits",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
