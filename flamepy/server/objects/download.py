# SPDX-License-Identifier: Apache-2.0
"""Files out of an object cache: this server's, or another one's."""

from __future__ import annotations

from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import flight

from flamepy.errors import FlameError, FlameErrorCode, NotFound

_DEFAULT_PORT = 9090
_SCHEMES = {"grpc": "grpc", "grpcs": "grpc+tls"}
_LIMIT_S = 300.0  # for all of a package; a cluster's nodes wait as long


def download_object(url: str, target: str) -> None:
    """Write what lies at ``grpc://host:port/<key>`` into the file ``target``. Raises FlameError."""
    parts = urlsplit(url)
    key = unquote(parts.path).lstrip("/")
    location = f"{_SCHEMES[parts.scheme]}://{parts.hostname}:{parts.port or _DEFAULT_PORT}"
    nbytes = 0
    try:
        with flight.connect(location) as client, open(target, "wb") as file:
            reader = client.do_get(flight.Ticket(f"{key}:0".encode()), flight.FlightCallOptions(timeout=_LIMIT_S))
            for chunk in reader:
                nbytes += _write_data(chunk.data, file)
    except pa.ArrowKeyError as error:
        raise _not_found(key) from error
    except (pa.ArrowException, OSError) as error:
        raise FlameError(
            FlameErrorCode.INTERNAL,
            f"{location} does not give {key}: {str(error).partition(chr(10))[0]}. See that it can be reached.",
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
