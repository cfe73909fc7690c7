# SPDX-License-Identifier: Apache-2.0
"""From a project's directory to a package that workers can fetch; an unchanged directory is not packed again."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flamepy.core.names import checked_application_name
from flamepy.core.shown import url_without_secrets
from flamepy.errors import PackageError
from flamepy.packaging.archive import Progress, write_archive
from flamepy.packaging.options import PackageOptions
from flamepy.packaging.project import Project, Snapshot
from flamepy.packaging.selection.manifest import Kind, Manifest, Row
from flamepy.packaging.storage import Storage
from flamepy.packaging.workspace import Workspace
from flamepy.packaging.writing import cure_for_write, temporary_file_in

logger = logging.getLogger(__name__)
SHORT_SHA_CHARS = 12


@dataclass(frozen=True)
class Package:
    """A project as it was when it was packed, in an archive called ``<name>-<12 digits of sha>.tar.gz``.

    path: the archive on this machine, which is not made when the storage has it already; url: where workers fetch it;
    is_new: the storage did not have it; sha: over paths, modes and contents.
    files, nbytes: what is in it, unpacked, without our own worker, which one for a cluster brings along;
    linked: big files that it only links to; notes: what may surprise; extra: files that only the archive has.
    """

    name: str
    path: Path
    url: str
    is_new: bool
    sha: str
    files: int
    nbytes: int
    linked: tuple[str, ...]
    notes: tuple[str, ...]
    root: Path
    options: PackageOptions
    identities: Mapping[str, bytes] = field(repr=False, compare=False)
    extra: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        url = url_without_secrets(self.url)
        return f"Package({self.name!r}, url={url!r}, sha={self.sha!r}, files={self.files}, nbytes={self.nbytes})"


class Packager:
    """Makes packages, and remembers them. Safe from any thread.

    workspace: an existing directory for the archives, which the caller removes; None = one of its own, removed by
    ``close``, with this object, or at the end of the process. now_ns: the clock that file stamps follow.
    """

    def __init__(self, workspace: Path | None = None, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._workspace = Workspace(workspace)
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._projects: dict[tuple[str, PackageOptions], Project] = {}

    def package(
        self,
        root: str | os.PathLike[str],
        name: str,
        options: PackageOptions | None = None,
        *,
        storage: Storage | None = None,
        extra: Mapping[str, bytes] | None = None,
        on_progress: Progress | None = None,
        on_upload: Progress | None = None,
    ) -> Package:
        """Pack ``root`` under an application's name, and upload it when there is a ``storage`` without it.

        extra: path -> content of files that only the archive gets; a path of the directory itself is refused.
        on_progress: is told files and bytes after each file; it is not called when nothing has to be packed.
        on_upload: is told bytes sent and bytes in all, again and again; not called when nothing goes over a network.
        Raises PackageError (unreadable, too big, no space), InvalidConfig (storage), InvalidArgument (name).
        """
        checked_application_name(name)
        extra = dict(extra or {})
        with self._lock:
            project = self._project(root, options)
            project.archives_in |= {str(self._workspace.path)}
            if storage is not None and storage.directory is not None:
                project.archives_in |= {os.path.realpath(storage.directory)}
            manifest = project.scan()
            project.check(manifest, extra)
            archive = None
            # every file must be read for packing anyway; twice is worth it where compressing takes longer than both
            if project.newest is not None or (storage is not None and project.options.compresslevel):
                snapshot = project.snapshot(manifest, extra)
                archive = project.archive_of(snapshot.sha)
            else:
                snapshot, archive = self._pack(project, manifest, name, extra, on_progress)
            if archive is None and storage is None:
                snapshot, archive = self._pack(project, manifest, name, extra, on_progress)
        # not under the lock: the other end of a network may take its time
        url = None if storage is None else storage.find(self._path_of(name, snapshot.sha).name)
        is_new = url is None
        if url is None:
            with self._lock:
                if archive is None:
                    snapshot, archive = self._pack(project, manifest, name, extra, on_progress)
                path = self._under_name(archive, name, snapshot.sha)
            url = path.as_uri() if storage is None else _uploaded(storage, path, on_upload)
        packed = [entry for entry in snapshot.entries if entry.kind is not Kind.DIRECTORY]
        return Package(
            name=name,
            path=self._path_of(name, snapshot.sha),
            url=url,
            is_new=is_new,
            sha=snapshot.sha,
            files=len(packed) + len(extra),
            nbytes=sum(entry.counted_bytes for entry in packed) + sum(map(len, extra.values())),
            linked=tuple(entry.path for entry in packed if entry.kind is Kind.LINKED),
            notes=snapshot.notes,
            root=Path(project.root),
            options=project.options,
            identities=snapshot.identities,
            extra=extra,
        )

    def stale_files(self, package: Package) -> list[str]:
        """Paths that were added, removed or changed since ``package`` was made, sorted. Touched is not changed.

        Looks at the directory alone; what the caller gave as ``extra`` the caller knows.
        Raises PackageError for what cannot be read.
        """
        with self._lock:
            project = self._project(package.root, package.options)
            now = project.snapshot(project.scan(), package.extra).identities
        before = package.identities
        if now is before:
            return []
        return sorted(path for path in now.keys() | before.keys() if now.get(path) != before.get(path))

    def dry_run(self, root: str | os.PathLike[str], options: PackageOptions | None = None) -> list[Row]:
        """What would be packed, what not and why, sorted by path. Reads no content; its size does not matter.

        Raises PackageError for what cannot be listed, and for too many files.
        """
        with self._lock:
            rows = self._project(root, options).rows()
        return sorted(rows, key=lambda row: os.fsencode(row.path))

    def discard(self, package: Package) -> None:
        """The caller needs this archive no more. It stays while it is what the directory held last. Idempotent."""
        with self._lock:
            project = self._project(package.root, package.options)
            is_newest = project.newest is not None and project.newest[1] == package.path
            if not is_newest:
                package.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all archives, if the workspace is our own. Idempotent."""
        with self._lock:
            self._workspace.close()

    def _project(self, root: str | os.PathLike[str], options: PackageOptions | None) -> Project:
        key = os.path.realpath(root), options or PackageOptions()
        project = self._projects.get(key)
        if project is None:
            project = self._projects[key] = Project(*key, self._now_ns)
        return project

    def _pack(
        self,
        project: Project,
        manifest: Manifest,
        name: str,
        extra: Mapping[str, bytes],
        on_progress: Progress | None,
    ) -> tuple[Snapshot, Path]:
        """Read every file once, into an archive that gets its name when its content is known."""
        added = project.added_to(extra)
        try:
            self._workspace.path.mkdir(parents=True, exist_ok=True)  # a cleaner of the temporary directory was there
            with temporary_file_in(self._workspace.path) as part:
                readings = write_archive(
                    part,
                    manifest.entries,
                    added=added,
                    compresslevel=project.options.compresslevel,
                    now_ns=self._now_ns,
                    on_progress=on_progress or (lambda *_: None),
                )
                packed = [entry for entry in manifest.entries if entry.kind is not Kind.FILE or entry.path in readings]
                snapshot = project.snapshot_of(packed, manifest, readings, extra)
                archive = self._path_of(name, snapshot.sha)
                os.replace(part, archive)
        except OSError as error:
            raise self._cannot_write(error) from error
        project.newest = snapshot.sha, archive
        logger.debug("package packed root=%s sha=%s files=%d", project.root, snapshot.sha, len(readings))
        return snapshot, archive

    def _under_name(self, archive: Path, name: str, sha: str) -> Path:
        """The same archive for another application: a second name for the file, or a copy where that cannot be."""
        path = self._path_of(name, sha)
        if path == archive or path.exists():
            return path
        try:
            with temporary_file_in(self._workspace.path) as part:
                try:
                    os.link(archive, part)
                except OSError:  # some file systems know no second name
                    shutil.copyfile(archive, part)
                os.replace(part, path)
        except OSError as error:
            raise self._cannot_write(error) from error
        return path

    def _path_of(self, name: str, sha: str) -> Path:
        return self._workspace.path / f"{name}-{sha[:SHORT_SHA_CHARS]}.tar.gz"

    def _cannot_write(self, error: OSError) -> PackageError:
        reason = error.strerror or str(error)
        return PackageError(
            f"cannot write the package into {self._workspace.path}: {reason}. {cure_for_write(error.errno)}"
        )


def _uploaded(storage: Storage, path: Path, on_upload: Progress | None) -> str:
    if on_upload is None:
        return storage.upload(path, path.name)
    nbytes = path.stat().st_size
    return storage.upload(path, path.name, lambda sent: on_upload(sent, nbytes))
