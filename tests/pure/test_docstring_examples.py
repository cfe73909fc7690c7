# SPDX-License-Identifier: Apache-2.0
"""Every public name is explained, with all of its arguments, and the examples do what they show."""

from __future__ import annotations

import doctest
import enum
import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import griffe
import pytest

import flamepy.testing
from flamepy.testing import InlineEngine
from scripts.make_api_reference import VALUES, PublicName, members_of, public_names, sections_of, signature_of

LISTS = (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes)
NAMES = [each for each in public_names() if each.path not in VALUES]
# What a program meets and reads, and does not make or call.
MET_ONLY = (BaseException, enum.Enum, tuple)


def explained(public: PublicName) -> Iterator[tuple[str, object]]:
    """The name itself and, of a class, the methods that users call."""
    yield public.path, public.value
    if inspect.isclass(public.value):
        for name, member in members_of(public.value).items():
            yield f"{public.path}.{name}", member


EXPLAINED = [pytest.param(value, id=path) for each in NAMES for path, value in explained(each)]
TO_USE = [
    pytest.param(each, id=each.path)
    for each in NAMES
    if not inspect.ismodule(each.value)
    and not (inspect.isclass(each.value) and (issubclass(each.value, MET_ONLY) or is_dataclass(each.value)))
]


@pytest.mark.parametrize("value", EXPLAINED)
def test_it_says_what_it_is(value: object) -> None:
    assert value.__doc__


@pytest.mark.parametrize("value", EXPLAINED)
def test_it_explains_every_argument_and_no_other(value: object) -> None:
    if inspect.ismodule(value) or isinstance(value, property):
        return
    if inspect.isclass(value) and issubclass(value, BaseException):  # nothing lists what an error has
        return
    listed = {
        each.kind.value: [entry.name for entry in each.value] for each in sections_of(value) if each.kind in LISTS
    }
    signature = signature_of(value)
    if "attributes" in listed:
        assert listed["attributes"] == attributes_of(value)
    elif signature is not None and not (inspect.isclass(value) and not listed):  # then the library makes it
        assert listed.get("parameters", []) == list(signature.parameters)


def attributes_of(value: Any) -> list[str]:
    """What a record or an enumeration has."""
    if issubclass(value, enum.Enum):
        return list(value.__members__)
    return [each.name for each in fields(value)] if is_dataclass(value) else list(value._fields)


def has_example(value: object) -> bool:
    return any(section.kind.value == "admonition" for section in sections_of(value))


@pytest.mark.parametrize("public", TO_USE)
def test_it_has_an_example(public: PublicName) -> None:
    assert any(has_example(value) for _, value in explained(public))


@pytest.mark.parametrize("public", [pytest.param(each, id=each.path) for each in NAMES])
def test_its_examples_run(public: PublicName, project: None, nothing_is_left: None) -> None:
    finder = doctest.DocTestFinder(exclude_empty=True, recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for path, value in explained(public):
        for example in finder.find(value, path, module=False, globs={}):
            with InlineEngine():
                runner.run(example)
    assert runner.failures == 0


def test_the_example_of_the_test_package_runs(project: None, nothing_is_left: None) -> None:
    assert doctest.testmod(flamepy.testing).failed == 0
