# SPDX-License-Identifier: Apache-2.0
"""A project directory -> an application that workers can run; and back, when its last Runner closes.

Runners of one name and the same content share an application; other content gets ``NAME.<sha8>`` beside it. They may
live in any number of processes, so who uses an application is known to its engine: each Runner has a lease of it
("leases" in engine/api.py).
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flamepy.config import ContextFields, FlamePackage
from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.names import short_name
from flamepy.engine.api import Engine, Provisioner
from flamepy.errors import AlreadyExists, FlameError, InvalidState, NotFound
from flamepy.protocol.worker_specification import PROJECT_VARIABLE
from flamepy.runner.deploy.upload_bar import upload_bar

if TYPE_CHECKING:  # loaded when it is needed: the workers' parent process starts meanwhile
    from flamepy.packaging import Package, Packager, Storage

logger = logging.getLogger(__name__)

SHORT_SHA_CHARS = 8
_PACKAGE_ATTEMPTS = 5
NETWORK_COMPRESSLEVEL = 6  # gzip's own choice: sending takes longer than compressing
# What workers know of their Runner, so that a Runner of that name inside a call joins the code that it is in.
NAME_VARIABLE = "FLAME_RUNNER_NAME"
APPLICATION_VARIABLE = "FLAME_RUNNER_APPLICATION"
PACKAGE_VARIABLE = "FLAME_RUNNER_PACKAGE"  # the content of the application, as its package's sha
PYTHON_VARIABLE = "FLAME_PYTHON_VERSION"  # what installers of 0.6 read


@dataclass(frozen=True)
class ProjectRequest:
    """What to deploy, and as what. root: the directory; excludes and includes: beyond the configured ones.

    max_bytes, max_files: of the package, unpacked; None = the usual limits.
    around: inside a call, the application that runs it when that is of this name; a Runner of its name joins it.
    extra: gives the files that only the package has, as they are now.
    """

    name: str
    root: str
    context: ContextFields
    settings: FlamePackage
    excludes: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    max_bytes: int | None = None
    max_files: int | None = None
    python_version: str | None = None
    around: str | None = None
    extra: Callable[[], Mapping[str, bytes]] = dict


@dataclass(frozen=True)
class Deployment:
    """application: as registered; lease_id: what its sessions are opened under.

    package: None when an application was joined as it is.
    """

    application: str
    lease_id: str
    package: Package | None


def deploy(
    engine: Engine, project: ProjectRequest, undo: contextlib.ExitStack, *, fail_if_exists: bool = False
) -> Deployment:
    """Package, store and register ``project``, or join what is there; each step puts its opposite on ``undo``.

    Raises AlreadyExists (only with ``fail_if_exists``), PackageError, InvalidConfig, NotFound (no such template).
    """
    known = engine.applications.get(project.around or project.name)
    if known is not None and fail_if_exists:
        raise _already_exists(project.name)
    if known is not None and (project.around is not None or PACKAGE_VARIABLE not in known.environments):
        lease_id = short_name(known.name)  # our own code already, or an application that no Runner registered
        undo.callback(_end_lease, engine, lease_id)
        with contextlib.suppress(NotFound):  # it went in this instant
            engine.applications.lease(lease_id, known.name, None)
            return Deployment(known.name, lease_id, None)
    for attempt in reversed(range(_PACKAGE_ATTEMPTS)):
        with contextlib.ExitStack() as undo_attempt:
            try:
                deployment = _packaged_and_leased(engine, project, undo_attempt, must_be_new=fail_if_exists)
            except NotFound:
                if not attempt:
                    raise
                continue  # a Runner that left has removed the same package in this instant
            undo.push(undo_attempt.pop_all())
            return deployment
    raise AssertionError("unreachable: the last attempt returns or raises")


def _packaged_and_leased(
    engine: Engine, project: ProjectRequest, undo: contextlib.ExitStack, *, must_be_new: bool
) -> Deployment:
    template = _template(engine, project.context)
    storage = engine.provisioner.storage(project.settings.storage, source=project.context.source or "")
    packager = engine.provisioner.packager
    package = _packaged(engine.provisioner, project, storage)
    stored = None if storage is None else _StoredPackage(storage, package.url, is_left=package.is_new)
    if stored is not None:
        undo.callback(stored.delete)
    for name in (project.name, f"{project.name}.{package.sha[:SHORT_SHA_CHARS]}"):
        lease_id = short_name(name)
        undo.callback(_end_lease, engine, lease_id, lambda: _leave(packager, package, stored))
        attributes = engine.provisioner.launched(_attributes(project, name, template, package))
        try:
            application = engine.applications.lease(lease_id, name, attributes, must_be_new=must_be_new)
        except AlreadyExists as error:
            raise _already_exists(project.name) from error
        if application.environments.get(PACKAGE_VARIABLE) == package.sha:
            logger.debug("application leased name=%s storage=%s files=%d", name, storage, package.files)
            if stored is not None and application.url == package.url:
                stored.is_of_application, stored.is_left = True, False
            return Deployment(name, lease_id, package)
        engine.applications.end_lease(lease_id)  # Runners with other content have the name
    raise AlreadyExists(f"Applications {project.name!r} and {name!r} exist with other content: rename your Runner.")


class PackageKeptWarning(UserWarning):
    """A Runner has ended, and could not remove its package from the server that keeps it."""


@dataclass
class _StoredPackage:
    """A package in a storage. is_left: no application uses it, as far as its engine knows.

    is_of_application: it is what the workers of the application got, and stays until the last lease of that has ended.
    """

    storage: Storage
    url: str
    is_left: bool
    is_of_application: bool = False

    def delete(self) -> None:
        """A server that does not answer now costs no one the end of a program, nor the error that it ends with."""
        try:
            self.storage.delete(self.url, is_last=self.is_left)
        except FlameError as error:
            if self.storage.knows_users:
                raise
            warnings.warn(f"the package stays in the storage: {error}", PackageKeptWarning, stacklevel=2)


def _leave(packager: Packager, package: Package, stored: _StoredPackage | None) -> None:
    """The application has gone, with its last lease."""
    packager.discard(package)
    if stored is not None and stored.is_of_application:
        stored.is_left = True


def _already_exists(name: str) -> AlreadyExists:
    return AlreadyExists(f"Application {name!r} already exists. Set fail_if_exists=False to join it, or rename yours.")


def _end_lease(engine: Engine, lease_id: str, then: Callable[[], object] = lambda: None) -> None:
    """One Runner less. then: what the last one has to do besides."""
    with contextlib.suppress(InvalidState):  # the engine has ended, or is that of the process which forked this one
        if engine.applications.end_lease(lease_id):
            then()


def changed_paths(engine: Engine, project: ProjectRequest, deployment: Deployment) -> list[str]:
    """The files of the project, extra ones included, that are not what they were when it was packaged."""
    if deployment.package is None:
        return []
    before, now = deployment.package.extra, project.extra()
    extra = [path for path in before.keys() | now.keys() if before.get(path) != now.get(path)]
    return sorted([*extra, *engine.provisioner.packager.stale_files(deployment.package)])


def _template(engine: Engine, context: ContextFields) -> Application:
    template = engine.applications.get(context.runner.template)
    if template is None:
        raise NotFound(
            f"template application {context.runner.template!r} not found: register it, "
            f"or leave 'runner.template' out of {context.source or 'the configuration'}."
        )
    return template


def _packaged(provisioner: Provisioner, project: ProjectRequest, storage: Storage | None) -> Package:
    options = provisioner.options((*project.settings.excludes, *project.excludes), project.includes)
    options = replace(options, private_files=project.context.private_files)
    if project.max_bytes is not None:
        options = replace(options, max_bytes=project.max_bytes)
    if project.max_files is not None:
        options = replace(options, max_files=project.max_files)
    if storage is None or storage.directory is not None:
        return provisioner.packager.package(project.root, project.name, options, storage=storage, extra=project.extra())
    options = replace(options, compresslevel=options.compresslevel or NETWORK_COMPRESSLEVEL)
    with upload_bar(project.name) as on_upload:
        return provisioner.packager.package(
            project.root, project.name, options, storage=storage, extra=project.extra(), on_upload=on_upload
        )


def _attributes(project: ProjectRequest, name: str, template: Application, package: Package) -> ApplicationAttributes:
    """A Runner's application is its template with the project's package in it."""
    environments = {
        **template.environments,
        NAME_VARIABLE: project.name,
        APPLICATION_VARIABLE: name,
        PACKAGE_VARIABLE: package.sha,
        PROJECT_VARIABLE: project.root,
    }
    if project.python_version is not None:
        environments[PYTHON_VARIABLE] = project.python_version
    return ApplicationAttributes(
        image=template.image,
        description=f"Runner application: {project.name}",
        labels=list(template.labels),
        command=template.command,
        arguments=list(template.arguments),
        environments=environments,
        working_directory=f"{template.working_directory}/{project.name}" if template.working_directory else None,
        max_instances=template.max_instances,
        delay_release=template.delay_release,
        schema=template.schema,
        url=package.url,
        installer=template.installer,
    )


def application_around(name: str, environ: Mapping[str, str]) -> str | None:
    """The application of the worker that this process is, when a Runner of that ``name`` started it; else None."""
    return environ.get(APPLICATION_VARIABLE) if environ.get(NAME_VARIABLE) == name else None
