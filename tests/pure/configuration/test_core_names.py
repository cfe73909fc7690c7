# SPDX-License-Identifier: Apache-2.0
"""Which names are allowed, and that a refused one comes with a name that works."""

from __future__ import annotations

import re

import pytest

from flamepy.core.names import MAX_APPLICATION_NAME_BYTES, checked_application_name, short_name
from flamepy.errors import InvalidArgument


@pytest.mark.parametrize("name", ["my-app", "a", "_x", "9", "A.b-c_d", "a" * MAX_APPLICATION_NAME_BYTES])
def test_allowed_names_pass_unchanged(name: str) -> None:
    assert checked_application_name(name) == name


@pytest.mark.parametrize("name", ["my app", "a/b", "../x", "a..b", ".hidden", "-x", "é", "a\n", "...", "/", "日本"])
def test_a_refused_name_comes_with_one_that_is_allowed(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        checked_application_name(name)
    suggestion = re.search(r"Try '(.*)'\.\Z", str(caught.value))
    assert suggestion is not None
    assert checked_application_name(suggestion.group(1)) == suggestion.group(1)


@pytest.mark.parametrize("name", ["a" * (MAX_APPLICATION_NAME_BYTES + 1), "é" * 127])
def test_a_name_is_measured_in_bytes(name: str) -> None:
    with pytest.raises(InvalidArgument, match="exceeds maximum length"):
        checked_application_name(name)


@pytest.mark.parametrize("name", ["", None, 7])
def test_no_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidArgument, match="cannot be empty"):
        checked_application_name(name)  # type: ignore[arg-type] # that is the test


def test_short_names_are_allowed_and_differ() -> None:
    names = {short_name("app") for _ in range(50)}
    assert len(names) > 40
    assert all(re.fullmatch(r"app-[A-Za-z0-9]{6}", checked_application_name(name)) for name in names)
