# SPDX-License-Identifier: Apache-2.0
"""Values survive the way into bytes and back, and what cannot travel is named."""

from __future__ import annotations

import collections
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import numpy.typing as npt
import pytest

from flamepy import codec
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import OUT_OF_BAND_BYTES, decode, encode, placeholder, resolve_dependency
from flamepy.errors import FlameError, InvalidState, NotPicklable

PROJECT = str(Path(codec.__file__).parents[2])


class Future:
    """Behaves like a future of a call when it is pickled: leaves a placeholder while an encode collects."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        return placeholder(self) or (Future, (self.name,))


class OpensNestedEncode:
    """Encodes another value, which holds another future, while it is being pickled itself."""

    def __init__(self, inner: object) -> None:
        self.inner = inner

    def __reduce__(self) -> Any:
        found: list[object] = []
        payload = encode(self.inner, dependencies=found)
        return decode_nested, (bytes(payload.data), [future.name for future in found if isinstance(future, Future)])


def decode_nested(data: bytes, names: list[str]) -> object:
    return decode(Payload(data), names)


def raises_on_call(error: BaseException) -> Callable[..., Any]:
    def reduce(self: object) -> Any:
        raise error

    return reduce


def through(value: object) -> Any:
    return decode(encode(value))


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(10**30), 1.5, "é\ud800", b"", b"x" * 100_000, (1, [2, {3: {4}}]), frozenset({1}), ..., len, dict],
    ids=lambda value: type(value).__name__,
)
def test_plain_values_come_back_equal(value: object) -> None:
    assert through(value) == value


def test_aliases_and_cycles_survive() -> None:
    shared: list[Any] = [1]
    value: list[Any] = [shared, shared]
    value.append(value)
    result = through(value)
    assert result[0] is result[1]
    assert result[2] is result


def test_functions_and_classes_without_an_importable_name_travel() -> None:
    factor = 3

    class Local:
        def times(self, number: int) -> int:
            return number * factor

    assert through(lambda number: number * factor)(2) == 6
    assert through(Local)().times(2) == 6
    assert through(Local()).times(2) == 6


def test_what_is_defined_in_main_travels_by_value_and_works_where_main_is_another(tmp_path: Path) -> None:
    script = tmp_path / "notebook.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        from flamepy.codec.pickling import encode

        RATE = 3

        class Account:
            def __init__(self, cents): self.cents = cents
            def grown(self): return self.cents * RATE

        def raised(x): return x + RATE

        sys.stdout.buffer.write(encode((Account(7), raised)).data)
        """)
    )
    made = subprocess.run([sys.executable, script], env={"PYTHONPATH": PROJECT}, capture_output=True, check=True)
    account, add = pickle.loads(made.stdout)
    assert account.grown() == 21
    assert add(1) == 4


def test_an_importable_value_is_pickled_by_the_standard_library() -> None:
    value = {"a": [collections.Counter("abc"), Future]}
    assert encode(value).data == pickle.dumps(value, 5)


def test_a_module_registered_for_pickling_by_value_is_sent_with_its_code() -> None:
    assert b"class_setstate" not in bytes(encode(Future).data)
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        assert b"class_setstate" in bytes(encode(Future).data)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.parametrize("count", [0, 1, OUT_OF_BAND_BYTES // 8 - 1, OUT_OF_BAND_BYTES // 8, 100_000])
def test_arrays_of_every_size_come_back_equal(count: int) -> None:
    array = np.arange(count, dtype="f8")
    payload = encode(array)
    assert len(payload.buffers) == (array.nbytes >= OUT_OF_BAND_BYTES)
    np.testing.assert_array_equal(decode(payload), array)


SQUARE = np.arange(250_000).reshape(500, 500)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(SQUARE.T, id="column order"),
        pytest.param(SQUARE[::2, ::3], id="not contiguous"),
        pytest.param(SQUARE[::-1], id="backwards"),
        pytest.param(np.broadcast_to(np.arange(500), (500, 500)), id="broadcast"),
        pytest.param(SQUARE > 7, id="bool"),
        pytest.param(SQUARE.astype(">i4"), id="big-endian"),
        pytest.param(SQUARE.astype("c16"), id="complex"),
        pytest.param(SQUARE.astype("M8[s]"), id="dates"),
        pytest.param(SQUARE.astype("U6"), id="text"),
        pytest.param(np.array([{"a": 1}, None, "x"] * 9_000, dtype=object), id="objects"),
        pytest.param(np.zeros(5_000, dtype=[("a", "i4"), ("b", "f8")]), id="records"),
        pytest.param(np.array(3.5), id="no dimension"),
        pytest.param(np.zeros((0, 5)), id="no rows"),
    ],
)
def test_arrays_of_every_kind_come_back_equal(array: npt.NDArray[Any]) -> None:
    result = through(array)
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)


def test_a_second_try_starts_with_no_buffers_and_no_dependencies() -> None:
    # plain pickle keeps the array and the future, then meets the function, and cloudpickle begins again
    future, array = Future("a"), np.arange(100_000)
    found: list[object] = []
    payload = encode([array, future, lambda: 1], dependencies=found)
    assert len(payload.buffers) == 1
    assert found == [future]
    result: Any = decode(payload, ["value of a"])
    np.testing.assert_array_equal(result[0], array)
    assert result[1] == "value of a"


def test_futures_of_a_first_try_that_failed_are_forgotten() -> None:
    class MakesItsFuture:
        def __reduce__(self) -> Any:
            return list, ([Future("new")],)

    found: list[object] = []
    payload = encode([MakesItsFuture(), lambda: 1], dependencies=found)
    assert len(found) == 1
    assert decode(payload, ["value"])[0] == ["value"]  # type: ignore[index] # a list


def test_futures_are_found_wherever_they_hide_and_each_once() -> None:
    a, b = Future("a"), Future("b")
    found: list[object] = []
    payload = encode({"k": (a, [b, a]), "f": collections.deque([b])}, dependencies=found)
    assert found == [a, b]
    assert decode(payload, ["A", "B"]) == {"k": ("A", ["B", "A"]), "f": collections.deque(["B"])}


def test_dependencies_that_are_known_already_keep_their_position() -> None:
    a, b = Future("a"), Future("b")
    found: list[object] = [a]
    payload = encode([b, a], dependencies=found)
    assert found == [a, b]
    assert decode(payload, ["A", "B"]) == ["B", "A"]


def test_without_a_collector_a_future_travels_as_itself() -> None:
    assert placeholder(Future("a")) is None
    assert through(Future("a")).name == "a"


def test_encoding_inside_an_encode_keeps_the_two_apart() -> None:
    outer, inner = Future("outer"), Future("inner")
    found: list[object] = []
    payload = encode([outer, OpensNestedEncode([inner]), outer], dependencies=found)
    assert found == [outer]
    assert decode(payload, ["O"]) == ["O", ["inner"], "O"]


def test_an_encode_without_dependencies_inside_one_that_collects_does_not_collect() -> None:
    class Nested:
        def __reduce__(self) -> Any:
            return bytes, (encode(Future("not mine")).data,)

    found: list[object] = []
    encode(Nested(), dependencies=found)
    assert found == []


def test_threads_do_not_see_each_others_futures() -> None:
    start = threading.Barrier(4)
    wrong: list[object] = []

    def work(name: str) -> None:
        start.wait(10)
        for number in range(200):
            future = Future(f"{name}{number}")
            found: list[object] = []
            payload = encode([future] * 3, dependencies=found)
            if found != [future] or decode(payload, [number]) != [number] * 3:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_a_placeholder_read_outside_of_a_call_says_what_to_do() -> None:
    found: list[object] = []
    payload = encode(Future("a"), dependencies=found)
    with pytest.raises(InvalidState, match=r"Call \.get\(\)"):
        pickle.loads(payload.data)
    with pytest.raises(InvalidState):
        decode(payload)  # no values given
    with pytest.raises(InvalidState):
        resolve_dependency(0)


def test_a_failing_encode_leaves_no_collector_behind() -> None:
    with pytest.raises(NotPicklable):
        encode([Future("a"), threading.Lock()], dependencies=[])
    assert placeholder(Future("b")) is None


def test_what_cannot_be_pickled_is_named_with_cause_and_cure() -> None:
    with pytest.raises(NotPicklable) as caught:
        encode({"guard": threading.Lock()}, what="argument 'x' of add")
    message = str(caught.value)
    assert message.startswith(
        "argument 'x' of add cannot be pickled because of item 'guard' (a _thread.lock) of a dict: "
    )
    assert message.endswith("leave it out of the object's state with __getstate__.")
    assert isinstance(caught.value.__cause__, TypeError)
    assert isinstance(caught.value, (FlameError, pickle.PicklingError))


def test_the_error_itself_can_be_pickled() -> None:
    with pytest.raises(NotPicklable) as caught:
        encode(threading.Lock())
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is NotPicklable
    assert str(again) == str(caught.value)


def test_nesting_that_is_too_deep_has_a_message_of_its_own() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NotPicklable, match=r"nested too deeply .* Flatten it"):
        encode(deep)


def test_an_exception_of_a_custom_reduce_is_the_cause() -> None:
    error = ZeroDivisionError("reduce is broken")
    broken = type("Broken", (), {"__reduce__": raises_on_call(error)})()
    with pytest.raises(
        NotPicklable, match=r"the value itself \(a .*Broken\): ZeroDivisionError: reduce is broken"
    ) as caught:
        encode(broken)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError()], ids=repr)
def test_what_is_not_the_values_fault_passes(error: BaseException) -> None:
    value = type("Interrupted", (), {"__reduce__": raises_on_call(error)})()
    with pytest.raises(type(error)):
        encode(value)
