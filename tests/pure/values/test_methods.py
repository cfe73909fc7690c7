# SPDX-License-Identifier: Apache-2.0
"""What a service offers is read from the type, before anything is sent anywhere."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flamepy.errors import FlameError, InvalidArgument
from flamepy.runner.service.handle import RESERVED_NAMES
from flamepy.runner.service.interface import (
    ConstructorNeedsArguments,
    check_constructor,
    function_name,
    interface_of,
    public_methods,
    unknown_attribute,
)


class Base:
    def inherited(self) -> None: ...

    def hidden(self) -> None: ...


class Everything(Base):
    constant = 3
    hidden = None  # type: ignore[assignment]

    class Nested:
        pass

    def plain(self) -> None: ...

    @staticmethod
    def static() -> None: ...

    @classmethod
    def of_class(cls) -> None: ...

    @property
    def measured(self) -> int:
        raise AssertionError("a property of the user's object has run")

    @functools.cached_property
    def cached(self) -> int:
        raise AssertionError("a property of the user's object has run")

    half = functools.partialmethod(plain)

    @functools.singledispatchmethod
    def dispatched(self, value: object) -> None: ...

    def _private(self) -> None: ...

    def __call__(self) -> None: ...


class Closing:
    def close(self) -> None: ...


def test_methods_are_what_the_type_and_its_bases_define_and_no_property_runs() -> None:
    assert set(public_methods(Everything)) == {
        "plain", "static", "of_class", "half", "dispatched", "inherited",
    }  # fmt: skip
    assert interface_of(Everything(), reserved=RESERVED_NAMES).methods["plain"] == "Everything.plain"


def test_methods_of_classes_written_in_c_count_too() -> None:
    assert {"append", "pop", "sort"} <= set(public_methods(list))


def test_a_subclass_hides_a_method_by_setting_it_to_none() -> None:
    assert "hidden" not in public_methods(Everything)


def test_a_callable_object_is_an_instance_that_can_also_be_called() -> None:
    interface = interface_of(Everything(), reserved=RESERVED_NAMES)
    assert interface.kind == "instance"
    assert interface.is_callable
    assert not interface_of(Base(), reserved=RESERVED_NAMES).is_callable


@pytest.mark.parametrize(
    ("function", "name"),
    [
        pytest.param(len, "len", id="builtin"),
        pytest.param(functools.partial(functools.partial(len), []), "len", id="partial of a partial"),
        pytest.param(Everything().plain, "Everything.plain", id="bound method"),
        pytest.param(Everything.of_class, "Everything.of_class", id="class method"),
        pytest.param(lambda: None, "<lambda>", id="lambda"),
    ],
)
def test_partials_builtins_and_bound_methods_are_functions(function: Callable[..., Any], name: str) -> None:
    interface = interface_of(function, reserved=RESERVED_NAMES)
    assert (interface.kind, interface.is_callable, dict(interface.methods)) == ("function", True, {})
    assert function_name(function) == name


def test_a_method_that_the_handle_needs_for_itself_is_refused_with_a_cure() -> None:
    with pytest.raises(InvalidArgument, match=r"Closing\.close\(\).*rename the method"):
        interface_of(Closing, reserved=RESERVED_NAMES)


class Generators:
    def plain(self) -> Iterator[int]:
        yield 1

    @staticmethod
    def static() -> Iterator[int]:
        yield 1

    @classmethod
    def of_class(cls) -> Iterator[int]:
        yield 1

    half = functools.partialmethod(plain)

    def returns_one(self) -> Iterator[int]:
        return self.plain()

    @property
    def measured(self) -> Iterator[int]:
        raise AssertionError("a property of the user's object has run")

    def __call__(self) -> Iterator[int]:
        yield 1


def test_what_is_a_generator_is_read_from_the_type_and_nothing_runs() -> None:
    interface = interface_of(Generators(), reserved=RESERVED_NAMES)
    assert interface.streams == {"plain", "static", "of_class", "half", None}
    assert interface_of(functools.partial(Generators().plain), reserved=RESERVED_NAMES).streams == {None}
    assert interface_of(len, reserved=RESERVED_NAMES).streams == frozenset()


async def waits(seconds: float) -> float:
    return seconds


def test_an_asynchronous_function_is_refused_with_a_cure() -> None:
    for each in (waits, functools.partial(waits, 1.0)):
        with pytest.raises(InvalidArgument, match=r"waits\(\) is asynchronous, .*'def' instead of 'async def'"):
            interface_of(each, reserved=RESERVED_NAMES)


def test_an_object_without_anything_to_call_is_refused_with_a_cure() -> None:
    with pytest.raises(InvalidArgument, match="object has no public method"):
        interface_of(object(), reserved=RESERVED_NAMES)


class NeedsStart:
    def __init__(self, start: int, *, step: int, limit: int = 9) -> None: ...


class TakesAnything:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...


class Abstract(abc.ABC):
    @abc.abstractmethod
    def run(self) -> None: ...


def test_a_constructor_that_needs_arguments_is_found_before_the_worker_with_the_cure() -> None:
    with pytest.raises(ConstructorNeedsArguments) as caught:
        check_constructor(NeedsStart)
    assert str(caught.value) == (
        "NeedsStart() needs 'start' and 'step': pass an instance, rr.service(NeedsStart(..., ...)), "
        "or give 'start' and 'step' a default."
    )
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, FlameError)


def test_an_abstract_class_is_refused_by_naming_what_it_lacks() -> None:
    with pytest.raises(ConstructorNeedsArguments, match=r"Abstract is abstract \(run has no body\)"):
        check_constructor(Abstract)


@pytest.mark.parametrize("cls", [Base, TakesAnything, dict, int, type("Empty", (), {})])
def test_a_class_that_can_be_made_without_arguments_is_taken(cls: type) -> None:
    check_constructor(cls)


@pytest.mark.parametrize("value", [3, True, 2.5, "text", b"bytes", None])
def test_the_result_of_a_function_is_not_taken_for_the_function(value: object) -> None:
    with pytest.raises(InvalidArgument, match=r"is a value, .* pass the function itself, service\(f\)"):
        interface_of(value, reserved=RESERVED_NAMES)


def test_a_wrong_attribute_is_answered_with_what_was_probably_meant() -> None:
    text = str(unknown_attribute("Base", "inherted", interface_of(Base, reserved=RESERVED_NAMES).methods))
    assert "Did you mean 'inherited'?" in text
    assert "It has: inherited, hidden" in text
