# SPDX-License-Identifier: Apache-2.0
"""Packages in S3, and in every other storage that fsspec has an implementation for."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from flamepy.errors import InvalidConfig
from flamepy.packaging.storages.faults import Fault, StorageFault
from flamepy.packaging.storages.fsspec_faults import fault_of
from flamepy.packaging.storages.libraries import EXTRA, LIBRARIES
from flamepy.packaging.storages.remote_storage import (
    CONNECT_LIMIT_S,
    OnSent,
    RemoteStorage,
    check_installed,
    check_place,
)

_WHOLE = frozenset({"s3", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"})  # a file appears there at its end
_PART_BYTES = 8 << 20  # of an upload to S3: progress is told after each, and several are on their way at once
_SLOWEST_BYTES_PER_S = 50_000  # a package that goes out more slowly would take half an hour: something is wrong
_FETCH_LIMIT_S = 1800.0  # the same half an hour, for a package whose size is not known yet


class FsspecStorage(RemoteStorage):
    """url: of the directory, as fsspec reads it. Credentials are found as the library of its scheme finds them."""

    cures: ClassVar[Mapping[Fault, str]] = {
        Fault.NO_CREDENTIALS: "For s3://: aws configure, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        Fault.BAD_CREDENTIALS: "For s3://: look at AWS_PROFILE, AWS_ACCESS_KEY_ID and ~/.aws/credentials.",
        Fault.EXPIRED: "Log in again (for s3://: aws sso login, or new AWS_ variables), and start this program anew.",
        Fault.UNTRUSTED: "Name the file of the authority that signed it in AWS_CA_BUNDLE, or in SSL_CERT_FILE.",
        Fault.NOT_SUPPORTED: "Use another kind of storage, such as s3://bucket/packages.",
    }

    @classmethod
    def at(cls, url: str) -> FsspecStorage:
        """See ``Storage``."""
        scheme = urlsplit(url).scheme
        check_place(url, "bucket or host", f"{scheme}://name/packages")
        check_installed({"fsspec": EXTRA, **LIBRARIES.get(scheme, {})}, url)
        return cls(url)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[FsspecTransport]:
        yield self._transport

    @functools.cached_property
    def _transport(self) -> FsspecTransport:
        return FsspecTransport(self._url, self._read_limit_s)


class FsspecTransport:
    """Implements ``Transport``."""

    def __init__(self, url: str, read_limit_s: float) -> None:
        import fsspec

        self._read_limit_s = read_limit_s
        self._scheme = urlsplit(url).scheme
        options = _s3_options(read_limit_s) if self._scheme == "s3" else {}
        try:
            self._files, path = fsspec.core.url_to_fs(
                url, skip_instance_cache=True, use_listings_cache=False, **options
            )
        except ImportError as error:  # its message says what to install
            raise InvalidConfig(f"package.storage of kind {self._scheme}:// cannot be used: {error}.") from error
        except Exception as error:  # each library has errors of its own
            raise fault_of(error) from error
        self._place = path.rstrip("/")
        self._files.retries = 1  # of s3fs, as above

    def has(self, name: str) -> bool:
        try:
            self._run("info", self._path(name))
        except StorageFault as fault:
            if fault.fault in (Fault.NOT_THERE, Fault.FORBIDDEN, Fault.OTHER):
                return False  # S3 answers so, without a reason, who may not list: an upload is told one
            raise
        return True

    def send(self, archive: Path, name: str, on_sent: OnSent) -> None:
        """Where files appear before their end, under another name first: so no reader sees half of one."""
        if self._scheme in _WHOLE:
            self._put(archive, self._path(name), on_sent)
            return
        part = self._path(f".{os.urandom(16).hex()}.part")
        try:
            self._put(archive, part, on_sent)
            self._run("mv", part, self._path(name))
        except BaseException:
            with contextlib.suppress(StorageFault):
                self._run("rm_file", part)
            raise

    def _put(self, archive: Path, path: str, on_sent: OnSent) -> None:
        nbytes = archive.stat().st_size
        options: dict[str, Any] = {"chunksize": _PART_BYTES} if self._scheme == "s3" else {}
        options["callback"] = _callback(on_sent)
        try:
            self._run(
                "put_file", str(archive), path, limit_s=self._read_limit_s + nbytes / _SLOWEST_BYTES_PER_S, **options
            )
        except StorageFault as fault:
            if fault.fault is Fault.NOT_THERE:
                raise StorageFault(Fault.NO_PLACE, fault.detail) from fault.__cause__
            raise
        on_sent(nbytes)  # some tell nothing on the way

    def receive(self, name: str, target: Path) -> None:
        self._run("get_file", self._path(name), str(target), limit_s=_FETCH_LIMIT_S)

    def remove(self, name: str) -> None:
        try:
            self._run("rm_file", self._path(name))
        except StorageFault as fault:
            if fault.fault is not Fault.NOT_THERE:
                raise

    def _path(self, name: str) -> str:
        return f"{self._place}/{name}"

    def _run(self, method: str, *args: object, limit_s: float | None = None, **options: object) -> object:
        """One method of the file system. limit_s: for libraries that can be stopped, those with coroutines."""
        from fsspec.asyn import AsyncFileSystem, sync

        try:
            coroutine = getattr(self._files, f"_{method}", None) if isinstance(self._files, AsyncFileSystem) else None
            if coroutine is not None:
                return sync(self._files.loop, coroutine, *args, timeout=limit_s or self._read_limit_s, **options)
            return getattr(self._files, method)(*args, **options)
        except Exception as error:  # each library has errors of its own
            raise fault_of(error) from error


def _callback(on_sent: OnSent) -> object:
    from fsspec.callbacks import Callback

    class Told(Callback):  # type: ignore[misc]  # fsspec has no types
        def call(self, *_args: object, **_kwargs: object) -> None:
            on_sent(self.value)

    return Told()


def _s3_options(read_limit_s: float) -> dict[str, Any]:
    return {
        "config_kwargs": {
            "connect_timeout": CONNECT_LIMIT_S,
            "read_timeout": read_limit_s,
            "retries": {"total_max_attempts": 1},  # tried again where the other kinds of storage are
        }
    }
