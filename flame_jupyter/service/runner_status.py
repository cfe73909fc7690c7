# SPDX-License-Identifier: Apache-2.0
"""What ``%flame_runner status`` and ``services`` show: a snapshot, as text and as HTML that needs no script."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flame_jupyter.service.service_table import ServiceStatus, ServiceTable
from flame_jupyter.wording import counted, size_text

if TYPE_CHECKING:
    from flamepy import WorkerView
    from flamepy.runner import Runner, ServiceView

SHORT_SHA_CHARS = 4
# Of a package; more was perhaps not meant, and the first line about it says how to look.
MANY_FILES, MANY_BYTES = 100, 10 * 2**20


@dataclass(frozen=True)
class Workers:
    """The processes of the embedded engine. Objects of stateful services have processes of their own, without limit.

    A worker whose call waits for other calls does not count as busy: its place is free.
    """

    limit: int
    busy: int = 0
    objects: int = 0
    busy_objects: int = 0

    @classmethod
    def of(cls, limit: int, views: Iterable[WorkerView]) -> Workers:
        busy = {True: 0, False: 0}
        objects = 0
        for view in views:
            is_object = view.session_id is not None
            objects += is_object
            busy[is_object] += view.state == "busy"
        return cls(limit, busy[False], objects, busy[True])

    def text(self) -> str:
        """``1 of 2 workers busy, 1 object idle``."""
        noun = "worker" if self.limit == 1 else "workers"
        text = f"{self.busy} of {self.limit} {noun} busy" if self.busy else f"{self.limit} {noun}, idle"
        if not self.objects:
            return text
        objects = f"{self.objects} object{'' if self.objects == 1 else 's'}"
        return f"{text}; {objects}, {self.busy_objects or 'none'} busy"


@dataclass(frozen=True)
class Status:
    """The notebook's Runner. name None: none is open. nbytes: of the package, unpacked.

    workers: of the embedded engine; None: this notebook runs in a worker, whose engine decides that.
    """

    name: str | None
    workers: Workers | None = None
    files: int = 0
    nbytes: int = 0
    root: str = ""
    sha: str = ""
    services: ServiceTable = field(default_factory=lambda: ServiceTable(()))

    def start_text(self) -> str:
        """What the first service says, to a user who has never seen this: what runs where, with which files."""
        who = "Flame: the workers of the engine that runs this notebook."
        if self.workers is not None:
            who = f"Flame: {counted(self.workers.limit, 'worker')} on this machine."
        if not self.files:
            return f"{who} `{self.root}/` has no files to give them."
        files = f"{counted(self.files, 'file')}, {size_text(self.nbytes)}"
        text = f"{who} They get a copy of `{self.root}/` ({files}), to import its modules and read its files."
        is_much = self.files > MANY_FILES or self.nbytes > MANY_BYTES
        return f"{text} More than you meant? %flame_runner package --dry-run lists it." if is_much else text

    def facts_text(self) -> str:
        """The same in one line for those who know, as the status shows it."""
        workers = "" if self.workers is None else f" {counted(self.workers.limit, 'worker')},"
        if not self.files:
            return f"Flame: embedded engine,{workers} no files to package in `{self.root}/`"
        files = f"{counted(self.files, 'file')} / {size_text(self.nbytes)}"
        return f"Flame: embedded engine,{workers} packaged {files} from `{self.root}/` (sha {self.sha})"

    def as_json(self) -> str:
        """The same for scripts, one object."""
        services = [each.facts() for each in self.services.services]
        package = {"root": self.root, "files": self.files, "bytes": self.nbytes, "sha": self.sha}
        workers = {} if self.workers is None else {"workers": self.workers.limit, "busy": self.workers.busy}
        facts = {"runner": self.name, "engine": "embedded", "workers": None, **workers, "package": package}
        return json.dumps({"runner": None} if self.name is None else {**facts, "services": services})

    def __repr__(self) -> str:
        if self.name is None:
            return "Flame: no Runner is open. %flame_runner start opens one, and so does the first %%flame_service."
        return "\n".join([f"Runner {self.name}", self.facts_text(), *self.services.lines()])

    def _repr_html_(self) -> str:
        if self.name is None:
            return f"<p>{html.escape(repr(self))}</p>"
        head = f"<p><strong>Runner {html.escape(self.name)}</strong><br>{html.escape(self.facts_text())}</p>"
        return head + (self.services._repr_html_() if self.services.services else "")


def status_of(runner: Runner | None, services: Sequence[ServiceStatus]) -> Status:
    """Take the snapshot. Raises FlameError when the engine ends just now."""
    if runner is None:
        return Status(None)
    services = [*services, *_others(runner, services)]
    limit = runner.worker_limit
    workers = None if limit is None else Workers.of(limit, runner.workers())
    package = runner.package
    if package is None:  # the application was there before, with a package that we know nothing of
        return Status(runner.name, workers, services=ServiceTable(tuple(services)))
    return Status(
        name=runner.name,
        workers=workers,
        files=package.files,
        nbytes=package.nbytes,
        root=package.root.name,
        sha=package.sha[:SHORT_SHA_CHARS],
        services=ServiceTable(tuple(services)),
    )


def _others(runner: Runner, services: Sequence[ServiceStatus]) -> list[ServiceStatus]:
    """The open services of the Runner that are not among ``services``, those of one name together."""
    known = {each.session_id for each in services}
    by_name: dict[str, list[ServiceView]] = {}
    for view in runner.services():
        if view.session_id not in known:
            by_name.setdefault(view.name, []).append(view)
    return [ServiceStatus.of_others(runner, name, views) for name, views in by_name.items()]
