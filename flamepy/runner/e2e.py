# SPDX-License-Identifier: Apache-2.0
"""``flamepy-runner-e2e``, also ``python -m flamepy.runner``: does a Runner work here, from its package to its results?

Runs a function, a call that takes other calls' results, and a stateful object. Prints what came out; exit code 0 or 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from flamepy.config import DEFAULT_TEMPLATE
from flamepy.errors import FlameError, FlameErrorCode
from flamepy.runner.runner import Runner

README = "# flamepy-runner-e2e\n\nThe project that the end-to-end check packages.\n"


@dataclass(frozen=True)
class Results:
    app_name: str
    chained_result: int
    function_results: list[int]
    stateful_result: int
    template: str
    workdir: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check. Returns the exit code."""
    wanted = _parser().parse_args(argv)
    try:
        with _workdir(wanted.workdir, keep=wanted.keep_workdir) as workdir:
            results = run(
                wanted.name or f"flamepy-runner-e2e-{uuid.uuid4().hex[:8]}",
                workdir,
                tasks=wanted.tasks,
                dependencies=wanted.dependency,
                python_version=wanted.python_version,
            )
    except Exception as error:  # noqa: BLE001 - whatever went wrong is what this command is there to tell
        print(f"Flame Runner cluster e2e failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(results), sort_keys=True) if wanted.json else _report(results))
    return 0


def run(
    name: str, workdir: str, *, tasks: int, dependencies: Sequence[str] | None, python_version: str | None
) -> Results:
    """Make the calls and compare what comes out. Raises whatever goes wrong."""

    # Local, so that they are pickled by value: the package in ``workdir`` does not hold them.
    def square(value: int) -> int:
        return value * value

    def add(left: int, right: int) -> int:
        return left + right

    class Counter:
        def __init__(self) -> None:
            self._value = 0

        def add(self, amount: int) -> int:
            self._value += amount
            return self._value

        def value(self) -> int:
            return self._value

    with Runner(name, dependencies=dependencies, python_version=python_version, root=workdir) as runner:
        squares = runner.service(square)
        sums = runner.service(add)
        counter = runner.service(Counter(), warmup=1)
        function_results = runner.get([squares(number) for number in range(tasks)])
        chained = sums(squares(tasks), squares(tasks + 1)).get()
        counter.add(2)
        counter.add(4)
        stateful = counter.value().get()
    _expect("square", function_results, [number * number for number in range(tasks)])
    _expect("add of two futures", chained, tasks**2 + (tasks + 1) ** 2)
    _expect("Counter", stateful, 6)
    return Results(name, chained, function_results, stateful, DEFAULT_TEMPLATE, workdir)


def _expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise FlameError(
            FlameErrorCode.INTERNAL,
            f"{what} gave {got!r} instead of {wanted!r}: a wrong flamepy on the workers? Reinstall it.",
        )


def _report(results: Results) -> str:
    rows = {
        "app": results.app_name,
        "template": results.template,
        "workdir": results.workdir,
        "function results": results.function_results,
        "ObjectFuture chained result": results.chained_result,
        "stateful instance result": results.stateful_result,
    }
    return "\n".join(["Flame Runner cluster e2e passed", *(f"{label}: {value}" for label, value in rows.items())])


@contextlib.contextmanager
def _workdir(chosen: str | None, *, keep: bool) -> Iterator[str]:
    """The directory to package: the chosen one, or a fresh one that goes away unless it is to be kept."""
    with contextlib.ExitStack() as undo:
        if chosen is not None:
            os.makedirs(chosen, exist_ok=True)
            workdir = os.path.abspath(chosen)
        elif keep:
            workdir = tempfile.mkdtemp(prefix="flamepy-runner-e2e-")
        else:
            workdir = undo.enter_context(tempfile.TemporaryDirectory(prefix="flamepy-runner-e2e-"))
        readme = os.path.join(workdir, "README.md")
        if not os.path.exists(readme):
            with open(readme, "w", encoding="utf-8") as file:
                file.write(README)
        yield workdir


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flamepy-runner-e2e", description="Check a Runner end to end.")
    parser.add_argument("--name", help="name of the application (default: flamepy-runner-e2e-<8 hex digits>)")
    parser.add_argument("--tasks", type=_positive, default=4, help="calls of the function (default: %(default)s)")
    parser.add_argument("--python-version", help="what the workers' Python must be, such as 3.11")
    parser.add_argument("--dependency", action="append", help="what the workers need; may be given again")
    parser.add_argument("--workdir", help="the directory to package (default: a temporary one)")
    parser.add_argument("--keep-workdir", action="store_true", help="leave the temporary directory behind")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
