# SPDX-License-Identifier: Apache-2.0
"""Objects of the cache as bytes and back: four bytes that say how the rest is written, as every 0.6 program reads it.

What the published client writes wrongly or refuses (arrays of bool, of a foreign byte order, of text, of dates) is
pickled here, which its readers understand as well. numpy and pyarrow are used only for values that come from them.
"""

from __future__ import annotations

import io
import pickle
import sys
from typing import TYPE_CHECKING, Any

import cloudpickle

from flamepy.errors import FlameError, FlameErrorCode

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX_BYTES = 4
PICKLE = b"FLM\x00"
TENSOR = b"FLM\x01"  # a contiguous numpy array, as a tensor of Arrow
TABLE = b"FLM\x02"  # these three: a stream of Arrow
ARRAY = b"FLM\x03"
BATCH = b"FLM\x04"
_PICKLE_PROTOCOL = 5
_COLUMN = "data"  # of the one array in a stream
_TENSOR_KINDS = "iuf"  # numpy's letters for the numbers that come back from a tensor as they were


def encode(value: object) -> bytes:
    """An object as 0.6 programs read it. Raises what pickling raises; ImportError for an array without pyarrow."""
    if type(value).__module__.partition(".")[0] == "pyarrow":
        import pyarrow as pa

        if isinstance(value, pa.Table):
            return TABLE + _stream(value.schema, value.to_batches())
        if isinstance(value, pa.Array):
            batch = pa.record_batch([value], names=[_COLUMN])
            return ARRAY + _stream(batch.schema, [batch])
        if isinstance(value, pa.RecordBatch):
            return BATCH + _stream(value.schema, [value])
    if _is_tensor(value):
        return TENSOR + _tensor(value)
    return PICKLE + bytes(cloudpickle.dumps(value, protocol=_PICKLE_PROTOCOL))


def decode(data: bytes | memoryview) -> object:
    """The object that ``encode``, or a 0.6 program, wrote; what it holds may be changed without harm to others.

    Without a prefix the bytes are a pickle, as programs before 0.6 wrote them. Raises FlameError for damaged Arrow,
    ImportError where pyarrow is missing, and whatever unpickling raises.
    """
    prefix, rest = bytes(data[:PREFIX_BYTES]), memoryview(data)[PREFIX_BYTES:]
    if prefix not in (TENSOR, TABLE, ARRAY, BATCH):
        return pickle.loads(rest if prefix == PICKLE else data)
    import pyarrow as pa

    try:
        return _read_arrow(prefix, pa.py_buffer(rest))
    except Exception as error:  # many kinds, StopIteration among them
        raise FlameError(
            FlameErrorCode.INTERNAL,
            f"an object of {len(data)} bytes cannot be read, it is damaged: {type(error).__name__}: "
            f"{str(error).partition(chr(10))[0][:200]}. Store it again.",
        ) from error


def _read_arrow(prefix: bytes, buffer: pa.Buffer) -> object:
    import pyarrow as pa

    if prefix == TENSOR:
        return pa.ipc.read_tensor(pa.BufferReader(buffer)).to_numpy().copy(order="K")
    reader = pa.ipc.open_stream(buffer)
    read = reader.read_next_batch() if prefix == BATCH else reader.read_all()
    read.validate(full=True)  # what is damaged would end the process when it is used
    return read.column(_COLUMN).combine_chunks() if prefix == ARRAY else read


def _is_tensor(value: Any) -> bool:
    """Is it an array of numbers whose bytes a tensor takes as they lie there?"""
    np = sys.modules.get("numpy")
    return bool(
        np is not None
        and type(value) is np.ndarray
        and value.dtype.kind in _TENSOR_KINDS
        and value.dtype.isnative
        and value.dtype.itemsize <= 8  # a long double has no counterpart in Arrow
        and (value.flags.c_contiguous or value.flags.f_contiguous)
    )


def _tensor(array: Any) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    pa.ipc.write_tensor(pa.Tensor.from_numpy(array), sink)
    return bytes(sink.getvalue())


def _stream(schema: pa.Schema, batches: list[pa.RecordBatch]) -> bytes:
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()
