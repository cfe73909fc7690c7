# SPDX-License-Identifier: Apache-2.0
"""Every engine keeps the rules of all engines, and an engine that does not is found out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flamepy.cache.api import StoredObject
from flamepy.core.cache import ObjectRef
from flamepy.engine.api import Engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.engine.local.fast_parts import PLAIN
from flamepy.engine.uplink.client import UplinkEngine
from flamepy.testing import BrokenRule, FaultyStore, InlineEngine, check_engine


def test_the_embedded_engine_keeps_the_rules(project: None, nothing_is_left: None) -> None:
    assert len(check_engine(lambda: EmbeddedEngine(workers=2))) > 10


def test_the_embedded_engine_without_its_fast_parts_keeps_the_rules(project: None, nothing_is_left: None) -> None:
    assert len(check_engine(lambda: EmbeddedEngine(workers=2, parts=PLAIN))) > 10


def test_the_inline_engine_keeps_the_rules(project: None, nothing_is_left: None) -> None:
    assert len(check_engine(InlineEngine)) > 10


def test_the_engine_that_a_call_sees_keeps_the_rules(embedded: EmbeddedEngine) -> None:
    assert len(check_engine(lambda: UplinkEngine(embedded.uplink_address))) > 10


class _Forgetful(FaultyStore):
    def get(self, ref: ObjectRef) -> StoredObject:
        stored = super().get(ref)
        return StoredObject(stored.version, stored.base)


class _LosesPatches(InlineEngine):
    def __init__(self) -> None:
        super().__init__()
        self.objects = _Forgetful(self.objects)


@pytest.mark.parametrize(("make", "rule"), [(_LosesPatches, "objects have versions and patches")])
def test_a_broken_rule_is_named(project: None, make: Callable[[], Engine], rule: str) -> None:
    with pytest.raises(BrokenRule, match=rule) as caught:
        check_engine(make)
    assert isinstance(caught.value.__cause__, AssertionError)
