# SPDX-License-Identifier: Apache-2.0
"""Asking about a result where it lies: a worker reads it, the caller gets only the answer. For displays.

The questions of one application share a session and a worker of their own, so that they neither wait for the calls
of the user nor take their place. They are no service of a Runner, and their calls have no number; the session ends
together with the application.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flamepy.codec.pickling import encode
from flamepy.engine.api import Call, Engine, SessionSpec
from flamepy.engine.completion import Completion
from flamepy.errors import NotFound, RunnerClosed
from flamepy.runner.types import RunnerContext, ShortRequest


class QueryService:
    """What the worker keeps. It has no state: each question reads its value anew."""

    def run(self, function: Callable[..., Any], value: object, arguments: tuple[Any, ...]) -> Any:
        return function(value, *arguments)


def ask_where_it_is(
    engine: Engine, call: Completion, future: object, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> Completion:
    """Call ``function(value, *arguments)`` on a worker, with the value of ``call``. Raises RunnerClosed.

    function: importable there. future: of the call, as an argument. A question about a call that has not ended waits
    for it.
    """
    try:
        application = engine.sessions.get(call.session_id).application
        session_id = f"{application}-queries"
        definition = encode(RunnerContext(QueryService()), what="the service of queries")
        engine.sessions.open(session_id, SessionSpec(application, definition, is_stateful=True, max_instances=1))
    except NotFound as error:
        raise RunnerClosed(
            f"the Runner of {call.name} is closed, so no worker can read its result: take it with get()."
        ) from error
    request: ShortRequest = ("run", (function, future, arguments), None)
    payload = encode(request, dependencies=[], what=f"a question about {call.name}")
    return engine.submit(session_id, Call(payload, dependencies=(call,), name=f"about {call.name}"))
