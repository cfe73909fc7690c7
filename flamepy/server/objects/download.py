# SPDX-License-Identifier: Apache-2.0
"""Files out of an object cache: this server's, or another one's."""

from __future__ import annotations

from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import flight

from flamepy.cache.flight.connecting import connected
from flamepy.config import FlameContextTls
from flamepy.errors import FlameError, FlameErrorCode, NotFound

_LIMIT_S = 300.0  # for all of a package; a cluster's nodes wait as long


def download_object(url: str, target: str, tls: FlameContextTls | None) -> None:
    """Write what lies at ``grpc://host:port/<key>`` into the file ``target``. Raises FlameError."""
    parts = urlsplit(url)
    key = unquote(parts.path).lstrip("/")
    nbytes = 0
    try:
        with connected(url, tls) as client, open(target, "wb") as file:
            reader = client.do_get(flight.Ticket(f"{key}:0".encode()), flight.FlightCallOptions(timeout=_LIMIT_S))
            for chunk in reader:
                nbytes += _write_data(chunk.data, file)
    except pa.ArrowKeyError as error:
        raise _not_found(key) from error
    except (pa.ArrowException, OSError) as error:
        raise FlameError(
            FlameErrorCode.INTERNAL,
            f"{parts.scheme}://{parts.netloc} does not give {key}: {str(error).partition(chr(10))[0]}. See that it can "
            "be reached.",
        ) from error
    if not nbytes:
        raise _not_found(key)


def _write_data(batch: pa.RecordBatch, file: BinaryIO) -> int:
    """Only a column of type Binary that is called ``data`` holds anything; returns the bytes of its rows."""
    place = batch.schema.get_field_index("data")
    if place < 0 or batch.schema.types[place] != pa.binary():
        return 0
    nbytes = 0
    for value in batch.column(place):
        data = value.as_buffer()
        file.write(data)
        nbytes += data.size
    return nbytes


def _not_found(key: str) -> NotFound:
    return NotFound(f"object not found: {key}. Store the package again.")
