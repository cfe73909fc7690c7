# SPDX-License-Identifier: Apache-2.0
"""The magics in an IPython shell, on the embedded engine: what a user types, and what comes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.notebook.shells import Shell

WAIT_S = 30.0

SQUARE = """%%flame_service square
def square(x):
    return x * x"""

COUNTER = """%%flame_service Counter
class Counter:
    def __init__(self, initial=0):
        self._count = initial

    def add(self, a):
        if a < 0:
            raise ValueError("a is negative")
        self._count = self._count + a
        return self._count

    def get_counter(self):
        return self._count"""


def _status(shell: Shell) -> Any:
    return shell.ip.magics_manager.registry["FlameMagics"].notebook.status()


# -- loading


def test_loading_twice_is_loading_once(shell: Shell) -> None:
    shell.run("%load_ext flame_jupyter")
    magics = shell.ip.magics_manager.registry["FlameMagics"]
    shell.run("import flame_jupyter; flame_jupyter.load_ipython_extension(get_ipython())")
    assert shell.ip.magics_manager.registry["FlameMagics"] is magics


def test_reloading_keeps_the_runner_and_the_handles(shell: Shell) -> None:
    shell.run(SQUARE)
    shell.run("before = %flame_runner start")
    shell.run("%reload_ext flame_jupyter")
    shell.run("after = %flame_runner start")
    assert shell["after"] is shell["before"]
    assert shell["square"](3).get() == 9


def test_unloading_closes_the_runner_and_leaves_no_trace_in_the_shell(bare_shell: InteractiveShell) -> None:
    ip: Any = bare_shell  # what is looked at has no types
    before = _traces_in(ip)
    ip.extension_manager.load_extension("flame_jupyter")
    shell = Shell(bare_shell)
    shell.run(SQUARE)
    shell.run("r = %flame_runner start\nr")
    shell.run("square(3)")
    assert _traces_in(ip) != before
    ip.extension_manager.unload_extension("flame_jupyter")
    assert shell["r"].is_closed()
    assert _traces_in(ip) == before


def _traces_in(ip: Any) -> dict[str, object]:
    """All that an extension can leave in a shell, and the one attribute that ours lends to flamepy."""
    from flamepy.errors import FlameError

    futures = ip.display_formatter.ipython_display_formatter
    return {
        "magics": {kind: sorted(map(str, table)) for kind, table in ip.magics_manager.magics.items()},
        "registry": sorted(ip.magics_manager.registry),
        "hooks": {event: list(hooks) for event, hooks in ip.events.callbacks.items()},
        "configurables": len(ip.configurables),
        "displays": [*futures.deferred_printers, *futures.type_printers],
        "html": [*ip.display_formatter.formatters["text/html"].deferred_printers],
        "traceback": "_render_traceback_" in vars(FlameError),
    }


def test_loading_imports_nothing_heavy() -> None:
    program = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance(); "
        "before = set(sys.modules); s.run_line_magic('load_ext', 'flame_jupyter'); "
        "print(*sorted(name for name in set(sys.modules) - before if '.' not in name or name.startswith('flame')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert "flame_jupyter.magics.ipython" in loaded
    heavy = {"numpy", "pandas", "cloudpickle", "yaml", "ipywidgets", "anywidget", "flame_jupyter.display"}
    assert not loaded & (heavy | {"flamepy.runner.runner", "flamepy.engine"})


def test_in_the_kernel_of_a_browser_it_says_where_else_to_go() -> None:
    program = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance(); "
        "sys.platform = 'emscripten'; s.run_cell('%load_ext flame_jupyter'); "
        "print('FlameMagics' in s.magics_manager.registry, 'flamepy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "UsageError: flame_jupyter runs calls on worker processes" in done.stdout + done.stderr
    assert "open this notebook in JupyterLab" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "False False"


# -- services


def test_a_function_of_a_cell_runs_on_a_worker(shell: Shell) -> None:
    printed = shell.run(SQUARE).printed
    assert re.match(r"Flame: \d+ workers? on this machine\. ", printed)
    assert "square: function, ready\n" in printed
    shell.run("import os")
    shell.run("%%flame_service pid --quiet\ndef pid():\n    return os.getpid()")
    assert shell["square"](3).get() == 9
    assert shell["square"].local(3) == 9
    assert shell.run("pid().get() != os.getpid()").value is True


def test_the_counter_of_the_founding_document(shell: Shell) -> None:
    shell.run(COUNTER)
    assert shell.run("Counter.add(1); Counter.add(3); Counter.get_counter().get()").value == 4
    shell.run("counter = Counter(10); counter.add(1); counter.add(3)")
    assert shell.run("counter.get_counter().get()").value == 14
    assert shell.run("counter.add(counter.get_counter()); counter.get_counter().get()").value == 28
    assert shell.run("Counter.get_counter().get()").value == 4


def test_the_handle_of_a_class_still_is_the_class_for_python(shell: Shell) -> None:
    shell.run(COUNTER)
    assert shell.run("isinstance(Counter.local(), Counter)").value is True
    assert shell.run("isinstance(3, Counter)").value is False
    assert shell.run(
        "class More(Counter):\n    pass\nMore.__mro__[1] is Counter.local and issubclass(More, Counter)"
    ).value


def test_a_class_whose_constructor_needs_arguments_is_made_by_calling_it(shell: Shell) -> None:
    shell.run(
        "%%flame_service Scale\nclass Scale:\n    def __init__(self, by):\n        self.by = by\n"
        "    def of(self, x):\n        return x * self.by"
    )
    assert shell.run("Scale(5).of(2).get()").value == 10
    error = shell.run_any("Scale.of(2)").error
    assert "Scale() needs 'by'. Call Scale(...) first" in str(error)


def test_code_that_names_its_own_service_means_the_original(shell: Shell) -> None:
    shell.run("%%flame_service fib\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)")
    assert shell.run("fib(10).get()").value == 55
    shell.run(
        "%%flame_service Vector\nclass Vector:\n    def __init__(self, x=1):\n        self.x = x\n"
        "    def twice(self):\n        other = Vector(self.x)\n        return isinstance(other, Vector) and 2 * other.x"
    )
    assert shell.run("Vector.twice().get()").value == 2
    assert shell.run("Vector(4).twice().get()").value == 8


def test_a_service_can_be_called_by_another_one(shell: Shell) -> None:
    shell.run(SQUARE)
    shell.run("%%flame_service outer\ndef outer(x):\n    return square(x).get() + 1")
    assert shell.run("outer(3).get()").value == 10


def test_an_object_or_an_expression_is_served_as_an_instance(shell: Shell) -> None:
    body = COUNTER.partition("\n")[2]
    shell.run(f"%%flame_service tally\n{body}\ntally = Counter(100)")
    assert shell.run("tally.add(1).get()").value == 101
    shell.run(f"%%flame_service other --instance Counter(initial= 7 )\n{body}")
    assert shell.run("other.add(1).get()").value == 8
    shell.run(f"%%flame_service Counter --instance\n{body}")
    assert shell.run("Counter.add(2).get()").value == 2


def test_autoscale_on_a_class_shares_no_state(shell: Shell) -> None:
    shell.run(COUNTER.replace("Counter\n", "Counter --autoscale --warmup 1\n", 1))
    assert "autoscale" not in shell.run("%flame_runner services").printed
    assert shell.run("sum(Counter.add(0).get() for _ in range(3))").value == 0


@pytest.mark.parametrize(
    ("line", "body", "said"),
    [
        ("Cuonter", "class Counter:\n    def f(self): ...", "Did you mean 'Counter'?"),
        ("", "x = 1", "defines no function and no class"),
        ("f --as taken", "def f(): ...", "'taken' already holds a list of yours"),
        ("f --as x", "def f(): ...\nx = 1", "the cell itself defines 'x'"),
        ("{nope}", "def f(): ...", "'{nope}' is not defined"),
        ("f", "import asyncio\ndef f(): ...\nawait asyncio.sleep(0)", "put the await in another cell"),
        ("f", "import threading\nlock = threading.Lock()\ndef f(): return lock", "global 'lock'"),
        ("C --instance --autoscale", "class C:\n    def f(self): ...", "always fixed"),
        ("C --instance C(", "class C:\n    def f(self): ...", "not a Python expression"),
        ("C --retries 2", "class C:\n    def f(self): ...", "leave --retries out"),
        ("f --resreq cpu=x", "def f(): ...", "cpu=x is not a whole number"),
        ("C", "class C:\n    def close(self): ...", "rename the method"),
        ("C", "class C:\n    def local(self): ...", "rename the method"),
        ("C", "class C:\n    pass", "no public method"),
    ],
)
def test_a_mistake_is_one_line_with_the_cure(shell: Shell, line: str, body: str, said: str) -> None:
    shell.run("taken = []")
    printed = shell.mistake(f"%%flame_service {line}\n{body}")
    assert said in printed
    assert "Traceback" not in printed


def test_the_magic_below_the_first_line_says_where_it_belongs(shell: Shell) -> None:
    said = "%%flame_service must be the first line of its cell."
    assert said in shell.mistake("# a comment\n%%flame_service f\ndef f(): ...")
    assert "cell magic `%%flame_service` exists" in shell.mistake("%flame_service f")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%flame_service h\n%%time\ndef h(x): return x", "%%time is a second one: remove it"),
        ("%%flame_service f --help\ndef f(x): return x", "unknown option --help. %%flame_service? lists the options."),
        ("%flame_runner --help", "unknown option --help. %flame_runner? lists the options."),
        ("%%flame_service f", "the cell body is empty.\n"),
        ("%%flame_service m\ndef m():\n    files = !ls\n    return files", "m uses a magic, a shell command (!)"),
        ("%%flame_service m\ndef m(x):\n    %time y = x\n    return x", "exists in the kernel only"),
        ("%%flame_service m\ndef m(x):\n    exit(x)", "m uses exit(), which exists in the kernel only"),
        ("%%flame_service M\nclass M:\n    def m(self):\n        return get_ipython()", "M uses a magic"),
        ("%%flame_service m\ndef m():\n    return helper()", "m uses a magic"),
    ],
)
def test_what_is_wrong_with_a_cell_is_told_with_the_cure(shell: Shell, cell: str, said: str) -> None:
    shell.run("def helper():\n    files = !ls\n    return files")
    assert said in shell.mistake(cell) + "\n"


def test_a_comment_may_stand_behind_the_options(shell: Shell) -> None:
    shell.run("%%flame_service f --warmup 1  # the trainer\ndef f(x): return x")
    assert shell.run("f(1).get()").value == 1


def test_magics_at_the_top_level_of_a_cell_are_no_part_of_its_service(shell: Shell) -> None:
    cell = "%%flame_service f\nfiles = !ls\ndef f(x): return x"
    shell.run(cell)
    shell.run("import sys")
    assert "f: unchanged" in shell.run(cell).printed


def test_a_target_that_differs_in_case_alone_is_taken(shell: Shell) -> None:
    printed = shell.run(COUNTER.replace("Counter\n", "counter\n", 1)).printed
    assert "counter: serves Counter" in printed
    assert shell.run("counter.add(1).get()").value == 1
    assert isinstance(shell["Counter"], type)


def test_parameters_of_papermill_expand_in_the_line(shell: Shell) -> None:
    shell.run("name = 'power'; helpers = 1")
    shell.run("%%flame_service {name} --warmup $helpers\ndef power(x):\n    return 2 ** x")
    assert shell.run("power(5).get()").value == 32


# -- a failing body


def test_a_failing_body_fails_the_cell_with_one_traceback_at_its_line(shell: Shell) -> None:
    result = shell.run_any("%%flame_service f\n\ndef f():\n    pass\n1 / 0")
    assert type(result.error) is ZeroDivisionError
    assert "line 5" in result.printed
    assert "----> 5 1 / 0" in result.printed
    assert result.printed.count("Traceback") == 1
    assert "flame_jupyter" not in result.printed
    assert "run_cell_magic" not in result.printed


def test_a_body_that_is_not_python_shows_its_line(shell: Shell) -> None:
    result = shell.run_any("%%flame_service f\ndef f(:\n    pass")
    assert result.error is not None
    assert "line 2" in result.printed
    assert "def f(:" in result.printed
    assert "flame_jupyter" not in result.printed


def test_a_failing_body_leaves_the_old_service_bound(shell: Shell) -> None:
    shell.run(SQUARE)
    handle = shell["square"]
    shell.run_any(SQUARE + "\nraise RuntimeError('after the definition')")
    assert shell["square"] is handle
    assert shell.run("square(4).get()").value == 16


@pytest.mark.parametrize("cell", ["%flame_runner start --name {stop()}", "%%flame_service {stop()}\ndef f(): ..."])
def test_an_interrupt_at_an_instruction_without_a_line_reads_as_any_other(shell: Shell, cell: str) -> None:
    """IPython cannot show the traceback of such a one, and says so in fifty lines."""

    def stop() -> None:
        raise KeyboardInterrupt

    stop.__code__ = stop.__code__.replace(co_linetable=b"")
    shell.ip.user_ns["stop"] = stop
    result = shell.run_any(cell)
    assert isinstance(result.error, KeyboardInterrupt)
    assert "Unexpected exception" not in result.printed
    assert len(result.printed.splitlines()) < 10, result.printed


def test_an_interrupted_body_leaves_the_old_service_bound(shell: Shell) -> None:
    shell.run(COUNTER)
    shell.run("Counter.add(1).get()")
    assert isinstance(shell.run_any(COUNTER + "\nraise KeyboardInterrupt").error, KeyboardInterrupt)
    assert shell.run("Counter.add(1).get()").value == 2


def test_a_failing_instance_expression_shows_itself(shell: Shell) -> None:
    result = shell.run_any(
        "%%flame_service half --instance Half(0)\nclass Half:\n    def __init__(self, x):\n        1 / x"
    )
    assert isinstance(result.error, ZeroDivisionError)
    assert "----> 1 Half(0)" in result.printed
    assert "line 4, in Half.__init__" in result.printed
    assert "flame_jupyter" not in result.printed


# -- running a cell again


def test_an_unchanged_cell_keeps_its_session_and_its_state(shell: Shell) -> None:
    shell.run(COUNTER)
    shell.run("Counter.add(5).get()")
    handle = shell["Counter"]
    assert "Counter: unchanged\n" in shell.run(COUNTER + "\n# a comment changes nothing").printed
    assert shell["Counter"] is handle
    assert shell.run("Counter.get_counter().get()").value == 5


def test_a_changed_cell_replaces_the_service_and_old_handles_say_so(shell: Shell) -> None:
    shell.run(SQUARE)
    shell.run("old = square")
    printed = shell.run(SQUARE + " + 1").printed
    assert "square: redefined, because" in printed
    assert shell.run("square(3).get()").value == 10
    error = shell.run_any("old(3)").error
    assert type(error).__name__ == "ServiceRedefined"
    assert "Use the variable square" in str(error)


def test_the_state_of_a_redefined_class_is_reset_and_the_line_says_so(shell: Shell) -> None:
    shell.run(COUNTER)
    shell.run("Counter.add(5).get()")
    assert "state reset" in shell.run(COUNTER.replace("= initial", "= initial + 1")).printed
    assert shell.run("Counter.get_counter().get()").value == 1


def test_calls_of_a_replaced_service_finish_and_then_its_session_closes(shell: Shell, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    slow = f"%%flame_service slow\ndef slow():\n    open({str(gate)!r}).close()\n    return 'old'"
    shell.run(slow)
    shell.run("call = slow()")
    session = shell["call"].session_id
    assert "1 call still running" in shell.run(slow.replace("'old'", "'new'")).printed
    assert "draining" in repr(_status(shell))
    _open_the_gate(gate)
    assert shell["call"].get(WAIT_S) == "old"
    shell.run("pass")  # sessions are closed after a cell
    assert shell.run(f"import flamepy; flamepy.get_session({session!r}).state.name").value == "CLOSED"


def _open_the_gate(gate: Path) -> None:
    """Let the call that reads from the fifo go on: opening it for writing waits for its reader."""
    thread = threading.Thread(target=lambda: open(gate, "w").close(), daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive()


# -- the Runner


def test_status_starts_nothing_and_the_first_service_starts_the_runner(shell: Shell) -> None:
    assert "no Runner is open" in repr(_status(shell))
    shell.run("%flame_runner status")
    assert (
        shell.run(
            "import flamepy; [a.name for a in flamepy.list_applications() if a.name.startswith('notebook')]"
        ).value
        == []
    )
    printed = shell.run(SQUARE).printed
    assert "on this machine. `project/` has no files to give them." in printed


def test_a_word_names_the_runner_and_as_binds_it(shell: Shell, project: Path) -> None:
    (project / "data.txt").write_text("some")
    shell.run("%flame_runner demo --as r")
    assert shell["r"].name == "demo"
    assert "packaged 1 file / 4 B" in repr(_status(shell))
    assert shell.run("r2 = %flame_runner start\nr2 is r").value is True


def test_the_number_of_workers_changes_while_the_runner_is_open(shell: Shell) -> None:
    shell.run("%flame_runner start --workers 3 --as r")
    assert "3 workers" in repr(_status(shell))
    shell.run("%flame_runner start --workers 1 --as again")
    assert "1 worker," in repr(_status(shell))
    assert shell["again"] is shell["r"]


def test_other_options_for_an_open_runner_are_a_mistake(shell: Shell) -> None:
    shell.run("%flame_runner start --name one")
    assert "already open without this --name: %flame_runner restart" in shell.mistake("%flame_runner start --name two")
    shell.run("%flame_runner start --name two --force --as r")
    assert shell["r"].name == "two"


def test_stop_closes_the_services_and_their_handles_say_so(shell: Shell) -> None:
    shell.run(SQUARE)
    assert "stopped" in shell.run("%flame_runner stop").printed
    error = shell.run_any("square(3)").error
    assert type(error).__name__ == "RunnerClosed"
    assert "Run the cell that defines square again" in str(error)
    assert "no Runner is open" in shell.run("%flame_runner stop").printed
    shell.run(SQUARE)
    assert shell.run("square(3).get()").value == 9


def test_stop_cancel_ends_calls_that_would_never_end(shell: Shell) -> None:
    shell.run("%%flame_service stuck\nimport threading\ndef stuck():\n    threading.Event().wait()")
    shell.run("calls = [stuck() for _ in range(3)]")
    shell.run("%flame_runner stop --cancel")
    assert [each.state for each in shell["calls"]] == ["cancelled"] * 3


def test_stop_wait_gives_calls_their_time_and_no_more(shell: Shell) -> None:
    shell.run(SQUARE)
    shell.run("%%flame_service stuck\nimport threading\ndef stuck():\n    threading.Event().wait()")
    shell.run("call, done = stuck(), square(3)")
    shell.run("%flame_runner stop --wait 1")
    assert shell["call"].state == "cancelled"
    assert shell["done"].get() == 9


def test_wait_takes_variables_and_collections_and_gives_up_in_time(shell: Shell) -> None:
    shell.run(SQUARE)
    shell.run("one = square(1); many = {'a': [square(i) for i in range(4)]}")
    assert "5 calls ended: 5 succeeded" in shell.run("%flame_runner wait one many").printed
    assert "ended" in shell.run("%flame_runner wait").printed
    assert "no future is in there" in shell.mistake("number = 3\n%flame_runner wait number")
    assert "'nothing' is not defined" in shell.mistake("%flame_runner wait nothing")
    shell.run("%%flame_service stuck\nimport threading\ndef stuck():\n    threading.Event().wait()")
    shell.run("held = stuck()")
    assert "1 of 1 calls have not ended after 0 s" in shell.mistake("%flame_runner wait held --timeout 0")
    shell["held"].cancel()


def test_a_dry_run_lists_files_and_the_rule_that_leaves_a_path_out(shell: Shell, project: Path) -> None:
    (project / "helper.py").write_text("x = 1")
    (project / "big.csv").write_text("1,2")
    (project / "book.ipynb").write_text("{}")
    plan = shell.run("%flame_runner package --dry-run --exclude *.csv").value
    assert "helper.py" in repr(plan)
    rows = {row.path: row for row in plan.rows}
    assert rows["helper.py"].is_included
    assert not rows["big.csv"].is_included
    assert "*.csv" in rows["big.csv"].rule
    assert not rows["book.ipynb"].is_included
    assert "big.csv" in plan._repr_html_()


def test_modules_beside_the_notebook_reach_the_worker(shell: Shell, project: Path) -> None:
    (project / "helper.py").write_text("def triple(x):\n    return 3 * x\n")
    (project / "data.txt").write_text("seven")
    shell.run(
        "%%flame_service use\ndef use(x):\n    from helper import triple\n    return triple(x), open('data.txt').read()"
    )
    assert shell.run("use(2).get()").value == (6, "seven")


def test_an_edited_module_makes_an_unchanged_cell_a_new_service(shell: Shell, project: Path) -> None:
    helper = project / "helper.py"
    helper.write_text("FACTOR = 3\n")
    cell = "%%flame_service use\ndef use(x):\n    from helper import FACTOR\n    return FACTOR * x"
    shell.run(cell)
    shell.run(cell.replace("use", "other"))
    assert shell.run("use(2).get()").value == 6
    helper.write_text("FACTOR = 40\n")
    printed = shell.run(cell).printed
    assert "use: redefined" in printed
    assert "because helper.py changed" in printed
    assert "helper.py changed: run the cells of other again" in printed
    assert shell.run("use(2).get()").value == 80
    (project / "data.csv").write_text("1,2")
    assert "use: unchanged" in shell.run(cell).printed
    assert "because helper.py changed" in shell.run(cell.replace("use", "other")).printed
    assert shell.run("other(2).get()").value == 80


def test_a_package_over_the_limit_names_the_biggest_files(shell: Shell, project: Path) -> None:
    (project / "huge.bin").write_bytes(b"x" * 5000)
    said = shell.mistake("%flame_runner start --max-size 2k")
    assert "huge.bin" in said
    assert "--exclude 'huge.bin'" in said
    assert "raise the limit: --max-size SIZE" in said
    shell.run("%flame_runner start --max-size 2k --exclude huge.bin")


def test_the_limit_can_be_raised_beyond_the_usual_one_and_linked_files_do_not_count(
    shell: Shell, project: Path
) -> None:
    for number in range(6):
        with open(project / f"part{number}.bin", "wb") as file:
            file.truncate(18 * 2**20)  # sparse: each below the size from which files are linked
    with open(project / "table.bin", "wb") as file:
        file.truncate(300 * 2**20)
    plan = shell.run("%flame_runner package --dry-run").value
    assert "linked, does not count" in repr(plan)
    assert plan.nbytes == 6 * 18 * 2**20
    assert "more than 100 MB" in shell.mistake("%flame_runner start")
    shell.run("%flame_runner start --max-size 200M")


def test_quiet_prints_nothing(shell: Shell) -> None:
    assert shell.run(SQUARE.replace("square\n", "square --quiet\n", 1)).printed == ""
    assert shell.run("%flame_runner stop --quiet").printed == ""
    shell.run("%config FlameMagics.quiet = True")
    assert shell.run(SQUARE).printed == ""


# -- errors of calls


def test_a_failed_call_shows_one_traceback_with_the_lines_of_the_cells(shell: Shell) -> None:
    shell.run("def check(a):\n    assert a > 1, 'too small'\n    return a")
    shell.run("%%flame_service f\ndef f(a):\n    # a comment\n    return check(a)")
    result = shell.run_any("future = f(1)\nfuture.get()")
    printed = result.printed
    assert isinstance(result.error, AssertionError)
    assert "Cell In[2], line 4, in f" in printed
    assert "---->   4     return check(a)" in printed
    assert "Cell In[1], line 2, in check" in printed
    assert "called from Cell In[3], line 2: future.get()" in printed
    assert printed.rstrip().endswith("AssertionError: too small")
    assert printed.count("Traceback") == 1
    assert "flamepy" not in printed


def test_a_function_among_the_arguments_is_shown_with_its_line(shell: Shell) -> None:
    shell.run("%%flame_service call\ndef call(function):\n    return function()")
    printed = shell.run_any("# a comment\ncall(\n    lambda: 1 / 0\n).get()").printed
    assert "Cell In[2], line 3, in <lambda>" in printed
    assert "---->   3     lambda: 1 / 0" in printed


def test_a_call_in_the_body_of_a_service_cell_shows_the_line_of_that_cell(shell: Shell) -> None:
    shell.run("%%flame_service half\ndef half(x):\n    return 1 / x")
    printed = shell.run_any("%%flame_service f\ndef f():\n    pass\n\nhalf(0).get()").printed
    assert "called from Cell In[2], line 5: half(0).get()" in printed
    assert printed.count("called from") == 1


def test_an_error_of_flamepy_itself_shows_the_users_line_and_the_cure(shell: Shell) -> None:
    shell.run("%%flame_service f\nimport os\ndef f():\n    os._exit(3)")
    printed = shell.run_any("f().get()").printed
    assert "---->   1 f().get()" in printed
    assert "exit code 3" in printed
    assert "raise an exception instead" in printed
    assert "object_future.py" not in printed


def test_full_tracebacks_show_everything(shell: Shell) -> None:
    shell.run("%config FlameMagics.full_tracebacks = True")
    shell.run(COUNTER)
    printed = shell.run_any("Counter.add(-1).get()").printed
    assert "object_future.py" in printed
    assert "a is negative" in printed
