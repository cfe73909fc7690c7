# SPDX-License-Identifier: Apache-2.0
"""What calls print, in the output of the cell that made them, for users who ask for that (the trait ``echo_logs``).

Where a person watches it is a output below the cell, which follows the calls also after the cell has ended. A program
that executes the notebook, and a terminal, show only what is printed while a cell runs: there each call is told when
it has ended, at the next wait of a cell, at its end, or at the beginning of the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from flame_jupyter.calls.held import futures_in

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from flame_jupyter.display.sources.printed import EchoSource
    from flamepy import ObjectFuture


class Echo:
    """wanted (none, stderr, all), limit_chars (of a cell): what the settings say, asked at each use."""

    def __init__(
        self,
        shell: InteractiveShell,
        wanted: Callable[[], str],
        limit_chars: Callable[[], int],
        say: Callable[[str], object],
    ) -> None:
        self._shell = shell
        self._wanted = wanted
        self._limit_chars = limit_chars
        self._say = say
        self._followed: WeakSet[ObjectFuture] = WeakSet()
        self._pending: dict[int, tuple[ObjectFuture, EchoSource | None]] = {}
        self._output: EchoSource | None = None
        self._has_looked = False
        self._lock = threading.Lock()
        self._ended: list[str] = []
        self._ended_chars = self._left_out = 0

    def begin_cell(self, _info: object = None) -> None:
        """``pre_run_cell``"""
        self._has_looked = False
        self._tell(is_last=True)

    def follow(self, future: object) -> None:
        """The running cell has made this call; or holds it, or waits for it."""
        if self._wanted() == "none":
            return
        from flamepy import ObjectFuture

        if not isinstance(future, ObjectFuture) or future in self._followed:
            return
        self._followed.add(future)
        output = self._output_here()
        if output is not None:
            output.begin(future)
        self._pending[future.id] = future, output
        future.add_done_callback(self._end)

    def waited(self, futures: Iterable[ObjectFuture]) -> None:
        """A wait of the cell is over."""
        if self._wanted() != "none":
            self._look_at(futures)
            self._tell()

    def end_cell(self, _result: Any = None) -> None:
        """``post_run_cell``"""
        if self._wanted() != "none":
            made = [future for future, _ in list(self._pending.values())]
            self._look_at([*made, *futures_in(self._shell.user_ns.values())])
        self._tell(is_last=True)
        if self._output is not None:
            self._output.close()
            self._output = None

    def _look_at(self, futures: Iterable[ObjectFuture]) -> None:
        for each in futures:
            self.follow(each)
            if each.done():  # its callbacks may still be on their way
                self._end(each)

    def _output_here(self) -> EchoSource | None:
        """The output of the running cell, shown with its first call; None where no person watches."""
        if threading.current_thread() is not threading.main_thread():
            return None
        if not self._has_looked:
            from flame_jupyter.display import show_echo

            self._has_looked = True
            self._output = show_echo(self._shell, self._limit_chars(), only_stderr=self._wanted() == "stderr")
        return self._output

    def _end(self, future: ObjectFuture) -> None:
        """Once for each call, in the thread that comes first; a second one waits for it, and then it is done."""
        from flame_jupyter.display.sources.printed import block_of

        with self._lock:
            followed = self._pending.pop(future.id, None)
            if followed is None:
                return
            _, output = followed
            block = block_of(future, self._limit_chars(), only_stderr=self._wanted() == "stderr")
            if output is not None:
                output.end(future, block)
            elif block and self._ended_chars and self._ended_chars + len(block) > self._limit_chars():
                self._left_out += 1
            elif block:
                self._ended.append(block)
                self._ended_chars += len(block)

    def _tell(self, *, is_last: bool = False) -> None:
        """is_last: of the cell; the next one has its own limit."""
        with self._lock:
            ended, self._ended, left_out = self._ended, [], 0
            if is_last:
                left_out, self._left_out, self._ended_chars = self._left_out, 0, 0
        for block in ended:
            self._say(block)
        if left_out:
            calls_have = "1 more call has" if left_out == 1 else f"{left_out} more calls have"
            self._say(f"... what {calls_have} printed is left out here: %flame_runner logs shows it.")
