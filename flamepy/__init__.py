# SPDX-License-Identifier: Apache-2.0
"""Run functions and classes on worker processes. The front door: every public name, loaded when it is first used.

``import flamepy`` itself costs next to nothing, because a notebook imports it before it knows what it needs.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flamepy import errors, rl, runner, util
    from flamepy.client.connection import Connection, Session
    from flamepy.client.functions import (
        close_session,
        connect,
        create_session,
        get_application,
        get_session,
        list_applications,
        list_executors,
        list_sessions,
        open_session,
        register_application,
        unregister_application,
    )
    from flamepy.client.objects import delete_objects, get_object, patch_object, put_object, update_object
    from flamepy.client.task_future import TaskFuture
    from flamepy.client.watcher import TaskInformer, TaskWatcher
    from flamepy.config import (
        FlameConfigWarning,
        FlameContext,
        FlameContextCache,
        FlameContextRunner,
        FlameContextTls,
        FlamePackage,
    )
    from flamepy.core.application import (
        Application,
        ApplicationAttributes,
        ApplicationSchema,
        ApplicationState,
        Shim,
    )
    from flamepy.core.cache import ObjectRef
    from flamepy.core.cluster import ClusterView, ExecutorView, NodeView
    from flamepy.core.names import short_name
    from flamepy.core.resources import ResourceRequirement
    from flamepy.core.session import Event, SessionAttributes, SessionState, SessionView
    from flamepy.core.task import Task, TaskState
    from flamepy.engine.api import WorkerView
    from flamepy.engine.current import shutdown
    from flamepy.errors import (
        AlreadyExists,
        CallCancelled,
        CallTimeout,
        ConnectionLost,
        DependencyFailed,
        EngineFailed,
        EngineForked,
        ExecutorLost,
        FlameError,
        FlameErrorCode,
        InvalidArgument,
        InvalidConfig,
        InvalidState,
        NotFound,
        NotPicklable,
        PackageError,
        RunnerClosed,
        StateLost,
        StreamLost,
        TaskFailed,
        TlsFailed,
        WorkerLost,
    )
    from flamepy.runner.runner import Runner
    from flamepy.runner.service.handle import RunnerService
    from flamepy.runner.service.object_stream import ObjectStream
    from flamepy.runner.waiting.object_future import ObjectFuture

    __version__: str

__all__ = [  # noqa: RUF022 - grouped by what they are for
    # run functions and classes
    "Runner", "RunnerService", "ObjectFuture", "ObjectStream", "shutdown",
    # objects in the cache
    "ObjectRef", "put_object", "get_object", "update_object", "patch_object", "delete_objects",
    # configuration
    "FlameContext", "FlamePackage", "FlameContextRunner", "FlameContextCache", "FlameContextTls", "FlameConfigWarning",
    # applications, sessions and tasks as bytes
    "connect", "Connection", "Session", "TaskFuture", "TaskWatcher", "TaskInformer",
    "register_application", "unregister_application", "get_application", "list_applications", "list_executors",
    "create_session", "open_session", "get_session", "list_sessions", "close_session",
    # what they are
    "Application", "ApplicationAttributes", "ApplicationSchema", "ApplicationState", "Shim",
    "SessionAttributes", "SessionState", "SessionView", "Task", "TaskState", "Event", "ResourceRequirement",
    "WorkerView", "ClusterView", "NodeView", "ExecutorView",
    # what can go wrong
    "FlameError", "FlameErrorCode", "InvalidConfig", "InvalidState", "InvalidArgument", "AlreadyExists", "NotFound",
    "RunnerClosed", "EngineFailed", "EngineForked", "PackageError", "NotPicklable", "CallTimeout", "CallCancelled",
    "ConnectionLost", "TlsFailed", "TaskFailed", "DependencyFailed", "WorkerLost", "ExecutorLost", "StateLost",
    "StreamLost",
    # the rest
    "short_name", "errors", "rl", "runner", "util", "__version__",
]  # fmt: skip

_HOMES = {
    "flamepy.runner.runner": ("Runner",),
    "flamepy.runner.service.handle": ("RunnerService",),
    "flamepy.runner.waiting.object_future": ("ObjectFuture",),
    "flamepy.runner.service.object_stream": ("ObjectStream",),
    "flamepy.engine.current": ("shutdown",),
    "flamepy.engine.api": ("WorkerView",),
    "flamepy.client.objects": ("put_object", "get_object", "update_object", "patch_object", "delete_objects"),
    "flamepy.client.connection": ("Connection", "Session"),
    "flamepy.client.functions": (
        "connect", "register_application", "unregister_application", "get_application",
        "list_applications", "list_executors", "create_session", "open_session", "get_session", "list_sessions",
        "close_session",
    ),
    "flamepy.client.task_future": ("TaskFuture",),
    "flamepy.client.watcher": ("TaskWatcher", "TaskInformer"),
    "flamepy.config": (
        "FlameContext", "FlamePackage", "FlameContextRunner", "FlameContextCache", "FlameContextTls",
        "FlameConfigWarning",
    ),
    "flamepy.core.application": (
        "Application", "ApplicationAttributes", "ApplicationSchema", "ApplicationState", "Shim",
    ),
    "flamepy.core.cache": ("ObjectRef",),
    "flamepy.core.cluster": ("ClusterView", "NodeView", "ExecutorView"),
    "flamepy.core.names": ("short_name",),
    "flamepy.core.resources": ("ResourceRequirement",),
    "flamepy.core.session": ("SessionAttributes", "SessionState", "SessionView", "Event"),
    "flamepy.core.task": ("Task", "TaskState"),
    "flamepy.errors": (
        "FlameError", "FlameErrorCode", "InvalidConfig", "InvalidState", "InvalidArgument", "AlreadyExists",
        "NotFound", "RunnerClosed", "EngineFailed", "EngineForked", "PackageError", "NotPicklable", "CallTimeout",
        "CallCancelled", "ConnectionLost", "TlsFailed", "TaskFailed", "DependencyFailed", "WorkerLost", "ExecutorLost",
        "StateLost", "StreamLost",
    ),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_SUBMODULES = ("errors", "rl", "runner", "util")


if sys.version_info < (3, 11):
    # "All other data types are ignored during import", says the documentation of sys.path; this version fails at bytes.
    sys.path[:] = [each for each in sys.path if not isinstance(each, bytes)]


def __getattr__(name: str) -> Any:
    value: Any
    if name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"flamepy.{name}")
    elif name == "__version__":
        value = _version()
    else:
        raise AttributeError(f"module 'flamepy' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("flame-jupyter")
    except metadata.PackageNotFoundError:  # imported from a source tree that was not installed
        return "0+unknown"
