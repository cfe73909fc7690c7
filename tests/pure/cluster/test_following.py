# SPDX-License-Identifier: Apache-2.0
"""A worker that is silent is lost after a minute; one that cannot be heard is not, for five."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from flamepy.codec.payload import Payload
from flamepy.core.cache import ObjectRef
from flamepy.engine.cluster.calls.following import Following
from flamepy.errors import ExecutorLost, FlameError, FlameErrorCode
from flamepy.protocol.cluster.attendance import Sign, cancels_of

SIGN, CONTROL = "app/session/sign-packet", "app/session/control-packet"


class Cache:
    """Implements ``calls.values.Objects``; time passes when it is waited for."""

    def __init__(self, at: Callable[[float], tuple[int, Sign] | None]) -> None:
        self.now_s = 0.0
        self.at = at
        self.put: list[set[int]] = []

    def clock(self) -> float:
        return self.now_s

    async def pause(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)

    def look(self, key: str) -> tuple[int, memoryview] | None:
        assert key == SIGN
        found = self.at(self.now_s)
        return None if found is None else (found[0], memoryview(found[1].written()))

    def put_parts(self, key: str, parts: Sequence[bytes | memoryview]) -> ObjectRef:
        raise AssertionError(key)

    def put_once(self, key: str, data: bytes) -> int:
        raise AssertionError(key)

    def tell(self, key: str, data: bytes) -> None:
        assert key == CONTROL
        self.put.append(cancels_of(data))

    def payload(self, key: str) -> Payload:
        raise AssertionError(key)


def followed(at: Callable[[float], tuple[int, Sign] | None]) -> tuple[Cache, list[Sign], str]:
    """Follow to the end: the cache, what was heard, and why the worker counts as lost."""
    cache = Cache(at)
    heard: list[Sign] = []
    following = Following(cache, "app/session", "packet", heard.append, clock=cache.clock, pause=cache.pause)
    with pytest.raises(ExecutorLost) as lost:
        asyncio.run(following.until_lost(lambda: {7}))
    return cache, heard, str(lost.value)


def _silent(_: float) -> None:
    return None


def _until_100(now_s: float) -> tuple[int, Sign]:
    version = int(min(now_s, 100.0) // 5)
    return version, Sign(3, b"x" * version)


def _refusing(_: float) -> None:
    raise FlameError(FlameErrorCode.INTERNAL, "the cache does not answer")


def test_a_worker_that_never_gives_a_sign_is_lost_after_a_minute() -> None:
    cache, heard, why = followed(_silent)
    assert (round(cache.now_s), heard) == (61, [])
    assert "no sign of life for 60 s" in why


def test_a_worker_is_lost_a_minute_after_its_last_sign_and_is_told_what_shall_end_until_then() -> None:
    cache, heard, _ = followed(_until_100)
    assert round(cache.now_s) == 160
    assert [each.output for each in heard] == [b"x" * version for version in range(21)]
    assert cache.put == [{7}] * (159 // 5)


def test_a_cache_that_does_not_answer_for_two_minutes_costs_no_call() -> None:
    cache, _, _ = followed(lambda now_s: _refusing(now_s) if 10 < now_s < 130 else _silent(now_s))
    assert round(cache.now_s) == 189


def test_a_cache_that_answers_no_more_ends_the_wait_after_five_minutes() -> None:
    cache, _, why = followed(_refusing)
    assert round(cache.now_s) == 301
    assert "was silent for 300 s" in why
