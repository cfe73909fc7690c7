# SPDX-License-Identifier: Apache-2.0
"""Bytes into the object cache of a cluster and out of it: rows of Arrow, with deadlines and plain errors.

Safe from any thread. A client whose connection broke is replaced: the library's own would go on failing until its
back-off ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
from pyarrow import flight

from flamepy.cache.flight.connecting import DEFAULT_PORT, connected, location_of
from flamepy.clock import monotonic_s
from flamepy.config import FlameContextTls
from flamepy.core.cache import ObjectRef
from flamepy.errors import CallTimeout, FlameError, FlameErrorCode, InvalidArgument, NotFound, TlsFailed
from flamepy.tls.diagnosis import THIS_PROGRAM, Side, why_refused

logger = logging.getLogger(__name__)

_ROW_BYTES = 8 * 1024 * 1024  # of a big object: a row is copied as a whole at the other end
_DEADLINE_S = 30.0  # of a request that moves little
PATIENCE_S = 30.0  # with a cache that does not answer
_BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_BYTES_PER_S = 1_000_000  # the slowest link that a big object is still waited for on
_SCHEMA = pa.schema([pa.field("version", pa.uint64(), nullable=False), pa.field("data", pa.binary(), nullable=False)])
# of buffers, because pa.array loads pandas, where it is installed: half a second
_VERSION_0 = pa.Array.from_buffers(pa.uint64(), 1, [None, pa.py_buffer(bytes(8))])
_FORMAT = b"flame.cache.format"  # in the schema of a table that is kept as a table
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Fetched:
    """What the cache has of an object. version: the newest; base: its bytes; patches: oldest first.

    table: in place of ``base``, where the object is a table of Arrow.
    """

    version: int
    base: memoryview
    patches: Sequence[memoryview]
    table: pa.Table | None = None


class FlightClient:
    """endpoint: such as ``grpc://host:9090``; tls: whom to trust and what to show, for ``grpcs``.

    side: this end of the connection.
    """

    def __init__(self, endpoint: str, *, tls: FlameContextTls | None = None, side: Side = THIS_PROGRAM) -> None:
        location_of(endpoint)  # a wrong address is told at once
        self.endpoint = endpoint
        self._tls = tls
        self._side = side
        self._has_answered = False
        self._lock = threading.Lock()
        self._client: flight.FlightClient | None = None
        self._lost_since_s: float | None = None  # by the monotonic clock; None = the cache answers

    def put(self, key: str, parts: Sequence[bytes | memoryview]) -> ObjectRef:
        """Store the parts, one behind the other, under a full key or a fresh one below ``<app>/<session>``."""
        return self._put(flight.FlightDescriptor.for_path(key), parts, key)

    def put_once(self, key: str, data: bytes) -> int:
        """Store ``data`` under the key; returns its version, which counts how often this was done for the key.

        Raises FlameError where it is not known whether it is there: it is not tried again.
        """
        return self._put(flight.FlightDescriptor.for_path(key), [data], key, is_repeatable=False).version

    def patch(self, key: str, parts: Sequence[bytes | memoryview]) -> ObjectRef:
        """Append a change to the object. Raises NotFound."""
        return self._put(flight.FlightDescriptor.for_command(f"PATCH:{key}".encode()), parts, key, is_repeatable=False)

    def _put(
        self,
        descriptor: flight.FlightDescriptor,
        parts: Sequence[bytes | memoryview],
        key: str,
        *,
        is_repeatable: bool = True,
        patience_s: float = PATIENCE_S,
    ) -> ObjectRef:
        nbytes = sum(map(len, _flat(parts)))

        def put(client: flight.FlightClient) -> ObjectRef:
            writer, reader = client.do_put(descriptor, _SCHEMA, options=_options(nbytes))
            with writer:
                for row in _rows(parts):
                    writer.write_batch(row)
                writer.done_writing()
                answer = reader.read()
            if answer is None:
                raise _odd(self.endpoint, "it did not say where it has put an object")
            return ObjectRef.decode(answer.to_pybytes())

        return self._do(put, f"put {key}", is_repeatable=is_repeatable, patience_s=patience_s)

    def get(self, key: str, *, patience_s: float = PATIENCE_S) -> Fetched:
        """The object whole. Raises NotFound."""

        def get(client: flight.FlightClient) -> Fetched:
            # how big it is nobody knows beforehand: the deadline is for each object that anyone would keep here
            reader = client.do_get(flight.Ticket(f"{key}:0".encode()), options=_options(1 << 30))
            if (reader.schema.metadata or {}).get(_FORMAT) is not None:
                table = reader.read_all()
                version = int((reader.schema.metadata or {}).get(b"flame.cache.version", b"0"))
                return Fetched(version, memoryview(b""), (), table)
            return _assembled(_read_rows(reader), self.endpoint)

        return self._do(get, f"get {key}", patience_s=patience_s)

    def tell(self, key: str, data: bytes) -> None:
        """Store a word that another one will follow: when the cache does not answer now, that is the error."""
        self._put(flight.FlightDescriptor.for_path(key), [data], key, patience_s=0)

    def look(self, key: str) -> tuple[int, memoryview] | None:
        """The version of an object that changes, and its bytes; None = it is not there. Asked once.

        Raises FlameError when the cache does not answer.
        """
        try:
            fetched = self.get(key, patience_s=0)
        except NotFound:
            return None
        return fetched.version, fetched.base

    def has(self, key: str) -> bool:
        """Is there an object of this key? Asked as one who has its first version: then it is not sent."""

        def has(client: flight.FlightClient) -> bool:
            reader = client.do_get(flight.Ticket(f"{key}:1".encode()), options=_options(0))
            _ = reader.schema  # an object that is not there is told of here
            reader.cancel()  # a newer version would follow
            return True

        try:
            return self._do(has, f"look for {key}")
        except NotFound:
            return False

    def delete(self, prefix: str) -> None:
        """``<app>/<session>/<object>``, ``<app>/<session>`` or ``<app>/*``. Unknown is fine."""

        def delete(client: flight.FlightClient) -> None:
            for _ in client.do_action(flight.Action("DELETE", prefix.encode()), options=_options(0)):
                pass

        self._do(delete, f"delete {prefix}")

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _do(
        self,
        step: Callable[[flight.FlightClient], _Answer],
        what: str,
        *,
        is_repeatable: bool = True,
        patience_s: float = PATIENCE_S,
    ) -> _Answer:
        """Run the step; again on new connections while the cache does not answer, unless that would do it twice.

        A cache that has been away for longer than ``patience_s`` is tried on one new connection.
        """
        attempt = 0
        while True:
            client = self._connected()
            try:
                answer = step(client)
            except flight.FlightUnavailableError as error:
                logger.debug("cache unavailable endpoint=%s what=%s attempt=%d", self.endpoint, what, attempt)
                self._drop(client)
                now_s = monotonic_s()
                since_s = self._lost_since_s = self._lost_since_s or now_s
                gives_up = not is_repeatable or (attempt > 0 and now_s - since_s >= patience_s)
                if gives_up or (attempt == 1 and not self._has_answered):
                    refusal = why_refused(self.endpoint, self._tls, default_port=DEFAULT_PORT, side=self._side)
                    if refusal is not None:
                        raise TlsFailed(self.endpoint, refusal) from error
                if gives_up:
                    raise FlameError(
                        FlameErrorCode.INTERNAL,
                        f"the object cache at {self.endpoint} does not answer: {_first_line(error)}. See whether it "
                        "runs, and whether this address is right.",
                    ) from error
                if attempt:  # the first failure may be that of a connection which was made long ago
                    time.sleep(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S)) - 1])
                attempt += 1
                continue
            except flight.FlightTimedOutError as error:
                raise CallTimeout(
                    f"the object cache at {self.endpoint} did not answer in time ({what}). Try again, or see why it is "
                    "slow."
                ) from error
            except KeyError as error:
                raise NotFound(
                    f"{what}: the object cache at {self.endpoint} does not have it. It was deleted, the cache was "
                    "started anew, or it had no room for it: make it again."
                ) from error
            except pa.ArrowInvalid as error:
                raise InvalidArgument(f"{what}: the object cache refuses it: {_first_line(error)}") from error
            except pa.ArrowException as error:
                raise _odd(self.endpoint, f"{what}: {_first_line(error)}") from error
            self._lost_since_s = None
            self._has_answered = True
            return answer

    def _connected(self) -> flight.FlightClient:
        with self._lock:
            if self._client is None:
                self._client = connected(self.endpoint, self._tls)
            return self._client

    def _drop(self, client: flight.FlightClient) -> None:
        with self._lock:
            if self._client is client:
                self._client = None


def _flat(parts: Sequence[bytes | memoryview]) -> list[memoryview]:
    return [memoryview(each).cast("B") for each in parts]


def _rows(parts: Sequence[bytes | memoryview]) -> Iterator[pa.RecordBatch]:
    """The parts in rows that refer to their memory; small ones share a row."""
    small: list[memoryview] = []
    for part in _flat(parts):
        if len(part) < 4096:
            small.append(part)
            continue
        if small:
            yield _row(memoryview(b"".join(small)))
            small = []
        for begin in range(0, len(part), _ROW_BYTES):
            yield _row(part[begin : begin + _ROW_BYTES])
    if small:
        yield _row(memoryview(b"".join(small)))


def _row(data: memoryview) -> pa.RecordBatch:
    offsets = pa.py_buffer(b"\0\0\0\0" + len(data).to_bytes(4, "little"))
    value = pa.Array.from_buffers(pa.binary(), 1, [None, offsets, pa.py_buffer(data)])
    return pa.RecordBatch.from_arrays([_VERSION_0, value], schema=_SCHEMA)


def _read_rows(reader: flight.FlightStreamReader) -> Iterator[tuple[int, str, memoryview]]:
    names = set(reader.schema.names)
    for chunk in reader:
        batch = chunk.data
        kinds = batch.column("kind").to_pylist() if "kind" in names else ["base"] * batch.num_rows
        versions = batch.column("version").to_pylist()
        data = batch.column("data")
        for row in range(batch.num_rows):
            yield versions[row], kinds[row], memoryview(data[row].as_buffer())


def _assembled(rows: Iterator[tuple[int, str, memoryview]], endpoint: str) -> Fetched:
    base: list[memoryview] = []
    patches: list[memoryview] = []
    version = 0
    for row_version, kind, data in rows:
        version = max(version, row_version)
        if kind == "patch":
            patches.append(data)
        else:
            base.append(data)
    if not base:
        raise _odd(endpoint, "it sent an object without its beginning")
    return Fetched(version, base[0] if len(base) == 1 else memoryview(b"".join(base)), patches)


def _options(nbytes: int) -> flight.FlightCallOptions:
    return flight.FlightCallOptions(timeout=_DEADLINE_S + nbytes / _BYTES_PER_S)


def _first_line(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    text = text.partition("\n")[0].partition(". gRPC client debug context")[0]
    return text.rpartition("last error: UNKNOWN: ")[2][:300]


def _odd(endpoint: str, what: str) -> FlameError:
    return FlameError(
        FlameErrorCode.INTERNAL,
        f"the object cache at {endpoint} behaves unexpectedly: {what}. Is it a Flame 0.6 cache?",
    )
