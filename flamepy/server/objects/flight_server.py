# SPDX-License-Identifier: Apache-2.0
"""The object cache over Arrow Flight: what readers and writers of objects ask, and what they are answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flamepy.core.addresses import in_url
from flamepy.core.cache import ObjectRef
from flamepy.errors import FlameError, FlameErrorCode, InvalidArgument
from flamepy.server.certificates import ServerCertificates
from flamepy.server.objects.columns import SCHEMA, is_table, opaque_payload, reply, table_payload, table_schema
from flamepy.server.objects.object_table import ObjectTable, StoredObject, checked_key

_PATCH = b"PATCH:"
_DELETE = "DELETE"
_STATUS = {FlameErrorCode.NOT_FOUND: pa.ArrowKeyError, FlameErrorCode.INVALID_ARGUMENT: pa.ArrowInvalid}


class ObjectFlightServer(flight.FlightServerBase):
    """Answers from its construction to ``shutdown``, in threads of its own.

    advertised_host: what clients and workers reach this machine by; they keep it in the references that they get.
    """

    def __init__(
        self,
        objects: ObjectTable,
        *,
        host: str,
        port: int,
        advertised_host: str,
        certificates: ServerCertificates | None = None,
    ) -> None:
        """Raises OSError or pyarrow's errors where it cannot listen."""
        scheme, options = "grpc", {}
        if certificates is not None:
            scheme = "grpc+tls"
            options = {
                "tls_certificates": [(certificates.certificate, certificates.key)],
                "verify_client": certificates.client_authority is not None,
                "root_certificates": certificates.client_authority,
            }
        super().__init__(f"{scheme}://{in_url(host)}:{port}", **options)
        self._objects = objects
        self.endpoint = f"{scheme}://{in_url(advertised_host)}:{self.port}"

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Store an object or append a patch, and answer with its reference."""
        with _told_to_client():
            patched = _patched_key(descriptor)
            path = "" if patched is not None else _path_of(descriptor)
            schema = reader.schema
            batches = (chunk.data for chunk in reader)
            if patched is not None:
                key, version = patched, self._objects.patch(patched, opaque_payload(schema, batches))
            elif is_table(schema):
                key, version = self._objects.put(path, table_payload(schema, batches), is_table=True)
            else:
                key, version = self._objects.put(path, opaque_payload(schema, batches), is_table=False)
        writer.write(pa.py_buffer(ObjectRef(self.endpoint, key, version).encode(is_wide=True)))

    def do_get(self, context: Any, ticket: Any) -> Any:
        """The object of the key in the ticket, as far as a reader of the version behind the colon lacks it."""
        with _told_to_client():
            key, reader_version = _asked_for(ticket.ticket)
            return flight.RecordBatchStream(reply(self._objects.get(key), reader_version=reader_version))

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """Where an object is, whether or not it is there."""
        with _told_to_client():
            key = "/".join(part.decode() for part in descriptor.path or ())
            if not key:
                raise InvalidArgument("Empty descriptor path: give the key of an object.")
            stored = self._objects.find(key)
            has_schema = stored is not None and stored.is_table
            return self._info(key, stored, table_schema(stored) if stored and has_schema else pa.schema([]), nbytes=-1)

    def list_flights(self, context: Any, criteria: Any) -> Iterator[Any]:
        """Every object, with its size."""
        for key, stored in self._objects.all().items():
            yield self._info(key, stored, pa.schema([]), nbytes=stored.nbytes)

    def get_schema(self, context: Any, descriptor: Any) -> Any:
        """That of objects which are not tables."""
        return flight.SchemaResult(SCHEMA)

    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        """The one that there is."""
        return [(_DELETE, "Delete <app>/<session>/<object>, <app>/<session> or <app>/*.")]

    def do_action(self, context: Any, action: Any) -> list[bytes]:
        """Delete what the body names."""
        with _told_to_client():
            if action.type != _DELETE:
                raise InvalidArgument(f"Unknown action type: {action.type}. Only DELETE is supported.")
            try:
                path = action.body.to_pybytes().decode()
            except UnicodeDecodeError as error:
                raise InvalidArgument(f"the key to delete is no text: {error}. Send it in UTF-8.") from error
            self._objects.delete(path)
            return [b"OK"]

    def _info(self, key: str, stored: StoredObject | None, schema: pa.Schema, *, nbytes: int) -> Any:
        endpoint = flight.FlightEndpoint(key.encode(), [self.endpoint])
        return flight.FlightInfo(schema, flight.FlightDescriptor.for_path(key), [endpoint], -1, nbytes)


def _patched_key(descriptor: Any) -> str | None:
    command = descriptor.command or b""
    return checked_key(command.removeprefix(_PATCH).decode()) if command.startswith(_PATCH) else None


def _path_of(descriptor: Any) -> str:
    """Only the first element counts. Raises InvalidArgument."""
    if not descriptor.path:
        raise InvalidArgument("key must be provided in descriptor path or command")
    return str(descriptor.path[0].decode())


def _asked_for(ticket: bytes) -> tuple[str, int]:
    """The key, and the version that the reader has. Raises InvalidArgument."""
    key, colon, version = ticket.decode(errors="replace").partition(":")
    if colon and not (version.isascii() and version.isdecimal()):
        raise InvalidArgument(f"Invalid version: {version!r} is no whole number. Ask for '<key>:<version>'.")
    return checked_key(key), int(version or 0)


@contextlib.contextmanager
def _told_to_client() -> Iterator[None]:
    """Errors as Flight has them. What it appends to them, a traceback of ours, begins on a line of its own."""
    try:
        yield
    except FlameError as error:
        raise _STATUS.get(error.code, flight.FlightInternalError)(f"{error}\n") from None
