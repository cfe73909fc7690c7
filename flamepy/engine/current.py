# SPDX-License-Identifier: Apache-2.0
"""The engines of this process, one for each target that configurations connect to.

Each is made on first use, ended by ``shutdown``, and forgotten in a forked child. The only module-level state of
flamepy.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from flamepy.config import ContextFields, FlameConfigWarning, FlameContext
from flamepy.engine.api import Engine
from flamepy.engine.select import HERE, Target, is_inside_worker, start_engine, target_of

logger = logging.getLogger(__name__)


@dataclass
class _Engines:
    """default: what the configuration of the process connects to, None = not looked at yet."""

    by_target: dict[Target, Engine] = field(default_factory=dict)
    default: Target | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_engines = _Engines()


def current_engine() -> Engine:
    """The engine that the configuration of this process means; in a call, the one that runs it.

    Raises InvalidConfig, InvalidArgument.
    """
    state = _engines
    found = None if state.default is None else state.by_target.get(state.default)
    if found is not None and found.is_alive:
        return found
    # in a call, whatever configuration file lies around there has no say
    context = ContextFields() if is_inside_worker(os.environ) else FlameContext()
    state.default = target_of(context)
    return engine_for(context)


def engine_for(context: ContextFields) -> Engine:
    """The engine of what ``context`` connects to, made on first use.

    One that had to give up is replaced: its calls have been told why. Warns where an engine that is there already does
    not have what the context asks for. Raises InvalidArgument.
    """
    state, target = _engines, target_of(context)
    engine = state.by_target.get(target)
    if engine is None or not engine.is_alive:
        with state.lock:
            engine = state.by_target.get(target)
            if engine is not None and not engine.is_alive:
                logger.debug("engine replaced kind=%s pid=%d", engine.info.kind, os.getpid())
                del state.by_target[target]
                engine.close()
                engine = None
            if engine is None:
                engine = state.by_target[target] = start_engine(context, os.environ)
                logger.debug("engine start kind=%s pid=%d", engine.info.kind, os.getpid())
    return engine


def warn_of_differences(context: ContextFields, engine: Engine) -> None:
    """Warn where ``engine``, which was there before, is not as ``context`` asks."""
    limit = engine.worker_limit
    if context.workers is not None and limit is not None and context.workers != limit:
        warnings.warn(
            f"the engine of this program runs with {limit} workers already, so the {context.workers} that the "
            f"configuration asks for are not used: call Runner.resize({context.workers}), or flamepy.shutdown() first.",
            FlameConfigWarning,
            stacklevel=3,
        )


def engine_at(endpoint: str) -> Engine:
    """The engine whose cache has this address; where this process does not reach it, one that refuses.

    None is started for it.
    """
    reached = existing_engines()
    if is_inside_worker(os.environ):
        reached.append(current_engine())
    for engine in reached:
        if engine.objects.endpoint == endpoint:
            return engine
    from flamepy.engine.elsewhere import EngineElsewhere

    return cast("Engine", EngineElsewhere(endpoint))


def existing_engines() -> list[Engine]:
    """Those that have been started, oldest first."""
    return list(_engines.by_target.values())


def shutdown() -> None:
    """End the engines of this process wholly: calls, workers, threads, memory. Idempotent.

    The next use starts a new one. A program that ends does this by itself.

    Example:
        >>> import flamepy
        >>> runner = flamepy.Runner("docs")
        >>> flamepy.shutdown()
        >>> runner.is_open()
        False
    """
    state = _engines
    with state.lock:
        engines, state.by_target, state.default = state.by_target, {}, None
    with contextlib.ExitStack() as stack:  # each, also when another one fails to end
        for engine in engines.values():
            logger.debug("engine shutdown kind=%s pid=%d", engine.info.kind, os.getpid())
            stack.callback(engine.close)


@contextlib.contextmanager
def use_engine(engine: Engine) -> Iterator[Engine]:
    """Make an engine the one of this process for a while. It is not closed afterwards.

    Args:
        engine: Any engine, such as those of ``flamepy.testing``.

    Returns:
        What ``with`` takes; it gives the engine.

    Example:
        >>> from flamepy import Runner
        >>> from flamepy.testing import InlineEngine, use_engine
        >>> engine = InlineEngine()
        >>> with use_engine(engine), Runner("docs") as runner:
        ...     runner
        <Runner docs (open, 0 services) on inline>
        >>> engine.close()
    """
    state = _engines
    with state.lock:
        before = state.by_target.get(HERE), state.default
        state.by_target[HERE], state.default = engine, HERE
    try:
        yield engine
    finally:
        with state.lock:
            previous, state.default = before
            if previous is None:
                state.by_target.pop(HERE, None)
            else:
                state.by_target[HERE] = previous


def _forget_in_child() -> None:
    """A forked child owns none of the parent's workers, and the lock may be held by a thread that is not there."""
    global _engines
    engines, _engines = _engines.by_target, _Engines()
    for engine in engines.values():
        engine.abandon_in_child()


os.register_at_fork(after_in_child=_forget_in_child)
atexit.register(shutdown)
