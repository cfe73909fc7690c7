# SPDX-License-Identifier: Apache-2.0
"""The calls that a worker has been handed and has not begun. The engine may want them back at any time.

Several small calls come in one packet. When one takes long, or is cancelled, the engine recalls what has not begun:
it counts up a word on the status table, and its answer to "which one do I keep" follows on the socket. Until that
answer is here the worker begins nothing, so no call is ever run by two workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from flamepy.protocol.calls import CallFrame
from flamepy.protocol.commands import AuthKey, Forget, ImportPath, Keep
from flamepy.protocol.frames import CURRENT_CALL, RECALL_GENERATION
from flamepy.worker.channel import Channel
from flamepy.worker.processes.authkey import take_authkey


class Inbox:
    """For the worker's main thread.

    words: of this worker's slot on the status table; forget: drops a session; set_path: changes where modules come
    from.
    """

    def __init__(
        self,
        channel: Channel,
        words: memoryview,
        forget: Callable[[int], None],
        set_path: Callable[[ImportPath], None],
    ) -> None:
        self._set_path = set_path
        self._channel = channel
        self._words = words
        self._forget = forget
        self._calls: deque[CallFrame] = deque()
        self._recalls = 0  # those that have been answered

    def has_message(self, timeout_s: float) -> bool:
        """Is there anything to do, or will there be within ``timeout_s``?"""
        return bool(self._calls) or self._channel.has_message(timeout_s)

    def next_call(self) -> CallFrame | None:
        """The next call, noted on the status table as begun; None when the engine has gone or asks to leave."""
        words = self._words
        while True:
            if self._calls:
                words[CURRENT_CALL] = self._calls[0].number
                if words[RECALL_GENERATION] == self._recalls:  # the engine's barrier stands between these two lines
                    return self._calls.popleft()
            if not self._take_message():
                return None

    def _take_message(self) -> bool:
        message = self._channel.receive()
        if isinstance(message, list):
            self._calls.extend(message)
        elif isinstance(message, Keep):
            self._recalls = message.recalls
            self._calls = deque(call for call in self._calls if call.number == message.number)
        elif isinstance(message, Forget):
            self._forget(message.session_number)
        elif isinstance(message, AuthKey):
            take_authkey(message)
        elif isinstance(message, ImportPath):
            self._set_path(message)
        return message is not None
