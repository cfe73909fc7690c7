# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a storage that is reached over a network, and what to do about it. Pure."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from flamepy.errors import FlameError, InvalidConfig, NotFound, PackageError

_USER_IN_URL = re.compile(r"(?<=//)[^/@\s]+@")
_VALUE_IN_QUERY = re.compile(r"(?<=[?&])([\w.~-]+)=[^&\s'\"]+")
_DETAIL_CHARS = 200  # some servers answer with a page


class Fault(Enum):
    """A cause that the user can tell from others, and its usual cure."""

    NO_PLACE = "the place does not exist", "Create it, or set package.storage to one that exists."
    NOT_THERE = "it is not there", "It was removed from the storage: open the Runner again, which uploads it."
    FORBIDDEN = "no permission", "Give these credentials the right to read, write and delete there."
    NO_CREDENTIALS = "it wants credentials, and none were found", "Set them up for this machine."
    BAD_CREDENTIALS = "the credentials are not accepted", "Check which ones this machine uses."
    EXPIRED = "the credentials have expired", "Log in again."
    WRONG_CLOCK = "the clock of this machine differs too much from the server's", "Set it."
    FULL = "it is full, or the package is bigger than it takes", "Delete old packages there, or raise its quota."
    UNREACHABLE = "the host cannot be reached", "Check the address in package.storage, the network and the proxy."
    CUT = "the connection was cut", "Does the server take packages of this size? Look at its log, then try again."
    UNTRUSTED = "its certificate is not trusted", "Name the authority that signed it."
    SILENT = "it does not answer in time", "Look at the server, then try again."
    NOT_SUPPORTED = "the server does not do that", "Use a server with HEAD, PUT, GET and DELETE, such as WebDAV."
    FAILING = "the server reports a failure of its own", "Look at the server, then try again."
    OTHER = "", "Check package.storage, and that the place is healthy."

    @property
    def what(self) -> str:
        return str(self.value[0])

    @property
    def cure(self) -> str:
        return str(self.value[1])

    @property
    def may_pass(self) -> bool:
        """Is trying again a moment later worth it?"""
        return self in (Fault.UNREACHABLE, Fault.CUT, Fault.SILENT, Fault.FAILING)


class StorageFault(Exception):
    """What a transport raises. detail: in the words of the other side, or of the library."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(fault, detail)
        self.fault = fault
        self.detail = detail


def error_for(doing: str, fault: StorageFault, cures: Mapping[Fault, str]) -> FlameError:
    """One line: what, where, why and the cure. cures: of this kind of storage, where it knows better."""
    kind = fault.fault
    detail = without_secrets(" ".join(fault.detail.split())).rstrip(".")
    if len(detail) > _DETAIL_CHARS:
        detail = f"{detail[:_DETAIL_CHARS]}..."
    why = f"{kind.what} ({detail})" if kind.what and detail else kind.what or detail or "for an unknown reason"
    told = f"cannot {doing}: {why}. {cures.get(kind, kind.cure)}"
    classes = {Fault.NO_PLACE: InvalidConfig, Fault.NOT_THERE: NotFound}
    return classes.get(kind, PackageError)(told)


def first_cause(fault: StorageFault) -> BaseException | None:
    """Where it began, alone: what four layers of libraries made of it is pages long, and quotes whole requests."""
    found: BaseException | None = None
    following = fault.__cause__
    while following is not None:
        found, following = following, following.__cause__ or following.__context__
    return None if found is None else found.with_traceback(None)


def without_secrets(text: str) -> str:
    """A text of a library or a server, without what stands before an @ or behind a = in a url."""
    return _VALUE_IN_QUERY.sub(r"\1=...", _USER_IN_URL.sub("", text))


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was made of: libraries put the real one under ``reason`` as well."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]


def fault_of_network(error: BaseException) -> StorageFault | None:
    """What the socket or TLS says, whichever library was between; None when it was neither."""
    import socket
    import ssl

    chain = list(causes(error))
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            return StorageFault(Fault.UNTRUSTED, _verify_message(chain))
        if isinstance(each, ssl.SSLError):
            return StorageFault(Fault.OTHER, f"TLS failed: {each.reason or each}")
    for each in chain:
        if isinstance(each, socket.gaierror):
            return StorageFault(Fault.UNREACHABLE, each.strerror or str(each))
        if isinstance(each, OSError) and each.errno in _UNREACHABLE:
            return StorageFault(Fault.UNREACHABLE, each.strerror or str(each))
        if isinstance(each, ConnectionError):
            return StorageFault(Fault.CUT, each.strerror or str(each))
    return None


def _verify_message(chain: Iterable[BaseException]) -> str:
    """aiohttp has a class of its own, without it, around the real one."""
    return next((str(found) for each in chain if (found := getattr(each, "verify_message", ""))), "")


_UNREACHABLE = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT})
