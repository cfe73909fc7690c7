# SPDX-License-Identifier: Apache-2.0
"""The examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import flamepy.testing

MODULES = [
    flamepy.testing.__name__,
    *(f"flamepy.testing.{each.name}" for each in pkgutil.iter_modules(flamepy.testing.__path__)),
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str, project: None, nothing_is_left: None) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    found = [len(doctest.DocTestFinder().find(importlib.import_module(name))) for name in MODULES]
    examples = [
        each.examples for name in MODULES for each in doctest.DocTestFinder().find(importlib.import_module(name))
    ]
    assert sum(found) > 5
    assert sum(map(bool, examples)) >= 5
