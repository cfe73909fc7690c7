# SPDX-License-Identifier: Apache-2.0
"""A project directory -> an application that workers can run; and back, when its last Runner closes.

Runners of one name and the same content share an application; other content gets ``NAME.<sha8>`` beside it. What the
Runners of this process share is kept per engine, together with the packager that knows which directories are unchanged.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flamepy.config import ContextFields, FlamePackage
from flamepy.core.application import PROJECT_VARIABLE, Application, ApplicationAttributes
from flamepy.core.cache import ObjectKey
from flamepy.core.session import SessionState
from flamepy.engine.api import Engine
from flamepy.errors import AlreadyExists, InvalidState, NotFound

if TYPE_CHECKING:  # loaded when it is needed: the workers' parent process starts meanwhile
    from flamepy.packaging import Package, Packager, Storage

logger = logging.getLogger(__name__)

SHORT_SHA_CHARS = 8
# What workers know of their Runner, so that a Runner of that name inside a call joins the code that it is in.
NAME_VARIABLE = "FLAME_RUNNER_NAME"
APPLICATION_VARIABLE = "FLAME_RUNNER_APPLICATION"
PYTHON_VARIABLE = "FLAME_PYTHON_VERSION"  # what installers of 0.6 read (protocol dossier, section 6.6)


@dataclass(frozen=True)
class ProjectRequest:
    """What to deploy, and as what. root: the directory; excludes and includes: beyond the configured ones.

    max_bytes: of the package, unpacked; None = the usual limit.
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
    python_version: str | None = None
    around: str | None = None
    extra: Callable[[], Mapping[str, bytes]] = dict


@dataclass(frozen=True)
class Deployment:
    """application: as registered; package: None when an application that others registered was joined as it is."""

    application: str
    package: Package | None


@dataclass(eq=False)
class _Shared:
    """An application that Runners of this process registered, and how many of them use it."""

    package: Package
    storage: Storage | None
    users: int = 0


@dataclass(eq=False)
class _Desk:
    """What the Runners of one engine share. ``lock`` makes a deployment one step for the others."""

    packager: Packager
    lock: threading.Lock = field(default_factory=threading.Lock)
    applications: dict[str, _Shared] = field(default_factory=dict)


_desks: weakref.WeakKeyDictionary[Engine, _Desk] = weakref.WeakKeyDictionary()


def deploy(
    engine: Engine, project: ProjectRequest, undo: contextlib.ExitStack, *, fail_if_exists: bool = False
) -> Deployment:
    """Package, store and register ``project``; each step that was done puts its opposite on ``undo``.

    Raises AlreadyExists (only with ``fail_if_exists``), PackageError, InvalidConfig, NotFound (no such template).
    """
    desk = _desk_of(engine)
    with desk.lock:
        is_known = engine.get_application(project.around or project.name) is not None
        if is_known and fail_if_exists:
            raise AlreadyExists(
                f"Application {project.name!r} already exists. Set fail_if_exists=False to join it, or rename yours."
            )
        if is_known and project.around is not None:
            return Deployment(project.around, None)
        if not is_known:
            desk.applications.pop(project.name, None)  # somebody unregistered it by hand
        elif project.name not in desk.applications:
            return Deployment(project.name, None)  # not ours to replace or to remove
        storage = _storage_of(project.settings)
        package = _packaged(desk.packager, project, storage)
        name = _application_name(project.name, package, desk)
        shared = desk.applications.get(name)
        if shared is None:
            with contextlib.ExitStack() as undo_upload:
                if storage is not None:
                    undo_upload.callback(storage.delete, package.url)
                is_ours = _register(engine, name, package, project)
                undo_upload.pop_all()
            if not is_ours:
                return Deployment(name, package)
            shared = desk.applications[name] = _Shared(package, storage)
        shared.users += 1
        undo.callback(_leave, engine, desk, name, shared)
    return Deployment(name, package)


def changed_paths(engine: Engine, project: ProjectRequest, deployment: Deployment) -> list[str]:
    """The files of the project, extra ones included, that are not what they were when it was packaged."""
    if deployment.package is None:
        return []
    before, now = deployment.package.extra, project.extra()
    extra = [path for path in before.keys() | now.keys() if before.get(path) != now.get(path)]
    return sorted([*extra, *_desk_of(engine).packager.drift(deployment.package)])


def _desk_of(engine: Engine) -> _Desk:
    desk = _desks.get(engine)
    if desk is None:
        from flamepy.packaging import Packager

        desk = _desks.setdefault(engine, _Desk(Packager(Path(engine.package_store))))
    return desk


def _storage_of(settings: FlamePackage) -> Storage | None:
    if settings.storage is None:
        return None
    from flamepy.packaging import open_storage

    return open_storage(settings.storage)


def _packaged(packager: Packager, project: ProjectRequest, storage: Storage | None) -> Package:
    from flamepy.packaging import PackageOptions

    options = PackageOptions.for_this_machine((*project.settings.excludes, *project.excludes), project.includes)
    if project.max_bytes is not None:
        options = replace(options, max_bytes=project.max_bytes)
    return packager.package(project.root, project.name, options, storage=storage, extra=project.extra())


def _application_name(name: str, package: Package, desk: _Desk) -> str:
    """``name``, or ``name.<sha8>`` when Runners with other content use that."""
    shared = desk.applications.get(name)
    if shared is None or shared.package.sha == package.sha:
        return name
    return f"{name}.{package.sha[:SHORT_SHA_CHARS]}"


def _register(engine: Engine, name: str, package: Package, project: ProjectRequest) -> bool:
    """Register the application; False when another process was faster, whose application it then is."""
    template = engine.get_application(project.context.runner.template)
    if template is None:
        raise NotFound(
            f"template application {project.context.runner.template!r} not found: register it, "
            f"or leave 'runner.template' out of {project.context.source or 'the configuration'}."
        )
    try:
        engine.register_application(name, _attributes(project, name, template, package.url))
    except AlreadyExists:
        return False
    logger.debug("application registered name=%s url=%s files=%d", name, package.url, package.files)
    return True


def _attributes(project: ProjectRequest, name: str, template: Application, url: str) -> ApplicationAttributes:
    """A Runner's application is its template with the project's package in it (protocol dossier, section 6.6)."""
    environments = {
        **template.environments,
        NAME_VARIABLE: project.name,
        APPLICATION_VARIABLE: name,
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
        url=url,
        installer=template.installer,
    )


def _leave(engine: Engine, desk: _Desk, name: str, shared: _Shared) -> None:
    """One Runner less; the last one takes the application and its objects away."""
    with desk.lock:
        shared.users -= 1
        if shared.users or desk.applications.get(name) is not shared:
            return
        del desk.applications[name]
        try:
            _close_leftovers(engine, name)
            engine.unregister_application(name)
        except (NotFound, InvalidState) as error:
            # unregistered by hand, a session was opened in it just now, or the engine has ended
            logger.debug("application kept name=%s reason=%s", name, error)
        with contextlib.suppress(InvalidState):
            engine.cache.delete(ObjectKey.for_all_sessions(name).to_prefix())
        desk.packager.discard(shared.package)
        if shared.storage is not None:
            shared.storage.delete(shared.package.url)


def _close_leftovers(engine: Engine, name: str) -> None:
    """End sessions that nobody closes any more, such as those of a Runner inside a call whose worker was lost."""
    for view in engine.list_sessions():
        if view.application == name and view.state is SessionState.OPEN:
            engine.close_session(view.id, cancel=True)


def application_around(name: str, environ: Mapping[str, str]) -> str | None:
    """The application of the worker that this process is, when a Runner of that ``name`` started it; else None."""
    return environ.get(APPLICATION_VARIABLE) if environ.get(NAME_VARIABLE) == name else None
