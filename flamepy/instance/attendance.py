# SPDX-License-Identifier: Apache-2.0
"""While a packet runs: heed what its caller wants, and tell how far it is. See ``protocol.cluster.attendance``."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flamepy.clock import monotonic_s
from flamepy.engine.api import Engine
from flamepy.engine.completion import Completion
from flamepy.errors import FlameError
from flamepy.instance.cache_access import CacheAccess
from flamepy.protocol.cluster.attendance import CALLER_SILENT_S, SIGN_S, Sign, cancels_of, control_of, sign_of

logger = logging.getLogger(__name__)

LOOK_S = 0.3  # between looks
_TELL_S = 1.0  # what a call prints is told at most so often


class Attendance:
    """begun: the calls of the packet, by their numbers. A cache that does not answer now is asked the next time."""

    def __init__(self, engine: Engine, cache: CacheAccess, packet_id: str, begun: Mapping[int, Completion]) -> None:
        self._engine = engine
        self._cache = cache
        self._control, self._sign = control_of(packet_id), sign_of(packet_id)
        self._begun = begun
        self._cancelled: set[int] = set()
        self._caller_version = 0
        self._caller_heard_s = monotonic_s()
        self._told: Sign | None = None
        self._told_s = -_TELL_S

    def look(self, number: int) -> None:
        """number: of the call that runs, or is the next to run."""
        try:
            self._heed_caller()
            self._tell(Sign(number, self._engine.output(self._begun[number])))
        except FlameError as error:
            logger.debug("cache does not answer error=%s", error)

    def _heed_caller(self) -> None:
        now_s = monotonic_s()
        found = self._cache.look(self._control)
        if found is None:  # which the caller writes when it has something to say
            if now_s - self._caller_heard_s >= CALLER_SILENT_S:
                self._cancel(set(self._begun))
            return
        version, data = found
        if version != self._caller_version:
            self._caller_version, self._caller_heard_s = version, now_s
            self._cancel(cancels_of(data))
        elif now_s - self._caller_heard_s >= CALLER_SILENT_S:
            self._cancel(set(self._begun))

    def _cancel(self, numbers: set[int]) -> None:
        for number in numbers - self._cancelled:
            self._cancelled.add(number)
            if number in self._begun:
                self._engine.cancel(self._begun[number])

    def _tell(self, sign: Sign) -> None:
        since_s = monotonic_s() - self._told_s
        if since_s >= SIGN_S or (since_s >= _TELL_S and sign != self._told):
            self._cache.write(self._sign, sign.written())
            self._told, self._told_s = sign, monotonic_s()
