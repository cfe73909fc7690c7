# SPDX-License-Identifier: Apache-2.0
"""How many calls share a task of a cluster."""

from __future__ import annotations

import pytest

from flamepy.core.durations import expected_after
from flamepy.engine.cluster.calls.packing import MOST_BYTES, MOST_CALLS, PACKET_S, calls_for_packet, fitting


@pytest.mark.parametrize(
    ("waiting", "expected_s", "slots", "count"),
    [
        (1000, None, 4, 1),  # nobody knows how long one takes
        (1000, 1e-5, 4, 250),  # each executor gets its share
        (1000, PACKET_S / 10, 4, 10),  # and no more than a packet's worth of work
        (1000, 60.0, 4, 1),
        (3, 1e-5, 4, 1),
        (10**6, 0.0, 1, MOST_CALLS),
    ],
)
def test_a_packet_holds_a_share_of_small_calls(waiting: int, expected_s: float | None, slots: int, count: int) -> None:
    assert calls_for_packet(waiting, expected_s=expected_s, slots=slots) == count


def test_a_packet_stays_below_what_a_message_may_hold() -> None:
    assert fitting([1, 2, 3]) == 3
    assert fitting([MOST_BYTES // 2, MOST_BYTES // 2, 1]) == 2
    assert fitting([MOST_BYTES + 1, 1]) == 1


def test_one_slow_call_does_not_make_the_others_look_slow() -> None:
    assert expected_after(None, 2.0) == 2.0
    assert expected_after(0.001, 1.0) < 0.1
    assert expected_after(1.0, 0.001) < 0.51
