# SPDX-License-Identifier: Apache-2.0
"""What a Runner's session is opened with, and what each call sends. Pinned: 0.6 pickles these under this path.

Standard library only. The order of the fields is the order of the pickled state.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

MAX_SESSION_ID_CHARS = 128  # 0.6's limit


@dataclass
class RunnerContext:
    """The definition of a service, for ``create_session``; ``Runner.service`` makes it by itself.

    Attributes:
        execution_object: The function, class or instance.
        stateful: Does it keep state between calls? Filled in; another value than that is a ValueError.
        autoscale: May it run on several workers? None = functions do, classes and instances do not.
        warmup: Workers to start at once.
        min_instances: Filled in: workers to keep for it on a cluster.
        max_instances: Filled in: workers that it may have at one time; None = no limit of its own.

    Raises:
        ValueError: For a combination that has no meaning.

    Example:
        >>> from flamepy.runner import RunnerContext
        >>> RunnerContext(len).max_instances, RunnerContext(set).max_instances
        (None, 1)
    """

    execution_object: Any
    stateful: bool | None = None
    autoscale: bool | None = None
    warmup: int = 0
    min_instances: int = field(init=False, default=0)
    max_instances: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if isinstance(self.warmup, bool) or not isinstance(self.warmup, int) or self.warmup < 0:
            raise ValueError(f"warmup must be a non-negative integer, got {self.warmup!r}.")
        kind = kind_of(self.execution_object)
        if kind == "instance" and self.autoscale:
            raise ValueError(
                "Object instance services are always fixed: one object cannot live in several workers. "
                "Leave autoscale out, or pass the class with autoscale=True to have one object per worker."
            )
        if self.autoscale is None:
            self.autoscale = kind == "function"
        wanted = kind == "instance" or (kind == "class" and not self.autoscale)
        if self.stateful is not None and self.stateful != wanted:
            raise ValueError(
                f"stateful={self.stateful} does not fit a {kind} with autoscale={self.autoscale}: leave stateful out."
            )
        self.stateful = wanted
        if self.stateful and self.warmup > 1:
            raise ValueError("A stateful service has one worker: use warmup=0 or warmup=1.")
        self.min_instances = self.warmup if self.warmup > 0 else int(not self.autoscale)
        self.max_instances = None if self.autoscale else max(self.min_instances, 1)


@dataclass
class RunnerRequest:
    """One call, as the input of a task of ``flmrun``.

    Attributes:
        method: The name of the method; None = call the object itself.
        args: Positional arguments; None = none.
        kwargs: Arguments by name; None = none.

    Raises:
        ValueError: For values of other types.
    """

    method: str | None = None
    args: tuple[Any, ...] | list[Any] | None = None
    kwargs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.method is not None and not isinstance(self.method, str):
            raise ValueError(f"method must be a string or None, got {type(self.method).__name__}")
        if self.args is not None and not isinstance(self.args, (tuple, list)):
            raise ValueError(f"args must be a tuple or list, got {type(self.args).__name__}")
        if self.kwargs is not None and not isinstance(self.kwargs, dict):
            raise ValueError(f"kwargs must be a dict, got {type(self.kwargs).__name__}")


# What our own workers read in place of a RunnerRequest: method, args, kwargs. It pickles six times as fast.
ShortRequest = tuple[str | None, tuple[Any, ...] | None, dict[str, Any] | None]


@dataclass
class SessionContext:
    """Set as ``_session_context`` on an execution object, it chooses the id of the service's session.

    Attributes:
        session_id: The id, of at most 128 characters. An open session of that id is joined.
        application_name: For people; None = nothing is said.

    Raises:
        ValueError: For an id that cannot be.

    Example:
        >>> from flamepy import Runner
        >>> from flamepy.runner import SessionContext
        >>> def echo(value):
        ...     return value
        >>> echo._session_context = SessionContext("my-echo")
        >>> with Runner("docs") as runner:
        ...     runner.service(echo)(1).session_id
        'my-echo'
    """

    session_id: str
    application_name: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.session_id, str):
            raise ValueError(f"session_id must be a string, got {type(self.session_id).__name__}")
        if not self.session_id:
            raise ValueError("session_id cannot be empty string")
        if len(self.session_id) > MAX_SESSION_ID_CHARS:
            raise ValueError(f"session_id too long ({len(self.session_id)} chars, max {MAX_SESSION_ID_CHARS})")
        if self.application_name is not None and not isinstance(self.application_name, str):
            raise ValueError(f"application_name must be a string, got {type(self.application_name).__name__}")


def kind_of(execution_object: Any) -> str:
    """Is it a "function", a "class" or an "instance"? Partials and bound methods are functions."""
    if inspect.isclass(execution_object):
        return "class"
    import functools

    if inspect.isroutine(execution_object) or isinstance(execution_object, functools.partial):
        return "function"
    return "instance"
