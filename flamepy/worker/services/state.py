# SPDX-License-Identifier: Apache-2.0
"""The state of a stateful service: noticing that it changed, saving it, going back to what was saved.

The state is the pickle of the object. Its class usually comes from a notebook, so it lives in ``__main__``; it is
put into this worker's ``__main__`` too, and then the plain, fast pickler can name it. Whatever that pickler
refuses goes through cloudpickle. A state that neither can save still works; it is just not saved.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

from flamepy.codec.handed_on import hide_names
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import OUT_OF_BAND_BYTES, decode, encode, is_loaded_by_name
from flamepy.errors import NotPicklable
from flamepy.runner.types import kind_of

_COMPARE_BYTES = 1 << 16  # pieces that stay in the cache, and whose copies malloc does not map anew each time


class StatefulObject:
    """Holds the object and the last saved state of it."""

    def __init__(self, target: Any, checkpoint: Payload | None) -> None:
        cls = target if kind_of(target) == "class" else type(target)
        _name_in_main(cls)
        self._is_plain = is_loaded_by_name(cls)
        self._unsaved_because = ""
        if checkpoint is not None:
            self.current = _restored(checkpoint)
            self._saved: Payload | None = checkpoint
            self._is_reported = True
            return
        self.current = target() if kind_of(target) == "class" else target
        self._saved = self._private_copy(self._encoded())
        self._is_reported = False  # the engine does not have it yet

    def changes(self) -> tuple[Payload | None, str]:
        """The state to save, None when the engine has it already; and a warning when it cannot be saved.

        The warning comes with every call: the caller shows it once, with whichever result is read first.
        """
        state = self._encoded()
        if state is None:
            return None, self._unsaved_because
        if self._is_reported and self._saved is not None and _is_same(state, self._saved):
            return None, ""
        return state, ""

    def saved(self, state: Payload | None) -> None:
        """The state given by ``changes`` is on its way to the engine, together with the result."""
        if state is not None:
            self._saved = self._private_copy(state)
            self._is_reported = True

    def roll_back(self) -> None:
        """Forget what a failed call did to the object. An unsaved state stays as it is: nothing to go back to."""
        if self._saved is None:
            return
        state = self._encoded()
        if state is None or not _is_same(state, self._saved):
            self.current = _restored(self._saved)

    def _encoded(self) -> Payload | None:
        if self._is_plain:
            hide_names(is_hidden=True)
            try:
                return _plain(self.current)
            except Exception:  # noqa: BLE001 - any refusal means: ask the other pickler
                self._is_plain = False
            finally:
                hide_names(is_hidden=False)
        try:
            payload = encode(self.current, what="the state")
        except NotPicklable as error:
            self._unsaved_because = str(error)
            return None
        return payload

    @staticmethod
    def _private_copy(state: Payload | None) -> Payload | None:
        """Out-of-band buffers alias the live object; what is compared with later must not."""
        if state is None or not state.buffers:
            return state
        return Payload(state.data, [memoryview(bytes(buffer)) for buffer in state.buffers])


def _plain(value: object) -> Payload:
    buffers: list[pickle.PickleBuffer] = []

    def keep_small(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < OUT_OF_BAND_BYTES:
            return True
        buffers.append(buffer)
        return False

    data = pickle.dumps(value, protocol=5, buffer_callback=keep_small)
    return Payload(data, [buffer.raw() for buffer in buffers])


def _restored(state: Payload) -> Any:
    """A fresh object; its buffers are copies, so that going back a second time still finds the saved bytes."""
    return decode(Payload(state.data, [memoryview(bytearray(buffer)) for buffer in state.buffers]))


def _is_same(a: Payload, b: Payload) -> bool:
    return (
        a.data == b.data
        and len(a.buffers) == len(b.buffers)
        and all(_is_same_buffer(x, y) for x, y in zip(a.buffers, b.buffers, strict=True))
    )


def _is_same_buffer(a: memoryview, b: memoryview) -> bool:
    # comparing memoryviews goes item by item; comparing bytes is memcmp
    return a.nbytes == b.nbytes and all(
        bytes(a[at : at + _COMPARE_BYTES]) == bytes(b[at : at + _COMPARE_BYTES])
        for at in range(0, a.nbytes, _COMPARE_BYTES)
    )


def _name_in_main(cls: type) -> None:
    if cls.__module__ == "__main__" and "." not in cls.__qualname__:
        setattr(sys.modules["__main__"], cls.__qualname__, cls)
