# SPDX-License-Identifier: Apache-2.0
"""What the line of each magic asks for, as a record: what the rooms hand to each other. ``magics.parse`` reads them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunnerLine:
    """What ``%flame_runner`` asks for. ``None`` means: not said, so the configuration decides."""

    subcommand: str
    operands: tuple[str, ...] = ()
    name: str | None = None
    bind_as: str | None = None
    root: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_size: str | None = None
    workers: int | None = None
    context: str | None = None
    is_local: bool = False
    deps: tuple[str, ...] = ()
    requirements: str | None = None
    python: str | None = None
    fail_if_exists: bool = False
    force: bool = False
    as_json: bool = False
    dry_run: bool = False
    write: str | None = None
    drop: str | None = None
    clear: bool = False
    cancel: bool = False
    wait_s: float | None = None
    timeout_s: float | None = None
    stops_first: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class ServiceLine:
    """What ``%%flame_service`` asks for. ``expression`` "" with ``is_instance``: make it with ``TARGET()``.

    export: the module, "" = the notebook's own, None = not exported.
    """

    target: str | None
    bind_as: str | None = None
    name: str | None = None
    is_instance: bool = False
    expression: str = ""
    autoscale: bool | None = None
    warmup: int = 0
    resreq: str | None = None
    retries: int = 0
    runner: str | None = None
    context: str | None = None
    export: str | None = None
    no_run: bool = False
    force: bool = False
    quiet: bool = False

    def options_key(self) -> str:
        """Everything that changes the service itself; two equal cells with equal keys share a session."""
        made_of = (self.is_instance, self.expression)
        return repr((self.name, *made_of, self.autoscale, self.warmup, self.resreq, self.retries))


@dataclass(frozen=True)
class ExportLine:
    """What ``%%flame_export`` asks for. module None: the notebook's own."""

    module: str | None = None
    quiet: bool = False
