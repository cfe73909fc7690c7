# SPDX-License-Identifier: Apache-2.0
"""A payload as one ordinary pickle: what anybody's ``pickle.loads`` reads."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from flamepy.codec.in_band import pickle_of
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import encode

ARRAY = np.arange(50_000)
READ_ONLY = ARRAY.copy()
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "value",
    [
        42,
        {"text": "s" * 100_000, "bytes": bytes(70_000), "bytearray": bytearray(70_000)},
        [ARRAY, "between", READ_ONLY],
        [[ARRAY, {"again": ARRAY}], ["small", np.arange(3)], ("t" * 70_000, READ_ONLY)],
    ],
    ids=["small", "no buffers", "two arrays", "shared and nested"],
)
def test_it_reads_as_the_value_that_was_encoded(value: Any) -> None:
    whole = b"".join(pickle_of(encode(value)))
    read = pickle.loads(whole)
    assert pickle.dumps(read, 5) == pickle.dumps(pickle.loads(pickle.dumps(value, 5)), 5)


def test_an_array_that_stands_in_two_places_stays_one_and_can_be_written() -> None:
    first, second = pickle.loads(b"".join(pickle_of(encode([ARRAY, ARRAY]))))
    assert first is second
    assert first.flags.writeable


def test_big_buffers_are_referred_to_and_not_copied() -> None:
    payload = encode([ARRAY])
    (buffer,) = payload.buffers
    assert any(piece is buffer for piece in pickle_of(payload))
    assert pickle_of(Payload(b"plain")) == [b"plain"]
