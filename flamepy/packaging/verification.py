# SPDX-License-Identifier: Apache-2.0
"""Is an archive that was fetched what its name says? The digest in the name is over what the archive holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from flamepy.errors import InvalidArgument
from flamepy.packaging.digests import CHUNK_BYTES, file_identity, other_identity, tree_digest
from flamepy.packaging.selection.manifest import Kind
from flamepy.packaging.tar_stream import LINKED_RECORD

if TYPE_CHECKING:
    import tarfile

_DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{12})\.tar\.gz")


def check_content(archive: Path, name: str, source: str) -> None:
    """Raises InvalidArgument when the archive is damaged. One whose name has no digest is taken as it is.

    source: where it was fetched, for the message.
    """
    expected = _DIGEST_IN_NAME.search(name)
    if expected is None:
        return
    import tarfile
    import zlib

    try:
        with tarfile.open(archive) as tar:
            found = tree_digest({member.name: _identity(tar, member) for member in tar})
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise _damaged(source, str(error)) from error
    if not found.startswith(expected[1]):
        raise _damaged(source, f"it holds {found[: len(expected[1])]}")


def _damaged(source: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        f"package {source} is not what its name says: {why}. Delete it there, and open the Runner again."
    )


def _identity(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.isdir():
        return other_identity(Kind.DIRECTORY, member.mode, b"")
    if member.issym():
        linked = member.pax_headers.get(LINKED_RECORD)
        target = member.linkname.encode(errors="surrogateescape")
        if linked is None:
            return other_identity(Kind.LINK, member.mode, target)
        return other_identity(Kind.LINKED, member.mode, b"%s\0%s" % (target, linked.replace(" ", "\0").encode()))
    return file_identity(member.mode, _digest(tar, member))


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    import hashlib

    digest = hashlib.sha256()
    content = tar.extractfile(member)
    while content is not None and (piece := content.read(CHUNK_BYTES)):
        digest.update(piece)
    return digest.digest()
