# SPDX-License-Identifier: Apache-2.0
"""A worker's loop: take a call, run it, report how it ended. One call at a time, in the main thread.

The main thread, because a cancel is an interrupt (SIGINT), and Python runs signal handlers there.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import mmap
import os
import socket
import sys
import types
from collections.abc import Callable, Mapping

from flamepy.cache.mappings import KeptMappings
from flamepy.cache.memfd_pool import KEEP_S, memfd_pool
from flamepy.clock import monotonic_s
from flamepy.codec.handed_on import hook_in_worker
from flamepy.codec.reading import decode_on_worker
from flamepy.errors import FlameError
from flamepy.protocol import fence
from flamepy.protocol.app_directory import unpack_once
from flamepy.protocol.calls import CallFrame
from flamepy.protocol.commands import ImportPath
from flamepy.protocol.frames import SLOT_WORDS
from flamepy.protocol.report import Report
from flamepy.protocol.worker_specification import PROJECT_VARIABLE, WorkerSpecification
from flamepy.worker.channel import Channel
from flamepy.worker.inbox import Inbox
from flamepy.worker.interrupt import Interrupt
from flamepy.worker.origins import name_origins
from flamepy.worker.outcome import cancelled, failed
from flamepy.worker.output import OutputCapture
from flamepy.worker.processes.forked_child import ForkMark, end_forked_child
from flamepy.worker.services.loaded import Services

KEEP_MAPPINGS_S = 0.1  # the calls of one batch follow each other faster; an idle worker holds no memory of values


def run(
    worker_id: int,
    slot: int,
    specification: WorkerSpecification,
    calls: socket.socket,
    output_fd: int,
    results_fd: int,
    status_table: mmap.mmap,
) -> int:
    """Serve calls until the engine closes the socket or says leave. Returns the exit code."""
    words = memoryview(status_table).cast("Q")[slot * SLOT_WORDS : (slot + 1) * SLOT_WORDS]
    output = OutputCapture(output_fd, words)
    unusable = _bind(specification)
    channel = Channel(worker_id, calls, results_fd)
    fence.register_process()
    hook_in_worker()
    services = Services()
    inbox = Inbox(channel, words, services.forget, _path_setter(specification))
    interrupt = Interrupt(words)
    mappings = KeptMappings()
    if specification.reuses_memory:
        memfd_pool.add_owner(lambda: None)  # this loop comes round by itself
    gc.enable()
    mark = ForkMark()
    os.register_at_fork(after_in_child=channel.abandon)
    while (call := inbox.next_call()) is not None:
        if unusable is not None and call.damage is None:
            call.damage = unusable
        interrupt.begin(call.number)
        began_s = monotonic_s()
        report = _run_call(call, services, mappings, interrupt, mark, began_s)
        if mark.is_in_child():
            end_forked_child(None)
        report.duration_s = monotonic_s() - began_s
        report.output, report.errors = output.take(), output.take_errors()
        channel.report(call.number, report)
        if call.damage is not None and call.session_number not in services:
            return 0  # the definition is among what did not arrive: a new worker gets it again
        if unusable is not None:
            return 0  # a new worker may have more luck
        del call, report  # big arguments and results must not outlive their call while the worker waits
        if mappings:
            mappings.settle()
            if not inbox.has_message(KEEP_MAPPINGS_S):
                mappings.clear()
        if memfd_pool and not inbox.has_message(KEEP_S):
            memfd_pool.clear()
    return 0


def _bind(specification: WorkerSpecification) -> FlameError | None:
    """Become a worker of this application: its environment, its working directory, its modules.

    Waits for the files of its package. Returns what its calls must fail with, when these cannot be had.
    """
    _set_environment(specification.environ)
    os.environ["FLAME_UPLINK"] = specification.uplink  # a Runner in a call uses the engine that runs the call
    os.environ["FLAME_WORKER_ID"] = str(specification.worker_id)
    if os.environ.get("MPLBACKEND", "").startswith("module://"):  # a kernel's, which draws below the cell that runs
        os.environ["MPLBACKEND"] = "agg"
    sys.path[:] = [*specification.path_before, *specification.path_behind]
    root, unusable = specification.root, None
    if root is not None and specification.archive is not None:
        try:
            unpack_once(specification.archive, root, specification.application)
        except FlameError as error:
            unusable = error
    for name in _hidden_by(root, specification.loaded_first):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    sys.path[:] = _path_around(specification.root, specification.path_before, specification.path_behind)
    sys.argv[:] = [""]
    # what the zygote ran as __main__ is no business of the user's code; a service's class is put in here (state.py)
    sys.modules["__main__"] = types.ModuleType("__main__")
    if "__mp_main__" in sys.modules:  # what children of multiprocessing call it; a manager of the caller is one
        sys.modules["__mp_main__"] = sys.modules["__main__"]
    if root is not None and unusable is None:
        os.chdir(root)
        if project := specification.environ.get(PROJECT_VARIABLE):
            name_origins(root, project)
    return unusable


def _set_environment(environ: Mapping[str, str]) -> None:
    """Only what differs from the zygote's, whose pages are shared as long as they are not written."""
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    for name, value in environ.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _hidden_by(root: str | None, names: tuple[str, ...]) -> list[str]:
    """Those of the modules that the package would hide."""
    if root is None or not names:
        return []
    with contextlib.suppress(OSError):
        there = {name.partition(".")[0] for name in os.listdir(root)}
        return [name for name in names if name in there]
    return []


def _path_around(root: str | None, before: tuple[str, ...], behind: tuple[str, ...]) -> list[str]:
    return [*before, *([] if root is None else [root]), *behind]


def _path_setter(specification: WorkerSpecification) -> Callable[[ImportPath], None]:
    """What follows the import path of the caller; entries that calls have added here stay."""
    told = [*sys.path]

    def set_path(path: ImportPath) -> None:
        nonlocal told
        own = [entry for entry in sys.path if entry not in told]
        told = _path_around(specification.root, *path)
        sys.path[:] = [*told, *own]
        importlib.invalidate_caches()

    return set_path


def _run_call(
    call: CallFrame,
    services: Services,
    mappings: KeptMappings,
    interrupt: Interrupt,
    mark: ForkMark,
    began_s: float,
) -> Report:
    """How the call ended; a process that the call has forked ends here, when the call raises in it."""
    service = None
    known, importing_s = len(sys.modules), 0.0
    services.take_definition(call)
    try:
        if call.damage is not None:
            raise call.damage
        with interrupt:
            service = services.of(call)
            arguments = [decode_on_worker(blob.payload(mappings.map), "an argument") for blob in call.dependencies]
            request = decode_on_worker(call.request.payload(mappings.map), "the call", arguments)
            if len(sys.modules) > known:
                importing_s = monotonic_s() - began_s
            value = service.invoke(request)
            interrupt.raise_if_asked()  # the code has caught it and gone on: its value and its changes of state go
            report = service.commit(value)
    except BaseException as error:  # noqa: BLE001 - whatever user code raises belongs to the caller, not to this loop
        if mark.is_in_child():
            end_forked_child(error)
        if service is not None:
            service.roll_back()
        report = cancelled() if interrupt.was_asked() else failed(error)
    report.importing_s = importing_s
    return report
