# SPDX-License-Identifier: Apache-2.0
"""Packages on an HTTP server that takes HEAD, PUT, GET and DELETE, as WebDAV servers do."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar
from urllib.parse import unquote, urlsplit, urlunsplit

from flamepy.errors import InvalidConfig
from flamepy.packaging.storages.faults import Fault, StorageFault, causes, fault_of_network
from flamepy.packaging.storages.libraries import EXTRA
from flamepy.packaging.storages.remote_storage import (
    CONNECT_LIMIT_S,
    OnSent,
    RemoteStorage,
    check_installed,
    check_place,
)

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_CHUNK_BYTES = 1 << 16
_REDIRECTS = 5
_EXISTS = 412  # the answer to "only if there is none"
_WHO_ARE_YOU = (401, 407)
_OF_STATUS = {
    401: Fault.NO_CREDENTIALS,
    403: Fault.FORBIDDEN,
    404: Fault.NO_PLACE,
    405: Fault.NOT_SUPPORTED,
    407: Fault.FORBIDDEN,
    409: Fault.NO_PLACE,  # WebDAV: the directory above is missing
    410: Fault.NO_PLACE,
    413: Fault.FULL,
    429: Fault.FAILING,
    501: Fault.NOT_SUPPORTED,
    507: Fault.FULL,
}


class HttpStorage(RemoteStorage):
    """url: of the directory; user and password in it, or for its host in ~/.netrc."""

    cures: ClassVar[Mapping[Fault, str]] = {
        Fault.NO_CREDENTIALS: "Write user and password for this host into ~/.netrc.",
        Fault.BAD_CREDENTIALS: "Check them: in package.storage, or for this host in ~/.netrc.",
        Fault.FORBIDDEN: "Give this user the right to PUT, GET and DELETE there, or check the user in ~/.netrc.",
        Fault.UNTRUSTED: "Name the file of the authority that signed it in SSL_CERT_FILE.",
    }

    @classmethod
    def at(cls, url: str) -> HttpStorage:
        """See ``Storage``."""
        check_place(url, "host", "https://host/packages")
        check_installed({"urllib3": EXTRA}, url)
        return cls(url)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[HttpTransport]:
        with _pool(self._url, self._read_limit_s) as pool:
            yield HttpTransport(pool, self._url)


class HttpTransport:
    """Implements ``Transport``."""

    def __init__(self, pool: PoolManager, url: str) -> None:
        parts = urlsplit(url)
        self._pool = pool
        self._place = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self._credentials = _credentials(url)

    def has(self, name: str) -> bool:
        with self._asked("HEAD", name) as answer:
            if answer.status == 200:
                return True
            if answer.status < 500 and answer.status not in _WHO_ARE_YOU:
                return False  # also 403 and 405: what an upload is answered says more
            raise self._fault(answer)

    def send(self, archive: Path, name: str, on_sent: OnSent) -> None:
        """Where the server can move files, under another name first: so no reader sees half of one.

        Other servers throw away what they got half of, as far as they are worth something.
        """
        if not self._can_move():
            self._send(archive, name, on_sent, {"If-None-Match": "*"})
            return
        part = f".{os.urandom(16).hex()}.part"
        try:
            self._send(archive, part, on_sent, {})
            self._move(part, name)
        except BaseException:
            self._remove_quietly(part)
            raise

    def receive(self, name: str, target: Path) -> None:
        with self._asked("GET", name) as answer:
            if answer.status in (404, 410):
                raise StorageFault(Fault.NOT_THERE)
            if answer.status != 200:
                raise self._fault(answer)
            with open(target, "xb") as file, self._translated():
                file.writelines(answer.stream(_CHUNK_BYTES, decode_content=False))

    def remove(self, name: str) -> None:
        with self._asked("DELETE", name) as answer:
            if answer.status >= 300 and answer.status not in (404, 410):
                raise self._fault(answer)

    def _can_move(self) -> bool:
        with self._asked("OPTIONS", "") as answer:
            return answer.status < 300 and "MOVE" in answer.headers.get("Allow", "").replace(" ", "").split(",")

    def _send(self, archive: Path, name: str, on_sent: OnSent, headers: Mapping[str, str]) -> None:
        length = str(archive.stat().st_size)
        sent = {**headers, "Content-Length": length, "Content-Type": "application/gzip"}
        with (
            open(archive, "rb") as file,
            self._asked("PUT", name, body=_ToldFile(file, on_sent), headers=sent) as answer,
        ):
            if answer.status >= 300 and answer.status != _EXISTS:
                raise self._fault(answer)

    def _move(self, part: str, name: str) -> None:
        headers = {"Destination": f"{self._place}/{name}", "Overwrite": "F"}
        with self._asked("MOVE", part, headers=headers) as answer:
            if answer.status == _EXISTS:  # another program has brought the same
                self._remove_quietly(part)
            elif answer.status >= 300:
                raise self._fault(answer)

    def _remove_quietly(self, name: str) -> None:
        with contextlib.suppress(StorageFault):
            self.remove(name)

    @contextlib.contextmanager
    def _asked(
        self, method: str, name: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[BaseHTTPResponse]:
        sent = dict(headers or {})
        if self._credentials is not None:
            import urllib3

            sent.update(urllib3.make_headers(basic_auth=self._credentials))
        with self._translated():
            answer = self._pool.request(
                method,
                f"{self._place}/{name}",
                body=body,
                headers=sent,
                preload_content=False,
            )
        try:
            yield answer
        finally:
            answer.close()  # what is left of a body is of no interest, and may be long

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProxyError, ReadTimeoutError

        try:
            yield
        except HTTPError as error:
            if any(isinstance(each, ReadTimeoutError) for each in causes(error)):
                raise StorageFault(Fault.SILENT) from error
            fault = fault_of_network(error)
            if fault is None and any(isinstance(each, ConnectTimeoutError) for each in causes(error)):
                fault = StorageFault(Fault.UNREACHABLE, f"no connection in {CONNECT_LIMIT_S:.0f} s")
            if isinstance(error, ProxyError):
                fault = StorageFault(Fault.UNREACHABLE, f"through the proxy: {fault.detail if fault else error}")
            raise (fault or StorageFault(Fault.FAILING, str(error))) from error

    def _fault(self, answer: BaseHTTPResponse) -> StorageFault:
        said = f"HTTP {answer.status} {answer.reason or ''}".strip()
        if answer.status == 401 and self._credentials is not None:
            return StorageFault(Fault.BAD_CREDENTIALS, said)
        usual = Fault.FAILING if answer.status >= 500 else Fault.OTHER
        return StorageFault(_OF_STATUS.get(answer.status, usual), said)


class _ToldFile:
    """A file that is being sent. It can be sent again from the beginning: a redirect asks for that."""

    def __init__(self, file: BinaryIO, on_sent: OnSent) -> None:
        self._file = file
        self._on_sent = on_sent

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(max(size, _CHUNK_BYTES))
        self._on_sent(self._file.tell())
        return piece

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)


@contextlib.contextmanager
def _pool(url: str, read_limit_s: float) -> Iterator[PoolManager]:
    """Connections for one step, through the proxy that the environment names for this host."""
    import urllib.request

    import urllib3

    parts = urlsplit(url)
    options: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=CONNECT_LIMIT_S, read=read_limit_s),
        # tried again where the other kinds of storage are
        "retries": urllib3.Retry(
            total=_REDIRECTS, connect=0, read=0, status=0, other=0, redirect=_REDIRECTS, raise_on_redirect=False
        ),
    }
    if parts.scheme == "https":
        import ssl

        options["ssl_context"] = ssl.create_default_context()
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        pool: PoolManager = urllib3.ProxyManager(proxy, **options)
    else:
        pool = urllib3.PoolManager(**options)
    try:
        yield pool
    finally:
        pool.clear()


def _credentials(url: str) -> str | None:
    """``user:password`` for a server. Raises InvalidConfig for a ~/.netrc that cannot be read."""
    import netrc

    parts = urlsplit(url)
    if parts.username is not None:
        return f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    path = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
    try:
        found = netrc.netrc(path).authenticators(parts.hostname or "")
    except FileNotFoundError:
        return None
    except (netrc.NetrcParseError, OSError) as error:
        reason = error.msg if isinstance(error, netrc.NetrcParseError) else error.strerror
        raise InvalidConfig(f"{path} cannot be read: {reason}. Mend it, or set NETRC to another file.") from None
    return None if found is None else f"{found[0]}:{found[2]}"
