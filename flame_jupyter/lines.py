# SPDX-License-Identifier: Apache-2.0
"""The lines of the magics as records. Each field is the one declaration of its option (options.py).

``magics.parse`` reads lines by them, ``magics.complete`` offers their words, ``%flame_runner?`` and
``%%flame_service?`` show them.
"""

from __future__ import annotations

from dataclasses import dataclass

from flame_jupyter.options import Kind, option

_STARTS = ("start", "restart")
_PACKAGES = (*_STARTS, "package")


@dataclass(frozen=True)
class Subcommand:
    """operands: how help calls the words that may follow, "" = none may; a name in brackets may be left out.

    takes: what completion offers for them.
    """

    operands: str = ""
    takes: str = ""

    @property
    def max_operands(self) -> int | None:
        """None = any number."""
        return None if "..." in self.operands else 1 if self.operands else 0

    @property
    def min_operands(self) -> int:
        return int(bool(self.operands) and not self.operands.startswith("["))


SUBCOMMANDS = {
    "start": Subcommand(),
    "status": Subcommand(),
    "restart": Subcommand(),
    "stop": Subcommand(),
    "package": Subcommand(),
    "cells": Subcommand(),
    "services": Subcommand(),
    "attach": Subcommand("NAME", "services"),
    "wait": Subcommand("[VAR ...]", "futures"),
    "cancel": Subcommand("[VAR ...]", "futures"),
    "logs": Subcommand("[VAR]", "outputs"),
    "inspect": Subcommand("VAR", "futures"),
    "use": Subcommand("CTX", "contexts"),
    "contexts": Subcommand(),
    "doctor": Subcommand(),
}


@dataclass(frozen=True)
class RunnerLine:
    """Start, look at and stop this notebook's Runner.

    status, services, cells and contexts show what there is, logs what calls have printed, inspect one result.
    restart packages again and serves everything anew; attach binds an open service to a variable; wait waits for
    calls, and cancel ends them; use moves the Runner and its services to another context; doctor looks whether all is
    well here, and says what to do if not.
    """

    subcommand: str
    operands: tuple[str, ...] = ()
    name: str | None = option(
        "--name", "name of the Runner (default: the notebook's name and a short random part)", "NAME",
        commands=_PACKAGES, is_kept=True, is_fixed=True,
    )  # fmt: skip
    bind_as: str | None = option(
        "--as", "variable that also holds the Runner; attach: the service", "VAR",
        kind=Kind.VARIABLE, commands=(*_STARTS, "attach"),
    )  # fmt: skip
    root: str | None = option(
        "--root", "directory to package (default: the notebook's directory)", "DIR",
        commands=_PACKAGES, is_kept=True, is_fixed=True,
    )  # fmt: skip
    include: tuple[str, ...] = option(
        "--include", "ship these although a rule excludes them; repeatable", "GLOB", default=(),
        kind=Kind.REPEATED, commands=_PACKAGES, is_verbatim=True, is_kept=True, is_fixed=True,
    )  # fmt: skip
    exclude: tuple[str, ...] = option(
        "--exclude", "leave these out of the package; repeatable", "GLOB", default=(),
        kind=Kind.REPEATED, commands=_PACKAGES, is_verbatim=True, is_kept=True, is_fixed=True,
    )  # fmt: skip
    max_size: str | None = option(
        "--max-size", "limit of the package, unpacked, for example 200M", "SIZE",
        commands=_PACKAGES, is_kept=True, is_fixed=True,
    )  # fmt: skip
    workers: int | None = option(
        "--workers", "number of worker processes on this machine", "N",
        kind=Kind.COUNT, at_least=1, commands=_STARTS, is_kept=True,
    )  # fmt: skip
    is_local: bool = option(
        "--local", "use this machine, whatever is configured", default=False,
        kind=Kind.FLAG, commands=_STARTS, is_fixed=True,
    )  # fmt: skip
    context: str | None = option(
        "--cluster", "use this context of flame.yaml", "CTX", commands=_STARTS, names="contexts", is_fixed=True
    )
    deps: tuple[str, ...] = option(
        "--deps", "a package that workers need, such as numpy; repeatable", "REQ", default=(),
        kind=Kind.REPEATED, commands=_STARTS, is_kept=True, is_fixed=True,
    )  # fmt: skip
    requirements: str | None = option(
        "--requirements", "the packages that workers need, one a line", "FILE",
        commands=_STARTS, is_kept=True, is_fixed=True,
    )  # fmt: skip
    python: str | None = option(
        "--python", "the Python that workers must have", "X.Y", commands=_STARTS, is_kept=True, is_fixed=True
    )
    fail_if_exists: bool = option(
        "--fail-if-exists", "refuse to join an application of the same name", default=False,
        kind=Kind.FLAG, commands=_STARTS, is_fixed=True,
    )  # fmt: skip
    force: bool = option(
        "--force", "start again although a Runner is open", default=False, kind=Kind.FLAG, commands=_STARTS
    )
    as_json: bool = option(
        "--json", "status: print JSON, for scripts", default=False, kind=Kind.FLAG, commands=("status",)
    )
    dry_run: bool = option(
        "--dry-run", "package: only list the files, and the rule that excluded each path", default=False,
        kind=Kind.FLAG, commands=("package",),
    )  # fmt: skip
    write: str | None = option(
        "--write", "cells: write the module of exported cells to a file", "FILE", commands=("cells",)
    )
    drop: str | None = option(
        "--drop", "cells: export no more what defines NAME, or the module NAME", "NAME",
        commands=("cells",), names="exported",
    )  # fmt: skip
    clear: bool = option("--clear", "cells: export nothing more", default=False, kind=Kind.FLAG, commands=("cells",))
    cancel: bool = option(
        "--cancel", "stop: cancel the calls that are still running", default=False, kind=Kind.FLAG, commands=("stop",)
    )
    wait_s: float | None = option(
        "--wait", "stop: give running calls so many seconds first", "S", kind=Kind.SECONDS, commands=("stop",)
    )
    timeout_s: float | None = option(
        "--timeout", "wait: give up after so many seconds", "S", kind=Kind.SECONDS, commands=("wait",)
    )
    stops_first: bool = option(
        "--stop", "use: stop the Runner instead of moving it", default=False, kind=Kind.FLAG, commands=("use",)
    )
    quiet: bool = option("--quiet", "print nothing", default=False, kind=Kind.FLAG)


@dataclass(frozen=True)
class ServiceLine:
    """Run the cell, and serve what it defines on worker processes.

    The variable TARGET then holds the service; the original is TARGET.local. Calling the service of a class, as in
    Counter(10), makes a new object on a worker of its own.
    """

    target: str | None
    bind_as: str | None = option("--as", "variable that holds the service (default: TARGET)", "VAR", kind=Kind.VARIABLE)
    name: str | None = option("--name", "name of the service in displays and for attach (default: TARGET)", "SVC")
    expression: str | None = option(
        "--instance", "serve this object (default: TARGET()), made after the cell ran", "EXPR",
        kind=Kind.EXPRESSION, is_verbatim=True,
    )  # fmt: skip
    autoscale: bool | None = option(
        "--autoscale", "any number of workers; of a class, one object in each",
        kind=Kind.EITHER, opposite=("--fixed", "one worker"),
    )  # fmt: skip
    warmup: int = option("--warmup", "workers to start at once", "N", default=0, kind=Kind.COUNT)
    resreq: str | None = option("--resreq", "what one worker asks for, for example cpu=1,mem=2g,gpu=0", "SPEC")
    retries: int = option(
        "--retries", "how often to start a call again when its worker is lost (stateless only)", "N",
        default=0, kind=Kind.COUNT,
    )  # fmt: skip
    runner: str | None = option(
        "--runner", "the Runner to use: its name, or a variable that holds it", "NAME", names="runners"
    )
    context: str | None = option(
        "--cluster", "the context of flame.yaml, when a Runner must be started", "CTX", names="contexts"
    )
    export: str | None = option(
        "--export", "also ship the cell as a module that workers import", "MODULE", kind=Kind.OPTIONAL
    )
    no_run: bool = option(
        "--no-run", "do not run the cell here and serve nothing: export it only", default=False, kind=Kind.FLAG
    )
    force: bool = option("--force", "a new session although nothing changed", default=False, kind=Kind.FLAG)
    quiet: bool = option("--quiet", "print nothing", default=False, kind=Kind.FLAG)

    @property
    def is_instance(self) -> bool:
        """Is an object served: ``expression``, or TARGET() where that is ""?"""
        return self.expression is not None

    def options_key(self) -> str:
        """Everything that changes the service itself; two equal cells with equal keys share a session."""
        return repr((self.name, self.expression, self.autoscale, self.warmup, self.resreq, self.retries))


@dataclass(frozen=True)
class ExportLine:
    """Run the cell, and ship it with the package as a module that workers import.

    The comment '#| export MODULE' in the first line of a cell does the same. %flame_runner cells lists what is shipped.
    """

    module: str | None = None
    quiet: bool = option("--quiet", "print nothing", default=False, kind=Kind.FLAG)
