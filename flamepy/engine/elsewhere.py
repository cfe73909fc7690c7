# SPDX-License-Identifier: Apache-2.0
"""In place of an engine that this process cannot reach: what a handle gets that was pickled into a foreign process."""

from __future__ import annotations

from typing import Any, NoReturn

from flamepy.core.cache import ObjectRef
from flamepy.core.task import TaskState
from flamepy.engine.api import Call, EngineInfo
from flamepy.engine.completion import Completion, Outcome
from flamepy.errors import InvalidState

_CURE = (
    "belongs to another process, or to an engine that has ended: use it in the process that made it, and pass values."
)


class EngineElsewhere:
    """Stands in for an ``Engine``; each use is refused, in a line. endpoint: of its cache, which names the engine."""

    info = EngineInfo("elsewhere")
    is_alive = False

    def __init__(self, endpoint: str) -> None:
        self.objects = _ObjectsElsewhere(endpoint)

    def submit(self, _: str, call: Call) -> NoReturn:
        raise InvalidState(f"cannot call {call.name}: its service {_CURE}")

    def task(self, session_id: str, task_id: str) -> Completion:
        """A call that has ended with the refusal: loading it must not fail, which would end pools of processes."""
        completion = Completion(session_id, task_id, session_id)
        completion.complete(Outcome(TaskState.FAILED, error=InvalidState(f"this future {_CURE}")))
        return completion

    def pin(self, _: Completion) -> None:
        """The engine that has the call keeps it: this is a name that travels on."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Refusing()


class _Refusing:
    """A method, or a part with methods, of an engine that is not reached."""

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise InvalidState(f"this service {_CURE}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self


class _ObjectsElsewhere:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def get(self, ref: ObjectRef) -> NoReturn:
        raise InvalidState(f"the object {ref.key} {_CURE}")

    def patch(self, ref: ObjectRef, _: object) -> NoReturn:
        self.get(ref)

    def put(self, key: str, _: object) -> NoReturn:
        raise InvalidState(f"the object {key} {_CURE}")
