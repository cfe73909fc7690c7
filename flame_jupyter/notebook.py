# SPDX-License-Identifier: Apache-2.0
"""This notebook's Runner: started on demand, looked at, stopped. Its services are in ``services``.

The magics call this; what can be decided without acting is in ``arguments`` and ``location``.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from flame_jupyter.calls.echo import Echo
from flame_jupyter.export.capture import Capture
from flame_jupyter.export.exports import Exports
from flame_jupyter.lines import RunnerLine
from flame_jupyter.output import say
from flame_jupyter.project.jupyter_server import path_from_server
from flame_jupyter.project.location import (
    MAX_UNASKED_FILES,
    NotebookPlace,
    ProjectRoot,
    notebook_place,
    own_checkouts,
    project_root,
    runner_name,
    working_directory,
)
from flame_jupyter.project.named_runners import different_option, runner_called, with_defaults
from flame_jupyter.project.requirements import dependencies_of
from flame_jupyter.service.messages import moved_text
from flame_jupyter.service.registry import Services
from flame_jupyter.service.staleness import StalenessWatch
from flame_jupyter.service.steady_status import SteadyStatus
from flamepy.errors import InvalidConfig, PackageError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from flame_jupyter.project.contexts import ContextTable
    from flame_jupyter.project.dry_run import DryRun
    from flame_jupyter.service.runner_status import Status
    from flame_jupyter.settings.traits import FlameTraits
    from flamepy import FlameContext, ObjectFuture
    from flamepy.packaging import PackageOptions, Packager
    from flamepy.runner import Runner, RunnerService


class Notebook:
    """What one kernel has of Flame. ``settings``: the traits that ``%config FlameMagics`` sets."""

    def __init__(self, shell: InteractiveShell, settings: FlameTraits) -> None:
        self.shell = shell
        self.settings = settings
        self.echo = Echo(shell, lambda: self.settings.echo_logs, lambda: self.settings.log_bytes, say)
        self._status = SteadyStatus(self._look)
        staleness = StalenessWatch(lambda: str(self.settings.on_drift))
        self.services = Services(shell, staleness, self._status, self.echo.follow)
        self.exports = Exports()
        self.capture = Capture(self.exports, self.known_root)
        self._place: NotebookPlace | None = None
        self._token = os.urandom(2).hex()
        self._runner: Runner | None = None
        self._started_with = RunnerLine("start")
        self._context: FlameContext | None = None  # of the Runner
        self._packager: Packager | None = None

    @property
    def runner(self) -> Runner | None:
        """The Runner while it takes calls: not after its engine has ended, by flamepy.shutdown() or otherwise."""
        return self._runner if self._runner is not None and self._runner.is_open() else None

    def start(self, line: RunnerLine) -> Runner:
        """The open Runner, or a new one as ``line`` and the settings say. Raises UsageError, FlameError."""
        if self.runner is not None and line.force:
            self.stop()
        runner = self.runner
        if runner is not None and self._runs_there(line):  # asked for by its name, however it came there
            line = replace(line, context=self._started_with.context, is_local=self._started_with.is_local)
        if runner is None:
            self.services.end()  # those of one whose engine has ended say so from now on
            runner = self._opened(line)
        elif different := different_option(line, self._started_with, runner.name):
            raise UsageError(
                f"the Runner {runner.name!r} is already open without this {different}: "
                "%flame_runner restart with that option starts again and serves everything anew."
            )
        elif line.workers is not None:
            runner.resize(line.workers)
        if line.bind_as is not None:
            self.shell.user_ns[line.bind_as] = runner
        return runner

    def restart(self, line: RunnerLine) -> tuple[Runner, str]:
        """A new Runner in place of the open one, with the same services; and what to print.

        What ``line`` leaves out is as it was. When anything fails, the old Runner and its services stay. One whose
        engine has ended, by flamepy.shutdown() or otherwise, has its services too.
        """
        old = self._runner
        line = with_defaults(line, self._started_with)
        if old is None:
            return self.start(line), ""
        before = self._started_with, self._context
        with self._status.held():
            new = self._opened(line)
            try:
                text = self.services.reopen(old, new)
            except BaseException:
                self._runner, (self._started_with, self._context) = old, before
                new.close(wait=False)
                raise
            old.close(wait=False)  # calls that still run end behind, and their futures keep their values
        if line.bind_as is not None:
            self.shell.user_ns[line.bind_as] = new
        return new, text

    def runner_on_demand(self, name: str | None = None, context: str | None = None) -> tuple[Runner, bool]:
        """The Runner that a service needs, and whether it was started for it, as the last one was.

        name: of another one than the notebook's; context: the one that it must have. Raises UsageError.
        """
        runner = self.runner
        if name is not None:
            runner = runner_called(name, runner, self.shell.user_ns)
        if runner is not None:
            if context is not None and not self._runs_there(RunnerLine("start", context=context)):
                raise UsageError(
                    f"--cluster {context}: the Runner {runner.name!r} is open in another context. "
                    f"%flame_runner restart --cluster {context} moves it, with all its services."
                )
            return runner, False
        if not self.settings.auto_start:
            raise UsageError("no Runner is started, and auto_start is off: run %flame_runner start first.")
        wanted = RunnerLine("start", name=name, context=context)
        return self.start(with_defaults(wanted, self._started_with)), True

    def stop(self, *, cancel: bool = False, wait_s: float | None = None) -> str | None:
        """Close the services and the Runner; returns its name, None when there was nothing to close.

        Calls that still run are waited for. ``wait_s``: at most so many seconds, then they are cancelled;
        ``cancel``: they are cancelled at once, or after ``wait_s``.
        """
        runner, was_open = self._runner, self.runner is not None
        if runner is None:
            self.services.end()
            return None
        try:
            # a closed one too: an interrupt may have left something of an earlier stop to do
            runner.close(timeout=wait_s, cancel=cancel and wait_s is None)
        finally:
            if runner.is_closed():  # an interrupt that came too early for that leaves everything as it is
                self.services.end()
                atexit.unregister(self._tell_what_ends)
        return str(runner.name) if was_open else None

    def unfinished_calls(self) -> int:
        """How many calls of the Runner's services have not ended."""
        return 0 if self.runner is None else self.runner.count_unfinished()

    def unfinished(self) -> list[ObjectFuture]:
        """These calls, whether a variable holds them or not."""
        return [] if self.runner is None else self.runner.unfinished()

    def _tell_what_ends(self) -> None:
        """The kernel, or the terminal, ends: say which calls end with it, that were not waited for."""
        if number := self.unfinished_calls():
            calls, them = ("1 call", "it") if number == 1 else (f"{number} calls", "them")
            self._say_at_the_end(
                f"Flame: the notebook ended before {calls} had ended, and that cancels {them}. "
                f"Wait for {them} in the last cell: %flame_runner wait"
            )

    def _say_at_the_end(self, text: str) -> None:
        """No front end listens to outputs any more: the kernel's log goes where its program's errors go."""
        kernel: Any = getattr(self.shell, "kernel", None)
        if kernel is None:
            print(text, file=sys.stderr)  # noqa: T201 - a terminal
        else:
            kernel.log.warning(text)

    def use(self, name: str, *, stops_first: bool) -> str:
        """From now on, Runners use the context of that name: an open one moves there, with its services.

        stops_first: it ends instead. Returns what to print. Raises UsageError, FlameError; all is then as it was.
        """
        from flame_jupyter.project.contexts import context_called, where_text

        context, line = context_called(name), RunnerLine("restart", context=name)
        where, runner, text = where_text(context), self.runner, ""
        if runner is None:
            text = f"Flame: new services run on {where}."
        elif stops_first:
            self.stop()
            text = f"Flame: Runner {runner.name} stopped. New services run on {where}."
        elif self._runs_there(line):
            text = f"Flame: Runner {runner.name} uses {where} already."
        else:
            names, objects = self.services.names_on(runner), self.services.objects_on(runner)
            running = self.unfinished_calls()
            self.restart(line)
            text = moved_text(runner.name, where, names, objects, running)
        self.settings.context = name
        self._started_with = replace(self._started_with, context=None, is_local=False)
        return text

    def contexts(self) -> ContextTable:
        """The contexts of the configuration file, and which of them answer. Raises InvalidConfig."""
        from flame_jupyter.project.contexts import configured_contexts, context_table

        return context_table(configured_contexts(), self._context_of(self._next_line()))

    def context(self) -> FlameContext | None:
        """That of the open Runner, or of the next one; None when the configuration is wrong."""
        if self.runner is not None:
            return self._context
        try:
            return self._context_of(self._next_line())
        except InvalidConfig:
            return None

    def _next_line(self) -> RunnerLine:
        return with_defaults(RunnerLine("start"), self._started_with)

    def attach(self, name: str, variable: str | None) -> RunnerService:
        """Bind the open service of that name, which this notebook's cells need not have defined. Raises FlameError."""
        from flamepy.runner import attach

        service = attach(name)
        variable = variable or name
        if not variable.isidentifier():
            raise UsageError(f"{variable!r} is no name that a variable can have: choose one with --as VAR.")
        self.services.check_free(variable)
        self.shell.user_ns[variable] = service
        return service

    def root(self, option: str | None) -> ProjectRoot:
        """The directory that a Runner packages. Raises UsageError."""
        from flame_jupyter.display.views.mode import (
            is_scripted,  # here: loading the extension loads nothing of the display
        )

        kernel: Any = getattr(self.shell, "kernel", None)
        scripted = kernel is not None and is_scripted(kernel.get_parent())
        place, cwd = self.place(), working_directory()
        settings, by = self.settings, self.settings.sources.origin("root")
        return project_root(
            option, settings.root, os.environ, place, cwd, configured_by=f"setting root, {by}", is_scripted=scripted
        )

    def place(self) -> NotebookPlace | None:
        """This notebook's file, as far as it is told. The server is asked once, and again by each start."""
        if self._place is None:
            self._place = notebook_place(self.shell.user_ns, os.environ, working_directory(), path_from_server)
        return self._place

    def includes(self, line: RunnerLine) -> tuple[str, ...]:
        return (*self.settings.include, *line.include)

    def excludes(self, line: RunnerLine) -> tuple[str, ...]:
        root = self.root(line.root)
        own = () if root.is_chosen else own_checkouts(root.path, sys.path)
        return (*self.settings.exclude, *line.exclude, *own)

    def status(self) -> Status:
        """What displays show. Raises FlameError when the engine ends just now."""
        return self._status.now()

    def _look(self) -> Status:
        from flame_jupyter.service.runner_status import status_of

        return status_of(self.runner, self.services.views(), (self._context and self._context.name) or "")

    def dry_run(self, line: RunnerLine) -> DryRun:
        """What a package would hold. Reads no contents. Raises UsageError, PackageError."""
        from flame_jupyter.project.dry_run import DryRun

        self._refresh_settings(line)
        root = self.root(line.root)
        rows = self._archives().dry_run(root.path, self._rules(line))
        return DryRun(str(root.path), root.source, tuple(rows)).with_exported(self._exported(root))

    def archive(self, line: RunnerLine) -> Path:
        """The archive of the open Runner, or one that is made now. It is there until the kernel ends."""
        package = None if self.runner is None else self.runner.package
        if package is not None and package.path.exists():  # there is none when the storage had it already
            return package.path
        root = self.root(line.root)
        options = replace(self._rules(line), max_bytes=self._limit_bytes(line))
        if not root.is_chosen:
            options = replace(options, max_files=MAX_UNASKED_FILES)
        with self._told_too_big(root, line):
            extra = self._exported(root)
            return self._archives().package(root.path, self._name(line), options, extra=extra).path

    def _opened(self, line: RunnerLine) -> Runner:
        from flamepy import AlreadyExists, InvalidArgument, Runner

        self._place = None
        self._refresh_settings(line)
        context = self._context_of(line)
        self._check_cluster(context)
        root = self.root(line.root)
        try:
            with self._told_too_big(root, line):
                runner = Runner(
                    self._name(line),
                    line.fail_if_exists,
                    dependencies=dependencies_of(line.deps, line.requirements, working_directory()),
                    python_version=line.python,
                    context=context,
                    root=root.path,
                    includes=self.includes(line),
                    excludes=self.excludes(line),
                    max_package_bytes=self._limit_bytes(line),
                    max_package_files=None if root.is_chosen else MAX_UNASKED_FILES,
                    extra_files=lambda: self._exported(root),
                )
        except AlreadyExists as error:
            raise UsageError(
                f"--fail-if-exists: there is an application {self._name(line)!r}. Leave the option out to join it, or "
                "choose another name with --name."
            ) from error
        except InvalidArgument as error:
            if context.endpoint is None:
                raise
            raise UsageError(f"{error} Or start with --local.") from error
        self._runner, self._started_with, self._context = runner, line, context
        atexit.unregister(self._tell_what_ends)
        atexit.register(self._tell_what_ends)  # behind the engine's own, because the last one comes first
        workers = line.workers or self.settings.workers
        if workers and runner.worker_limit is not None:  # a cluster decides that by itself
            runner.resize(workers)
        return runner

    def _context_of(self, line: RunnerLine) -> FlameContext:
        """The configuration that a Runner gets: ``--local``, else ``--cluster``, the setting, the current context."""
        from flame_jupyter.project.contexts import context_called, current_context
        from flamepy import FlameContext

        if line.is_local:
            return FlameContext(endpoint=None)
        name = line.context or self.settings.context
        return context_called(name) if name else current_context()

    def _runs_there(self, line: RunnerLine) -> bool:
        """Does the Runner use the context that ``line`` names?"""
        if self._context is None or not (line.is_local or line.context):
            return False
        asked = self._context_of(line)
        is_same_place = asked.endpoint == self._context.endpoint
        return is_same_place and (line.is_local or self._context.name in (None, asked.name))

    def _check_cluster(self, context: FlameContext) -> None:
        """Raises UsageError when the cluster does not answer now: a Runner would wait half a minute for it."""
        if context.endpoint is None:
            return
        from flame_jupyter.project.contexts import cluster_problem

        if problem := cluster_problem(context):
            raise UsageError(f"{problem} Without the cluster: --local.")

    def _name(self, line: RunnerLine) -> str:
        place = self.place()
        return line.name or runner_name(None if place is None else place.path, self._token)

    def _exported(self, root: ProjectRoot) -> dict[str, bytes]:
        """The modules made of exported cells, of this notebook and its siblings. Raises UsageError."""
        place = self.place()
        return self.exports.files(root.path, None if place is None else place.path)

    def known_root(self) -> Path | None:
        """The directory that is packaged, or would be; None when that must be chosen first."""
        try:
            return self.root(self._started_with.root).path
        except UsageError:
            return None

    def _refresh_settings(self, line: RunnerLine) -> None:
        """What pyproject.toml says depends on the directory, and may have been edited since it was read."""
        self.settings.sources.refresh(self.root(line.root).path)

    def _rules(self, line: RunnerLine) -> PackageOptions:
        """The rules that the Runner will follow: configured excludes, then those of the magic and the settings."""
        from flamepy.packaging import PackageOptions

        context = self._context_of(line)
        excludes = (*context.required_package().excludes, *self.excludes(line))
        options = PackageOptions.for_this_machine(excludes, self.includes(line))
        return replace(options, private_files=context.private_files)

    def _archives(self) -> Packager:
        if self._packager is None:
            from flamepy.packaging import Packager

            self._packager = Packager()  # its directory goes with it
        return self._packager

    @contextlib.contextmanager
    def _told_too_big(self, root: ProjectRoot, line: RunnerLine) -> Iterator[None]:
        """Say in the words of the magics that the package is too big, or that so many files cannot have been meant."""
        try:
            yield
        except PackageError:
            self._check_size(root, line)  # only now: it looks at every file again
            raise

    def _check_size(self, root: ProjectRoot, line: RunnerLine) -> None:
        """Raises UsageError for what is over the limit, or what cannot have been meant."""
        limit_bytes = self._limit_bytes(line)
        found = self.dry_run(line)
        if found.nbytes > limit_bytes:
            raise UsageError(f"{found.over_limit(limit_bytes)}")
        if found.files > MAX_UNASKED_FILES and not root.is_chosen:
            raise UsageError(
                f"{root.path} has {found.files} files, which nobody asked to package: name the directory of your "
                "project with %flame_runner start --root DIR."
            )

    def _limit_bytes(self, line: RunnerLine) -> int:
        from flame_jupyter.project.dry_run import limit_of

        return limit_of(line.max_size or self.settings.max_package_size)
