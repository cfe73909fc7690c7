# SPDX-License-Identifier: Apache-2.0
"""Handles of services that somebody else has opened on the same engine."""

from __future__ import annotations

import pytest

from flamepy import Runner, errors
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.engine.uplink.client import UplinkEngine
from flamepy.runner import attach, open_services


class Counter:
    def __init__(self) -> None:
        self._value = 0

    def add(self, amount: int) -> int:
        self._value += amount
        return self._value


def double(number: int) -> int:
    return 2 * number


def test_without_an_engine_there_are_no_services_and_none_is_started(private_home: object) -> None:
    assert open_services() == []


def test_an_open_service_is_attached_by_its_name_or_its_session(embedded: EmbeddedEngine) -> None:
    with Runner("serving") as runner:
        counter = runner.service(Counter)
        runner.service(double, name="twice")
        counter.add(1).get()
        assert [each.name for each in open_services()] == ["Counter", "twice"]
        assert attach("Counter").add(2).get() == 3
        assert attach(open_services()[1].session_id)(4).get() == 8
        with pytest.raises(errors.NotFound, match=r"'Counetr'\. Did you mean 'Counter'"):
            attach("Counetr")
        with pytest.raises(errors.NotFound, match="Open are: Counter, twice"):
            attach("x")
        runner.service(double, name="twice")
        with pytest.raises(errors.InvalidArgument, match="2 open services are called 'twice': give one"):
            attach("twice")
    with pytest.raises(errors.NotFound, match="another process has an engine of its own"):
        attach("Counter")


def test_inside_a_call_the_handle_is_passed_instead(embedded: EmbeddedEngine) -> None:
    from flamepy.engine.current import use_engine

    uplink = UplinkEngine(embedded.uplink_address)
    try:
        with Runner("serving") as runner:
            runner.service(double)
            with use_engine(uplink), pytest.raises(errors.InvalidState, match="pass its handle to the call"):
                attach("double")
    finally:
        uplink.close()
