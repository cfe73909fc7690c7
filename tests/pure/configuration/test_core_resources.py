# SPDX-License-Identifier: Apache-2.0
"""Resource requirements as people write them."""

from __future__ import annotations

import pytest

from flamepy.core.resources import ResourceRequirement, parse_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cpu=1,mem=2g,gpu=0", ResourceRequirement(1, 2 * 1024**3, 0)),
        ("cpu=4", ResourceRequirement(cpu=4)),
        (" MEMORY = 512 M , cpu = 2 ", ResourceRequirement(cpu=2, memory=512 * 1024**2)),
        ("gpu=2", ResourceRequirement(gpu=2)),
    ],
)
def test_requirements_are_read(text: str, expected: ResourceRequirement) -> None:
    assert ResourceRequirement.from_string(text) == expected


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("0", 0), ("17", 17), ("1k", 1024), ("1K", 1024), ("2GiB", 2 * 1024**3), ("3 tb", 3 * 1024**4), ("1p", 1024**5)],
)
def test_sizes_are_read_with_binary_suffixes(text: str, bytes_: int) -> None:
    assert parse_bytes(text) == bytes_


@pytest.mark.parametrize("text", ["", "-1", "1.5g", "g", "1x", "1 k k", "1e3", "²"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="for example '2g'"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["", "cpu", "cpu:1", "disk=1", "cpu=1,", "cpu=one", "cpu=1.5", "cpu=-1", "cpu=²"])
def test_what_is_no_requirement_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="for example"):
        ResourceRequirement.from_string(text)


def test_a_resource_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="memory is given twice"):
        ResourceRequirement.from_string("mem=1,memory=2")
