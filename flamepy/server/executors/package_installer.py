# SPDX-License-Identifier: Apache-2.0
"""Packages of applications, fetched and unpacked once for all workers that need them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flamepy.core.application import Application
from flamepy.errors import FlameError, FlameErrorCode, InvalidArgument, NotFound
from flamepy.protocol.app_directory import make_directory, remove_directory, unpack_once
from flamepy.server.application_table import Registered
from flamepy.server.daemon_threads import in_daemon_thread
from flamepy.server.executors.worker_environ import binary_environ

DOWNLOAD_SILENCE_S = 30.0  # a server of packages that sends nothing for so long is taken for dead
_ARCHIVES = (".tar.gz", ".tgz")
_Key = tuple[int, str, str]  # generation of the application, url, what tells its content


class PackageInstaller:
    """directory: below it packages are unpacked. download: of an object of a cache into a file, by its url.

    content_of: what changes when the object at a url changes, "" when that cannot be known.
    """

    def __init__(self, directory: str, download: Callable[[str, str], None], content_of: Callable[[str], str]) -> None:
        self._directory = directory
        self._download = download
        self._content_of = content_of
        self._installed: dict[_Key, asyncio.Future[str]] = {}  # -> the directory that it is unpacked into

    async def install(self, registered: Registered) -> dict[str, str]:
        """The environment that the package wants for its workers. Raises FlameError."""
        application = registered.application
        installer = (application.installer or "").lower()
        if not installer:
            return {}  # and the url means nothing
        if installer not in ("binary", "python"):
            raise InvalidArgument(f"Unknown installer type: {application.installer}. Supported types: binary, python")
        if application.url is None:
            return {}
        if installer == "python":
            raise InvalidArgument(
                "the installer 'python' builds packages on the nodes of a cluster; this server has 'binary' only. "
                "Register the application with a package that brings its worker, and the installer 'binary'."
            )
        key = (registered.generation, application.url, self._content_of(application.url))
        unpacking = self._installed.get(key)
        if unpacking is None:
            unpacking = self._installed[key] = in_daemon_thread(lambda: self._unpack(application))
        try:
            return binary_environ(await asyncio.shield(unpacking))
        except FlameError:
            self._installed.pop(key, None)  # the next worker tries again
            raise

    async def forget(self, generation: int) -> None:
        """No worker of that registration is left: its files go."""
        keys = [key for key in self._installed if key[0] == generation]
        for unpacking in [self._installed.pop(key) for key in keys]:
            with contextlib.suppress(FlameError):
                await asyncio.to_thread(remove_directory, await unpacking)

    def _unpack(self, application: Application) -> str:
        """Raises FlameError."""
        assert application.url is not None
        name = Path(unquote(urlsplit(application.url).path)).name
        if not name.endswith(_ARCHIVES):
            raise InvalidArgument(f"unsupported archive format: {name}. Make it a .tar.gz.")
        with tempfile.TemporaryDirectory(dir=self._directory, prefix="download-") as directory:
            archive = self._fetched(application.url, os.path.join(directory, name))
            root = make_directory(self._directory, application.name)
            try:
                unpack_once(archive, root, application.name)
            except BaseException:
                remove_directory(root)
                raise
        return root

    def _fetched(self, url: str, target: str) -> str:
        """The file that is, or has, what lies at ``url``. Raises FlameError."""
        scheme = urlsplit(url).scheme
        if scheme == "file":
            return unquote(urlsplit(url).path)
        if scheme in ("http", "https"):
            _fetch_http(url, target)
        elif scheme in ("grpc", "grpcs"):
            self._download(url, target)
        else:
            raise InvalidArgument(f"unsupported scheme: {scheme}. Use file, http, https, grpc or grpcs.")
        return target


def file_content(url: str) -> str:
    """What changes when a local archive changes; "" for one that lies elsewhere, or is not there."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return ""
    try:
        seen = os.stat(unquote(parts.path))
    except OSError:
        return ""
    return f"{seen.st_mtime_ns}-{seen.st_size}-{seen.st_ino}"


def _fetch_http(url: str, target: str) -> None:
    parts = urlsplit(url)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()  # without what is secret in it
    try:
        answer = urllib.request.urlopen(url, timeout=DOWNLOAD_SILENCE_S)  # noqa: S310 - http or https
        with answer, open(target, "wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
    except urllib.error.HTTPError as error:
        raise NotFound(f"package {shown} cannot be fetched: {error.code} {error.reason}. Store it again.") from error
    except OSError as error:
        raise FlameError(
            FlameErrorCode.INTERNAL, f"package {shown} cannot be fetched: {error}. See that its server can be reached."
        ) from error
