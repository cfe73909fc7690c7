# SPDX-License-Identifier: Apache-2.0
"""Packages on a server: one name a content, so what is there is never sent again, and versions lie side by side.

A transport tries once. Here it is tried again where that helps: each of its steps may be done twice, because a name
stands for one content.
"""

from __future__ import annotations

import importlib.util
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from flamepy.core.shown import url_without_secrets
from flamepy.errors import InvalidArgument, InvalidConfig, PackageError
from flamepy.packaging.storages.faults import Fault, StorageFault, error_for, first_cause
from flamepy.packaging.writing import cure_for_write, temporary_file_in

logger = logging.getLogger(__name__)
T = TypeVar("T")
OnSent = Callable[[int], object]
"""Is told how many bytes have been sent, each time from the beginning."""

PAUSES_S = (0.2, 1.0)  # before the second and the third attempt: a restart of a server takes longer, a hiccup does not
CONNECT_LIMIT_S = 10.0  # three attempts are half a minute; a server that is there answers in one tenth of a second
READ_LIMIT_S = 60.0  # between two signs of life: servers look for viruses before they answer an upload


class Transport(Protocol):
    """One place on a server, reached with one library. Each method tries once, and raises StorageFault."""

    def has(self, name: str) -> bool:
        """Is there a file of that name? False also when the server will not say."""
        ...

    def send(self, archive: Path, name: str, on_sent: OnSent) -> None:
        """Afterwards it is there, whole. A part of it never has that name, where the server can see to that."""
        ...

    def receive(self, name: str, target: Path) -> None: ...

    def remove(self, name: str) -> None:
        """Unknown is fine."""
        ...


class RemoteStorage(ABC):
    """url: the place; its archives lie below it. Connects when it is used.

    pause: waits before it is tried again; read_limit_s: between two signs of life of the server.
    """

    directory: Path | None = None
    knows_users = False
    cures: ClassVar[Mapping[Fault, str]] = {}

    def __init__(
        self, url: str, *, pause: Callable[[float], object] = time.sleep, read_limit_s: float = READ_LIMIT_S
    ) -> None:
        self._url = url.rstrip("/")
        self._pause = pause
        self._read_limit_s = read_limit_s

    @classmethod
    @abstractmethod
    def at(cls, url: str) -> RemoteStorage:
        """See ``Storage``."""

    @abstractmethod
    def _connected(self) -> AbstractContextManager[Transport]:
        """Raises StorageFault."""

    @classmethod
    def fetch(cls, url: str, into: Path) -> Path:
        """See ``Storage``. What is there already is not fetched again."""
        place, _, name = url.rpartition("/")
        return cls.at(place).fetch_name(unquote(name), into)

    def find(self, name: str) -> str | None:
        """See ``Storage``."""
        where = f"look for {name} in {self}"
        return self._url_of(name) if self._attempt(where, lambda there: there.has(name)) else None

    def upload(self, archive: Path, name: str, on_sent: OnSent | None = None) -> str:
        """See ``Storage``."""
        if self.find(name) is None:
            told = on_sent or (lambda _: None)
            self._attempt(f"upload {name} to {self}", lambda there: there.send(archive, name, told))
            logger.debug("package uploaded storage=%s name=%s", self, name)
        return self._url_of(name)

    def delete(self, url: str, *, is_last: bool = True) -> None:
        """See ``Storage``."""
        place, _, name = url.rpartition("/")
        if place != self._url or not name:
            raise InvalidArgument(
                f"{url_without_secrets(url)} does not lie in {self}: use the storage that it was uploaded to."
            )
        if is_last:
            self._attempt(f"delete {unquote(name)} from {self}", lambda there: there.remove(unquote(name)))

    def __str__(self) -> str:
        return url_without_secrets(self._url)

    def _url_of(self, name: str) -> str:
        return f"{self._url}/{name}"  # a name of an application and digits: nothing in it has to be quoted

    def fetch_name(self, name: str, into: Path) -> Path:
        """``fetch`` for an archive of this storage."""
        from flamepy.packaging.verification import check_content

        target = into / name
        if target.exists():
            return target
        try:
            into.mkdir(parents=True, exist_ok=True)
            with temporary_file_in(into) as part:
                self._attempt(f"fetch {name} from {self}", lambda there: there.receive(name, part))
                check_content(part, name, f"{self}/{name}")
                part.replace(target)
        except OSError as error:
            raise PackageError(
                f"cannot keep {name} of {self} in {into}: {error.strerror or error}. {cure_for_write(error.errno)}"
            ) from error
        return target

    def _attempt(self, doing: str, step: Callable[[Transport], T]) -> T:
        """Raises InvalidConfig, PackageError."""
        pauses_s = iter(PAUSES_S)
        while True:
            try:
                with self._connected() as there:
                    return step(there)
            except StorageFault as fault:
                pause_s = next(pauses_s, None) if fault.fault.may_pass else None
                if pause_s is None:
                    raise error_for(doing, fault, self.cures) from first_cause(fault)
                logger.debug("storage tried again storage=%s fault=%s detail=%s", self, fault.fault.name, fault.detail)
            self._pause(pause_s)


def check_installed(modules: Mapping[str, str], url: str) -> None:
    """Raises InvalidConfig when a library is missing. modules: what is imported -> what pip calls it."""
    missing = [pip for module, pip in modules.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise InvalidConfig(
            f"package.storage {url_without_secrets(url)} needs libraries that are not installed: "
            f"pip install {' '.join(dict.fromkeys(missing))}"
        )


def check_place(url: str, noun: str, example: str) -> None:
    """Raises InvalidConfig for a url without the part that names the server or the bucket, or with a query."""
    parts = urlsplit(url)
    shown = url_without_secrets(url)
    if not parts.hostname:
        raise InvalidConfig(f"package.storage {shown} names no {noun}: write it like {example}.")
    if parts.query or parts.fragment:
        raise InvalidConfig(
            f"package.storage {shown} goes on behind its path, with ? or #, and file names are put there: "
            f"write it like {example}."
        )
