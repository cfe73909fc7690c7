# SPDX-License-Identifier: Apache-2.0
"""Objects of the cache are written byte for byte as the published client writes them, where that is right.

recorded_objects.json holds what that client has put into a cache, in hexadecimal digits.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flamepy import FlameError
from flamepy.wire.objects import ARRAY, BATCH, PICKLE, PREFIX_BYTES, TABLE, decode, encode

RECORDED: list[str] = json.loads(Path(__file__).with_name("recorded_objects.json").read_text())
NESTED = pa.table(
    {"text": ["u", None, "vv"], "lists": [[1], [2, 3], None], "kind": pa.array(["a", "b", "a"]).dictionary_encode()}
)


@pytest.mark.parametrize("digits", RECORDED)
def test_what_the_published_client_put_is_read_and_written_as_it_was(digits: str) -> None:
    assert encode(decode(bytes.fromhex(digits))).hex() == digits


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        (None, "464c4d0080054e2e"),
        (42, "464c4d0080054b2a2e"),
        (b"ab", "464c4d00800595060000000000000043026162942e"),
    ],
)
def test_small_values_are_these_bytes(value: object, digits: str) -> None:
    assert encode(value).hex() == digits


def test_an_array_of_numbers_is_a_tensor_of_this_length_and_beginning() -> None:
    encoded = encode(np.arange(3, dtype="int32"))
    assert len(encoded) == 208
    assert encoded.startswith(bytes.fromhex("464c4d01ffffffffb8000000"))


@pytest.mark.parametrize("letter", "bBhHiIlLqQefdgFDGOSUMm?")
def test_an_array_comes_back_with_its_type_its_shape_and_its_values(letter: str) -> None:
    name = {"S": "S3", "U": "U3", "M": "M8[s]", "m": "m8[s]"}.get(letter, letter)
    native = np.array([[0, 1, 1], [1, 0, 1]]).astype("i8").astype(name)
    for square in (native, native.astype(native.dtype.newbyteorder())):
        every_layout = (square, np.asfortranarray(square), square[:, ::2], square[:0], square[:1, :1].reshape(()))
        for array in every_layout:
            back: Any = decode(encode(array))
            assert back.shape == array.shape
            assert back.dtype.newbyteorder("=") == native.dtype  # numpy may turn the bytes round when it pickles them
            assert (back == array).all()
            assert back.flags.writeable


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        (NESTED, TABLE),
        (NESTED.slice(0, 0), TABLE),
        (NESTED.to_batches()[0], BATCH),
        (pa.array([1, None]), ARRAY),
        (pa.array([], pa.string()), ARRAY),
    ],
    ids=["table", "table without rows", "batch", "array", "array without items"],
)
def test_what_comes_from_arrow_goes_as_arrow_and_comes_back_equal(value: Any, prefix: bytes) -> None:
    encoded = encode(value)
    assert encoded[:PREFIX_BYTES] == prefix
    back: Any = decode(encoded)
    assert type(back) is type(value)
    assert back.equals(value)


@pytest.mark.parametrize(
    "value", [pd.Series([1, 2], name="n"), pa.chunked_array([[1], [2]]), np.float32(1.5), {1: [2]}]
)
def test_everything_else_is_a_pickle(value: Any) -> None:
    encoded = encode(value)
    assert encoded[:PREFIX_BYTES] == PICKLE
    back: Any = decode(encoded)
    assert back.equals(value) if hasattr(value, "equals") else back == value


@pytest.mark.parametrize("data", [pickle.dumps([1], 5), pickle.dumps(None, 2), b"N."])
def test_bytes_without_a_prefix_are_a_pickle_of_an_older_program(data: bytes) -> None:
    assert decode(data) == pickle.loads(data)


def test_damaged_bytes_are_told_in_one_line_and_end_no_process() -> None:
    whole = [
        encode(each) for each in (np.arange(6.0).reshape(2, 3), NESTED, NESTED.to_batches()[0], pa.array(["a", "bc"]))
    ]
    chance, told = random.Random(7), 0
    for _ in range(3000):
        damaged = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 1, 2, 5))):
            if chance.random() < 0.15:
                del damaged[max(chance.randrange(len(damaged)), PREFIX_BYTES + 1) :]
            else:
                damaged[chance.randrange(PREFIX_BYTES, len(damaged))] = chance.randrange(256)
        try:
            value: Any = decode(bytes(damaged))
        except FlameError as error:
            told += re.fullmatch(r"an object of .*, it is damaged: .* Store it again\.", error.message) is not None
        else:
            with contextlib.suppress(UnicodeDecodeError):  # a text that is none is told where it is read
                assert (value.tolist() if isinstance(value, np.ndarray) else value.to_pylist()) is not None
    assert told > 1000
