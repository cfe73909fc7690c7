# SPDX-License-Identifier: Apache-2.0
"""What ``%flame_runner status`` and ``services`` show: a snapshot, as text and as HTML that needs no script."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flame_jupyter.service.service_table import ServiceStatus, ServiceTable
from flame_jupyter.wording import counted, listed, size_text

if TYPE_CHECKING:
    from flamepy import ClusterView, WorkerView
    from flamepy.runner import Runner, ServiceView

SHORT_SHA_CHARS = 4
_CLUSTER_S = 0.5  # what a status waits for a cluster's answer; it shows what was known before, when that takes longer
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
class Cluster:
    """The cluster that runs the calls. name: of its context, "" = it has none."""

    name: str
    view: ClusterView

    def where(self) -> str:
        """``cluster prod at http://host:8080``"""
        return f"cluster {self.name} at {self.view.endpoint}" if self.name else f"cluster at {self.view.endpoint}"

    def text(self) -> str:
        """Whether it answers, and how fast."""
        view = self.view
        if view.problem:
            since = f" for {view.silent_s:.0f} s" if view.silent_s >= 1 else ""
            return f"{self.where()} does not answer{since} ({view.problem}). Calls that it has go on there."
        return f"{self.where()}, answers in {max(1, round(view.answer_s * 1000))} ms"

    def executors_text(self) -> str:
        """``2 nodes, 4 slots: 1 used here (on node-a: 1), 2 by other programs``; "" = it has not said so yet."""
        view = self.view
        if not view.nodes:
            return "" if view.problem else "no node"
        ready = sum(each.is_ready for each in view.nodes)
        nodes = counted(ready, "node") if ready == len(view.nodes) else f"{ready} of {len(view.nodes)} nodes ready"
        on = listed([f"{name}: {count}" if len(view.nodes) > 1 else name for name, count in view.own_by_node.items()])
        used = [f"{view.own} used here (on {on})"] if view.own else []
        used += [f"{view.others} by other programs"] if view.others else []
        return f"{nodes}, {counted(view.slots, 'slot')}: {', '.join(used) or 'all free'}"

    def facts(self) -> dict[str, object]:
        view = self.view
        return {
            "context": self.name or None,
            "endpoint": view.endpoint,
            "problem": view.problem or None,
            "nodes": [each.name for each in view.nodes if each.is_ready],
            "slots": view.slots,
            "executors": {"own": view.own, "others": view.others},
            "waiting": view.waiting or None,
        }


@dataclass(frozen=True)
class Status:
    """The notebook's Runner. name None: none is open. nbytes: of the package, unpacked.

    workers: of the embedded engine; cluster: where calls run instead. Neither: this notebook runs in a worker, whose
    engine decides that.
    """

    name: str | None
    workers: Workers | None = None
    cluster: Cluster | None = None
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
        elif self.cluster is not None:
            who = f"Flame: the workers of the {self.cluster.where()}."
        if not self.files:
            return f"{who} `{self.root}/` has no files to give them."
        files = f"{counted(self.files, 'file')}, {size_text(self.nbytes)}"
        text = f"{who} They get a copy of `{self.root}/` ({files}), to import its modules and read its files."
        is_much = self.files > MANY_FILES or self.nbytes > MANY_BYTES
        return f"{text} More than you meant? %flame_runner package --dry-run lists it." if is_much else text

    def facts_text(self) -> str:
        """The same in one line for those who know, as the status shows it."""
        workers = "" if self.workers is None else f" {counted(self.workers.limit, 'worker')},"
        engine = f"embedded engine,{workers}" if self.cluster is None else f"{self.cluster.where()},"
        if not self.files:
            return f"Flame: {engine} no files to package in `{self.root}/`"
        files = f"{counted(self.files, 'file')} / {size_text(self.nbytes)}"
        return f"Flame: {engine} packaged {files} from `{self.root}/` (sha {self.sha})"

    def as_json(self) -> str:
        """The same for scripts, one object."""
        services = [each.facts() for each in self.services.services]
        package = {"root": self.root, "files": self.files, "bytes": self.nbytes, "sha": self.sha}
        workers = {} if self.workers is None else {"workers": self.workers.limit, "busy": self.workers.busy}
        engine: dict[str, object] = {"engine": "embedded", "workers": None, **workers}
        if self.cluster is not None:
            engine = {"engine": "cluster", "workers": None, "cluster": self.cluster.facts()}
        facts = {"runner": self.name, **engine, "package": package}
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


def silence_text(view: ClusterView) -> str:
    """What a cell says that will wait for a cluster that does not answer just now."""
    return (
        f"Flame: {view.endpoint} does not answer ({view.problem}). It is tried again for up to half a minute; "
        "an interrupt ends that."
    )


def status_of(runner: Runner | None, services: Sequence[ServiceStatus], context_name: str = "") -> Status:
    """Take the snapshot. context_name: of the Runner. Raises FlameError when the engine ends just now."""
    if runner is None:
        return Status(None)
    services = [*services, *_others(runner, services)]
    limit = runner.worker_limit
    workers = None if limit is None else Workers.of(limit, runner.workers())
    view = runner.cluster(_CLUSTER_S) if limit is None else None
    cluster = None if view is None else Cluster(context_name, view)
    package = runner.package
    if package is None:  # the application was there before, with a package that we know nothing of
        return Status(runner.name, workers, cluster, services=ServiceTable(tuple(services)))
    return Status(
        name=runner.name,
        workers=workers,
        cluster=cluster,
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
