# SPDX-License-Identifier: Apache-2.0
"""Payloads as columns of Arrow and back: how objects travel over Flight."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import pyarrow as pa

from flamepy.errors import FlameError, FlameErrorCode, InvalidArgument
from flamepy.server.objects.object_table import StoredObject, Versioned
from flamepy.server.objects.versions import Reply, reply_to

FORMAT = b"flame.cache.format"
TABLE_FORMAT = b"arrow-table-v1"
_VERSION = b"flame.cache.version"
_MAX_ROW_BYTES = 2**31 - 1  # a row of type Binary has no more
SCHEMA = pa.schema(
    [
        pa.field("version", pa.uint64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("data", pa.binary(), nullable=False),
    ]
)


def is_table(schema: pa.Schema) -> bool:
    """Is what comes a table, to be kept as one?"""
    return bool((schema.metadata or {}).get(FORMAT) == TABLE_FORMAT)


def opaque_payload(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Buffer:
    """The bytes of all rows, one behind the other. Raises FlameError for what a cluster refuses."""
    types = schema.types
    for place, wanted, name in ((0, pa.uint64(), "version"), (1, pa.binary(), "data")):
        if len(types) <= place or types[place] != wanted:
            raise FlameError(FlameErrorCode.INTERNAL, f"Invalid {name} column: column {place} has to be {wanted}.")
    pieces = [_bytes_of(batch.column(1)) for batch in batches if batch.num_rows]
    if not pieces:
        raise InvalidArgument("No data received: send at least one row.")
    nbytes = sum(piece.size for piece in pieces)
    if nbytes > _MAX_ROW_BYTES:
        raise InvalidArgument(f"{nbytes} bytes are too much for one object: the limit is {_MAX_ROW_BYTES}. Divide it.")
    return pieces[0] if len(pieces) == 1 else pa.py_buffer(b"".join(pieces))


def table_payload(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Buffer:
    """The table as a stream of Arrow. Raises FlameError for what a cluster refuses."""
    if any(pa.types.is_dictionary(each) for each in schema.types):
        raise FlameError(FlameErrorCode.INTERNAL, "Failed to decode batch: a cluster's cache knows no dictionaries.")
    kept = [batch for batch in batches if batch.num_rows]
    if not kept:
        raise InvalidArgument("No data received: send at least one row.")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in kept:
            writer.write_batch(batch)
    return sink.getvalue()


def reply(stored: StoredObject, *, reader_version: int) -> pa.RecordBatchReader:
    """What a reader gets that has ``reader_version`` (0: none): one batch for each payload that it lacks."""
    chosen = reply_to(
        reader_version,
        base_version=stored.base.version,
        patch_versions=[each.version for each in stored.patches],
        is_table=stored.is_table,
    )
    if stored.is_table:
        return _table(stored, with_rows=chosen is not Reply.NOTHING)
    lacking: list[Versioned] = []
    if chosen is Reply.EVERYTHING:
        lacking = list(stored.parts())
    elif chosen is Reply.PATCHES:
        lacking = [each for each in stored.patches if each.version > reader_version]
    return pa.RecordBatchReader.from_batches(SCHEMA, [_row(each, is_base=each is stored.base) for each in lacking])


def table_schema(stored: StoredObject) -> pa.Schema:
    """As readers get it, with the version that the table was written at."""
    schema = pa.ipc.open_stream(stored.base.payload.buffer()).schema
    return schema.with_metadata({**(schema.metadata or {}), _VERSION: str(stored.base.version).encode()})


def _table(stored: StoredObject, *, with_rows: bool) -> pa.RecordBatchReader:
    schema = table_schema(stored)
    return pa.RecordBatchReader.from_batches(schema, _batches(stored, schema) if with_rows else [])


def _batches(stored: StoredObject, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in pa.ipc.open_stream(stored.base.payload.buffer()):
        yield batch.replace_schema_metadata(schema.metadata)


def _row(part: Versioned, *, is_base: bool) -> pa.RecordBatch:
    """One row, around the bytes where they lie. Made of buffers: ``pa.array`` loads pandas first, in 0.6 s."""
    version = pa.Array.from_buffers(pa.uint64(), 1, [None, pa.py_buffer(struct.pack("=Q", part.version))])
    kind = _one(pa.string(), pa.py_buffer(b"base" if is_base else b"patch"))
    return pa.RecordBatch.from_arrays([version, kind, _one(pa.binary(), part.payload.buffer())], schema=SCHEMA)


def _one(kind: pa.DataType, data: pa.Buffer) -> pa.Array:
    ends = pa.py_buffer(struct.pack("=ii", 0, data.size))
    return pa.Array.from_buffers(kind, 1, [None, ends, data])


def _bytes_of(column: pa.BinaryArray) -> pa.Buffer:
    """The bytes of all its rows where they lie, without a copy."""
    _, ends, data = column.buffers()
    if data is None:
        return pa.py_buffer(b"")
    numbers = memoryview(ends).cast("i")
    first, last = numbers[column.offset], numbers[column.offset + len(column)]
    return data.slice(first, last - first)
