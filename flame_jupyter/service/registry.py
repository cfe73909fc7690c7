# SPDX-License-Identifier: Apache-2.0
"""The services that cells of this notebook define, and what happens when such a cell runs again.

Unchanged source keeps the session. Changed source gets a new one; only when that stands is the variable bound
again, and the old session closes once its calls have ended. A failure or an interrupt leaves the old service bound.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from flame_jupyter.cells.captured_data import HeavyServiceWarning, heavy_text
from flame_jupyter.cells.class_identity import ClassIdentities
from flame_jupyter.cells.definitions import Definitions, definitions_of, resolved_target
from flame_jupyter.cells.execution import evaluated, parsed_body, run_body
from flame_jupyter.cells.fingerprint import ServiceFingerprint, fingerprint_of
from flame_jupyter.cells.importability import check_importable, import_path_of_workers
from flame_jupyter.cells.self_reference import complete_own_name, lead_to_original, with_own_name
from flame_jupyter.lines import ServiceLine
from flame_jupyter.output import warn_user
from flame_jupyter.service.handle import NotServed, ServiceHandle, ServiceRedefined, handle_for, serial_of
from flame_jupyter.service.messages import FORCED, ready_text, reason_text, redefined_text, stale_text
from flame_jupyter.service.record import ServiceRecord
from flame_jupyter.service.remote_handle import TravelledHandle
from flame_jupyter.service.staleness import StalenessWatch
from flame_jupyter.service.steady_status import SteadyStatus
from flame_jupyter.tracebacks.cell_index import CodeIndex
from flame_jupyter.wording import listed
from flamepy.errors import ConnectionLost, InvalidArgument, InvalidState

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from flame_jupyter.service.service_table import ServiceStatus
    from flamepy.runner import Runner, RunnerService


class Services:
    """The services of one notebook, by the variable that holds the handle."""

    def __init__(
        self,
        shell: InteractiveShell,
        staleness: StalenessWatch,
        status: SteadyStatus,
        after_call: Callable[[object], None] = lambda _: None,
    ) -> None:
        self._shell = shell
        self._staleness = staleness
        self._status = status
        self._after_call = after_call
        self._records: dict[str, ServiceRecord] = {}
        self._draining: list[ServiceRecord] = []
        self.index = CodeIndex()
        self.identities = ClassIdentities()

    def define(self, line: ServiceLine, cell: str, runner: Callable[[], Runner]) -> str:
        """Run the cell and serve what it defines; returns what to print. What the cell raises goes through.

        runner: gives the Runner, and starts it when there is none; called when the cell has run.
        """
        body = parsed_body(self._shell, cell)
        defined = definitions_of(body.tree)
        # with an expression of its own, TARGET is only the variable
        is_free = line.target is not None and line.is_instance and line.expression
        name = str(line.target) if is_free else resolved_target(line.target, defined)
        variable = line.bind_as or line.target or name
        self._check_variable(variable, name, defined)
        with self._all_or_nothing(variable, name), contextlib.ExitStack() as undo:
            previous = self._bound_record(variable)
            run_body(self._shell, replace(body, tree=with_own_name(body.tree, name)))
            self.identities.adopt(self._shell.user_ns)
            undo.callback(self._leave_no_plain_original, variable, name)
            serving = runner()
            source = fingerprint_of(body.tree, line.options_key(), self._shell.user_ns, serial_of)
            _check_shell(name, source)
            changed = self._changed(previous, line, source, serving)
            if previous is not None and not changed:
                self._shell.user_ns[variable] = previous.handle
                undo.pop_all()
                return self._unchanged_text(previous)
            self._check_importable(source, serving)
            if heavy := heavy_text(variable, source.data):
                warn_user(heavy, HeavyServiceWarning)
            with self._status.held():
                record = self._opened(line, self._local(line, name), variable, source, serving)
                replaced = self._bind(record)
            undo.pop_all()
        self.index.add(record.local)
        if replaced is None:
            return ready_text(record, name) + self._stale_text()
        return self._retired_text(replaced, record) + reason_text(changed) + self._stale_text()

    def reopen(self, old: Runner, new: Runner) -> str:
        """Serve anew what ``old`` serves; returns what to print. When one fails, nothing has changed."""
        serving = [
            each for each in self._records.values() if each.runner is old and self._bound_record(each.variable) is each
        ]
        serials: dict[int, int] = {}
        lines = []
        with self._all_or_nothing(*(each.variable for each in serving)):
            for each in sorted(serving, key=lambda record: record.serial):  # what a service calls was there before it
                source = each.source.calling(serials)
                record = self._opened(each.line, each.local, each.variable, source, new)
                serials[each.serial] = record.serial
                self._bind(record)
                lines.append((each, record))
        return "\n".join(self._retired_text(*each) for each in lines)

    def names_on(self, runner: Runner) -> list[str]:
        """The variables of the services that ``runner`` serves."""
        return [each.variable for each in self._records.values() if each.runner is runner]

    def objects_on(self, runner: Runner) -> list[str]:
        """Those of them whose object has been made, and may have a state."""
        return [
            each.variable
            for each in self._records.values()
            if each.runner is runner and each.kind != "function" and each.service is not None
        ]

    def close_idle(self) -> None:
        """Close the sessions of replaced services whose last call has ended. Called after each cell.

        One that another service was made with stays: until that one is made anew, its code calls it.
        """
        for record in list(self._draining):
            used = {serial for each in (*self._records.values(), *self._draining) for serial in each.source.services}
            if record.serial not in used and record.unfinished_calls() == 0:
                self._draining.remove(record)
                if record.service is not None:
                    record.service.close()

    def end(self) -> None:
        """The Runner has stopped, and closed its sessions: the handles say so from now on."""
        from flamepy import RunnerClosed

        ended = [each for each in self._records.values() if not each.runner.is_open()]
        for record in ended:
            del self._records[record.variable]
            record.refusal = RunnerClosed(
                f"cannot call {record.name}: the Runner of this notebook is stopped. "
                f"Run the cell that defines {record.variable} again, which starts it."
            )
        self._draining = [each for each in self._draining if each.runner.is_open()]

    def views(self) -> list[ServiceStatus]:
        """Every service for displays, those that are draining last. From any thread: a panel asks while one closes."""
        from flame_jupyter.service.service_table import ServiceStatus

        shown = [ServiceStatus.of(each) for each in list(self._records.values())]
        return shown + [ServiceStatus.of(each, is_draining=True) for each in list(self._draining)]

    def _opened(
        self, line: ServiceLine, local: Any, variable: str, source: ServiceFingerprint, runner: Runner
    ) -> ServiceRecord:
        shown = line.name or line.target or variable

        def open_object(execution_object: Any) -> RunnerService:
            # what calling the handle of a class makes is one object, however the class itself is served
            is_itself = execution_object is local
            with warnings.catch_warnings(record=True) as caught:
                # it would name the service that this one replaces too; we say ourselves which are left
                warnings.simplefilter("ignore", StaleCodeWarning)
                warnings.simplefilter("always" if is_itself else "ignore", UnsupportedOptionWarning)
                service = runner.service(
                    execution_object,
                    autoscale=line.autoscale if is_itself else None,
                    warmup=line.warmup if is_itself else min(line.warmup, 1),
                    resreq=line.resreq,
                    name=shown,
                    retries=line.retries if is_itself else 0,
                )
            for each in caught:
                if issubclass(each.category, UnsupportedOptionWarning):  # of the option in the user's line
                    warn_user(str(each.message), each.category)
                else:  # it has passed the user's filters already
                    warnings.showwarning(each.message, each.category, each.filename, each.lineno)
            return service

        from flamepy.runner import StaleCodeWarning, UnsupportedOptionWarning

        try:
            record = ServiceRecord(
                line, variable, shown, local, source, runner, open_object, self._staleness.before_call, self._after_call
            )
            record.handle = handle_for(record)
            self._staleness.note_opened(record)
            if record.kind == "class":
                complete_own_name(local)
            if record.kind != "instance":
                lead_to_original(local)
            if record.kind != "class" or line.autoscale or line.warmup:
                record.opened()
            else:  # its object is made at the first call: a constructor that needs arguments may never be called
                _check_class(local, line)
        except (ValueError, TypeError, InvalidArgument, ConnectionLost) as error:
            raise UsageError(f"cannot serve {shown}: {error}") from error
        except InvalidState as error:  # the engine, or the Runner, has ended without our doing
            raise UsageError(
                f"cannot serve {shown}: {error} Here %flame_runner restart does that, and serves everything anew."
            ) from error
        return record

    def _local(self, line: ServiceLine, name: str) -> Any:
        if not line.is_instance:
            return self._shell.user_ns[name]
        return evaluated(self._shell, line.expression or f"{name}()")

    def _changed(
        self, previous: ServiceRecord | None, line: ServiceLine, source: ServiceFingerprint, serving: Runner
    ) -> list[str]:
        """Why the service of this cell is not the one that it defined before; [] when it is, or when there is none."""
        if previous is None:
            return []
        if line.force:
            return [FORCED]
        if previous.runner is not serving:
            return ["the Runner"]
        changed = source.changes_since(previous.source)
        return changed + (previous.changed_modules() if self._staleness.repackages else [])

    def _bind(self, record: ServiceRecord) -> ServiceRecord | None:
        """From here on the new service counts; the one that it replaces takes no new calls. Returns that one.

        Only memory changes, so that an interrupt finds the one or the other.
        """
        old = self._records.get(record.variable)
        self._shell.user_ns[record.variable] = record.handle
        self._records[record.variable] = record
        if old is not None:
            old.refusal = ServiceRedefined(
                f"this handle of {old.name} is old: the cell that defines it has run again with other code. "
                f"Use the variable {record.variable}, which holds the new one."
            )
            if old.service is not None:
                self._draining.append(old)
        return old

    def _retired_text(self, old: ServiceRecord, new: ServiceRecord) -> str:
        running = old.unfinished_calls()
        self.close_idle()
        return redefined_text(old, new, running)

    def _unchanged_text(self, record: ServiceRecord) -> str:
        """Says also what the service does not heed, when the user has asked for no more than a warning."""
        text = f"{record.variable}: unchanged"
        changed = [] if self._staleness.repackages or not self._staleness.tells else record.changed_modules()
        return text + (f", but {listed(changed)} changed: --force serves the new files." if changed else "")

    def _stale_text(self) -> str:
        """Which other services run with older files, or call older services; "" when all are up to date."""
        current = frozenset(each.serial for each in self._records.values())
        stale = {}

        @functools.cache
        def stale_files_of(runner: Runner) -> list[str]:  # it looks at every file
            return runner.stale_files()

        for each in self._records.values() if self._staleness.tells else ():
            if changed := each.source.calls_other_than(current) + each.changed_modules(stale_files_of(each.runner)):
                stale[each.variable] = changed
                each.is_told_stale = True
        return stale_text(stale)

    def _check_importable(self, source: ServiceFingerprint, runner: Runner) -> None:
        package = runner.package
        if package is not None:

            def is_shipped(path: str) -> bool:  # also what was added since; looking for that takes longer
                return path in package.identities or path in runner.stale_files()

            check_importable(source.modules, package.root, is_shipped, import_path_of_workers())

    def _bound_record(self, variable: str) -> ServiceRecord | None:
        """The service of a variable, while the variable still holds its handle."""
        record = self._records.get(variable)
        return record if record is not None and self._shell.user_ns.get(variable) is record.handle else None

    def _leave_no_plain_original(self, variable: str, name: str) -> None:
        """Serving has failed: a variable that held no service must not run what the cell defines here, silently."""
        variables = self._shell.user_ns
        if variable == name and not isinstance(variables.get(variable), ServiceHandle):
            variables[variable] = NotServed(variable, variables.get(variable))

    def _check_variable(self, variable: str, name: str, defined: Definitions) -> None:
        """Never take a variable away from the user: it may hold nothing, a handle, or what the cell defines."""
        if variable == name and variable in defined:
            return
        if variable in defined:
            raise UsageError(f"the cell itself defines {variable!r}: choose another variable with --as.")
        self.check_free(variable)

    def check_free(self, variable: str) -> None:
        """Raises UsageError when the variable holds something of the user's."""
        from flamepy.runner import RunnerService

        holds = self._shell.user_ns.get(variable)
        if holds is not None and not isinstance(holds, (ServiceHandle, NotServed, TravelledHandle, RunnerService)):
            raise UsageError(
                f"{variable!r} already holds a {type(holds).__name__} of yours: choose another variable with --as, "
                f"or delete it first with 'del {variable}'."
            )

    @contextmanager
    def _all_or_nothing(self, *names: str) -> Iterator[None]:
        """When anything fails, or is interrupted, the services that were bound before are bound again and usable."""
        variables = self._shell.user_ns
        before = {name: variables[name] for name in names if isinstance(variables.get(name), ServiceHandle)}
        records, draining = dict(self._records), list(self._draining)
        try:
            yield
        except BaseException:
            variables.update(before)
            self._records, self._draining = records, draining
            for each in records.values():
                each.refusal = None
            raise


def _check_shell(name: str, source: ServiceFingerprint) -> None:
    """Raises UsageError for code that needs the kernel's shell: workers have none."""
    if not source.shell:
        return
    leaves = source.shell & {"exit", "quit"}
    used = f"{min(leaves)}()" if leaves else "a magic, a shell command (!) or get_ipython()"
    cure = (
        "Raise an exception instead."
        if leaves
        else "Call the module behind the magic, and subprocess.run for a shell command; or leave that to another cell."
    )
    raise UsageError(f"{name} uses {used}, which exists in the kernel only, not on workers. {cure}")


def _check_class(cls: type, line: ServiceLine) -> None:
    """Find now what opening the session would find. Raises ValueError, InvalidArgument."""
    from flamepy import ResourceRequirement
    from flamepy.front_ends import RESERVED_NAMES, interface_of
    from flamepy.runner import RunnerContext

    context = RunnerContext(cls, autoscale=line.autoscale, warmup=line.warmup)
    if line.retries and context.stateful:
        raise ValueError("it is stateful, and a retry could repeat an effect: leave --retries out.")
    if line.resreq is not None:
        ResourceRequirement.from_string(line.resreq)
    interface_of(cls, reserved=RESERVED_NAMES)
