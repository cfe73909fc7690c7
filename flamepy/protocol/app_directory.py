# SPDX-License-Identifier: Apache-2.0
"""The directory of an application: unpacked once, by the engine, a child of the zygote, or the worker that needs it.

Beside it lies a file with its state: empty while files are missing, then how each file looked. Who unpacks holds a
lock on that file, and who needs the files waits for it. It goes before the directory does: who finds it gone, stops.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flamepy.core.descriptors import lacks_descriptors, too_few_descriptors
from flamepy.errors import FlameError, FlameErrorCode, InvalidArgument, NotFound

if TYPE_CHECKING:
    import tarfile

StatSignatures = dict[str, tuple[int, int, int, int]]  # path -> mode, size, ctime, inode

_STATE = ".state"
_CACHE_DIRECTORY = "__pycache__"  # Python writes it beside the modules that it imports; it follows from them


def make_directory(scratch: str, name: str) -> str:
    """An empty directory that waits for its files. Raises OSError."""
    import tempfile  # here: 3 ms that workers do not need

    os.makedirs(scratch, exist_ok=True)
    root = tempfile.mkdtemp(prefix=f"{name}-", dir=scratch)
    _mark_incomplete(root)
    return root


def is_complete(root: str) -> bool:
    """Are all its files there?"""
    try:
        return os.stat(root + _STATE).st_size > 0
    except OSError:
        return False


def is_untouched(root: str) -> bool:
    """Does everything in it look as it did when it had been unpacked? Looks at every file."""
    try:
        with open(root + _STATE, "rb") as state:
            return bool(pickle.load(state) == dict(signatures_of(root)))
    except (OSError, EOFError, pickle.UnpicklingError):  # a cleaner of the temporary directory has been there
        return False


def unpack_once(archive: str, root: str, name: str) -> None:
    """Return when the files of ``archive`` are in ``root``: another process has unpacked them, or this call does.

    name: of the application. Raises NotFound (no such archive), InvalidArgument (it is none), FlameError (no room, too
    many open files, or ``root`` is about to be removed).
    """
    try:
        fd = os.open(root + _STATE, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            state = os.fstat(fd)
            if state.st_size:
                return
            if not state.st_nlink:
                raise FileNotFoundError(errno.ENOENT, "it is being removed", root)
            _empty(root)
            _unpack(archive, root)
            data = pickle.dumps(dict(signatures_of(root)))
            try:
                if os.pwrite(fd, data, 0) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), root)
            except OSError:
                os.ftruncate(fd, 0)  # a part of it would say that all files are there
                raise
        finally:
            os.close(fd)
    except OSError as error:
        raise unpack_failure(name, error) from error


def check_archive(archive: str) -> None:
    """Raises NotFound, InvalidArgument."""
    with _opened(archive):
        pass


def restore_directory(archive: str | None, root: str) -> None:
    """Where a cleaner has removed it, make it anew, to be unpacked again. Raises NotFound when that cannot be."""
    if os.path.isdir(root) and (archive is None or os.path.exists(root + _STATE)):
        return
    if archive is not None and not os.path.exists(archive):
        raise NotFound(
            f"the files of the application were removed from the temporary directory ({root}), and their package as "
            "well: close the Runner and create it again."
        )
    os.makedirs(root, exist_ok=True)
    _mark_incomplete(root)


def give_up_directory(root: str) -> None:
    """Who waits for its files waits no longer. The first step of removing it."""
    with contextlib.suppress(OSError):
        os.unlink(root + _STATE)


def remove_directory(root: str) -> None:
    """Remove it with its state, once it is not being unpacked any more. Never raises OSError."""
    give_up_directory(root)
    remove_tree(root)


def signatures_of(root: str) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """What tells that a file was changed, for every file below ``root``, links themselves included.

    The time is that of the inode: programs can set the time of the content back.
    """
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name == _CACHE_DIRECTORY:
                continue
            seen = entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield entry.path, (seen.st_mode, 0, 0, seen.st_ino)
                yield from signatures_of(entry.path)
            else:
                yield entry.path, (seen.st_mode, seen.st_size, seen.st_ctime_ns, seen.st_ino)


def _mark_incomplete(root: str) -> None:
    with open(root + _STATE, "wb"):
        pass


def _empty(root: str) -> None:
    """Take away what a process that was killed has unpacked: what cannot be written could not be written again."""
    if os.listdir(root):
        remove_tree(root)
        os.mkdir(root, 0o700)


def remove_tree(path: str) -> None:
    """Also what a package has in directories that may not be written. Never raises OSError."""
    import shutil  # here, because it takes 2 ms to load, and the first worker waits for what is loaded at the start

    shutil.rmtree(path, ignore_errors=True)
    if os.path.isdir(path):
        for directory, names, _ in os.walk(path):
            for name in names:
                inner = os.path.join(directory, name)
                if not os.path.islink(inner):  # a link leads out of the package
                    with contextlib.suppress(OSError):
                        os.chmod(inner, 0o700)
        shutil.rmtree(path, ignore_errors=True)


def _unpack(archive: str, root: str) -> None:
    import tarfile

    with _opened(archive) as tar:
        if hasattr(tarfile, "fully_trusted_filter"):
            # the archive is the user's own project, and may link to big files beside it
            tar.extractall(root, filter="fully_trusted")
        else:
            tar.extractall(root)


@contextlib.contextmanager
def _opened(archive: str) -> Iterator[tarfile.TarFile]:
    import tarfile  # here: workers, which rarely unpack, do without
    import zlib

    try:
        with tarfile.open(archive) as tar:
            yield tar
    except FileNotFoundError as error:
        raise NotFound(
            f"package {archive} not found: it was removed from the storage. Open the Runner again."
        ) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InvalidArgument(f"package {archive} is not a readable tar archive: {error}. Build it again.") from error


def unpack_failure(name: str, error: OSError) -> FlameError:
    """The error for files of an application that cannot be written."""
    import tempfile

    what = f"cannot unpack the files of {name} for its workers"
    if lacks_descriptors(error):
        return too_few_descriptors(what)
    return FlameError(
        FlameErrorCode.INTERNAL,
        f"{what}: {error.strerror or error} ({error.filename or tempfile.gettempdir()}). See that the temporary "
        "directory exists, can be written and has room (TMPDIR names it).",
    )
