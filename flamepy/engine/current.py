# SPDX-License-Identifier: Apache-2.0
"""The engine of this process: made on first use, ended by ``shutdown``, forgotten in a forked child.

The only module-level state of flamepy.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from flamepy.config import ContextFields, FlameContext
from flamepy.engine.api import Engine
from flamepy.engine.select import is_inside_worker, select_engine

logger = logging.getLogger(__name__)


@dataclass
class _Current:
    engine: Engine | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_current = _Current()


def current_engine(context: ContextFields | None = None) -> Engine:
    """The engine that calls go to, made on first use as ``context`` or else the configuration says.

    One that had to give up is replaced: its calls have been told why.

    Raises InvalidConfig.
    """
    state = _current
    engine = state.engine
    if engine is not None and engine.is_alive:
        return engine
    with state.lock:
        if state.engine is not None and not state.engine.is_alive:  # it had to give up: what is left of it goes
            logger.debug("engine replaced name=%s pid=%d", state.engine.name, os.getpid())
            state.engine.close()
            state.engine = None
        if state.engine is None:
            if is_inside_worker(os.environ):
                context = ContextFields()  # a worker's engine is given: whatever file lies around there has no say
            elif context is None:
                context = FlameContext()
            state.engine = select_engine(context, os.environ)
            logger.debug("engine start name=%s pid=%d", state.engine.name, os.getpid())
        return state.engine


def engine_at(endpoint: str) -> Engine:
    """The engine whose cache has this address; where this process does not reach it, one that refuses.

    None is started for it.
    """
    engine = current_engine() if is_inside_worker(os.environ) else _current.engine
    if engine is not None and engine.cache.endpoint == endpoint:
        return engine
    from flamepy.engine.elsewhere import EngineElsewhere

    return cast("Engine", EngineElsewhere(endpoint))


def existing_engine() -> Engine | None:
    """The engine that calls go to, if one has been started."""
    return _current.engine


def shutdown() -> None:
    """End the engine wholly: calls, processes, threads, memory. Idempotent; the next use starts a new one."""
    state = _current
    with state.lock:
        engine, state.engine = state.engine, None
    if engine is not None:
        logger.debug("engine shutdown name=%s pid=%d", engine.name, os.getpid())
        engine.close()


@contextlib.contextmanager
def use_engine(engine: Engine) -> Iterator[Engine]:
    """Make ``engine`` the current one for a while. It is not closed afterwards."""
    state = _current
    with state.lock:
        previous, state.engine = state.engine, engine
    try:
        yield engine
    finally:
        with state.lock:
            state.engine = previous


def _forget_in_child() -> None:
    """A forked child owns none of the parent's workers, and the lock may be held by a thread that is not there."""
    global _current
    engine, _current = _current.engine, _Current()
    if engine is not None:
        engine.abandon_in_child()


os.register_at_fork(after_in_child=_forget_in_child)
atexit.register(shutdown)
