# SPDX-License-Identifier: Apache-2.0
"""How much memory values may take: counts live segments, moves the oldest ones to disk when they are too many."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque

from flamepy.cache.blob import Blob
from flamepy.cache.eviction import to_spill
from flamepy.cache.memfd_pool import memfd_pool
from flamepy.cache.segment import Segment, memory_device
from flamepy.cache.sharing import RecentSegments
from flamepy.codec.payload import Payload

_log = logging.getLogger(__name__)


class SegmentBudget:
    """Knows segments by weak references only: a value that is not held any more counts no more. Thread-safe.

    limit_bytes: None = no limit. spill_directory: None = the temporary directory.
    """

    def __init__(self, limit_bytes: int | None, spill_directory: str | None) -> None:
        memory_device()  # asked for with every big value, and then there may be no descriptor left to find it out
        self.limit_bytes = limit_bytes
        self.spill_directory = spill_directory
        self._recent = RecentSegments()
        self._lock = threading.Lock()
        self._held: dict[weakref.ref[Segment], int] = {}  # ordered: least recently admitted first
        self._total_bytes = 0
        # The garbage collector reports dead segments inside any statement, also one under our lock: it only adds a note
        self._gone: deque[weakref.ref[Segment]] = deque()

    @property
    def in_memory_bytes(self) -> int:
        """Total size of the live segments that were admitted and are not on disk."""
        with self._lock:
            self._settle()
            return self._total_bytes

    def hold(self, payload: Payload) -> Blob:
        """Store ``payload`` as a blob and count it; the same big content as a moment ago is stored once."""
        blob = Blob.of(payload, recent=self._recent)
        if blob.segment is not None:
            self.admit(blob)
        return blob

    def admit(self, blob: Blob) -> None:
        """Count ``blob``'s segment; over the limit, write the oldest ones to disk before returning."""
        segment = blob.segment
        if segment is None or not segment.is_in_memory():
            return
        reference = weakref.ref(segment, self._gone.append)
        with self._lock:
            self._settle()
            self._hold(reference, segment.nbytes)
            chosen = to_spill(self._held.items(), total_bytes=self._total_bytes, limit_bytes=self.limit_bytes)
            for reference in chosen:
                self._drop(reference)
        if chosen:
            memfd_pool.clear()
        for reference in chosen:
            self._spill(reference)

    def spill(self, blob: Blob) -> None:
        """Write ``blob``'s segment to disk although there may be room for it."""
        segment = blob.segment
        if segment is not None and segment.is_in_memory():
            self._spill(weakref.ref(segment, self._gone.append))

    def _spill(self, reference: weakref.ref[Segment]) -> None:
        segment = reference()
        if segment is None:
            return
        try:
            segment.spill(self.spill_directory)
        except OSError as error:
            # Nothing is lost: it stays in memory, and is tried again when it is the oldest once more.
            _log.warning("value stays in memory, its file cannot be written bytes=%d error=%s", segment.nbytes, error)
            with self._lock:
                self._hold(reference, segment.nbytes)
        else:
            with self._lock:
                self._drop(reference)  # it may have been admitted again meanwhile
            _log.debug("value moved to disk bytes=%d", segment.nbytes)

    def _settle(self) -> None:
        while self._gone:
            self._drop(self._gone.popleft())

    def _hold(self, reference: weakref.ref[Segment], nbytes: int) -> None:
        self._drop(reference)
        self._held[reference] = nbytes
        self._total_bytes += nbytes

    def _drop(self, reference: weakref.ref[Segment]) -> None:
        self._total_bytes -= self._held.pop(reference, 0)
