# SPDX-License-Identifier: Apache-2.0
"""What a failed call shows in a notebook: one traceback, at the lines of the cells."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from flame_jupyter.tracebacks.render import MAX_FRAMES, ShownFrame, causes_in, library_of, shortened, summary
from tests.notebook.shells import Shell

SERVICES = """%%flame_service check
def check(a):
    if a < 0:
        raise ValueError(f"{a} is negative")
    return a"""

# -- each error of flamepy, as a user meets it: the cells before, the cell, its kind, and words of what and of the cure

EACH_ERROR = [
    pytest.param(["call = stuck()"], "call.get(timeout=0)", "CallTimeout", ["no result after 0 s", "cancel()"]),
    pytest.param(["call = stuck(); call.cancel()"], "call.get()", "CallCancelled", ["was cancelled", "Call it again"]),
    pytest.param(["%flame_runner stop --cancel"], "check(1)", "RunnerClosed", ["stopped", "Run the cell"]),
    pytest.param(["import threading"], "check(threading.Lock())", "NotPicklable", ["lock", "Create it inside"]),
    pytest.param([], "lock().get()", "NotPicklable", ["lock raised NotPicklable", "Create it inside"]),
    pytest.param([], "runner.get(check(1))", "InvalidArgument", ["list of futures", "give [future]"]),
    pytest.param(["import flamepy"], "flamepy.get_session('nope')", "NotFound", ["nope"]),
    pytest.param(["import flamepy"], "flamepy.Runner(runner.name, fail_if_exists=True)", "AlreadyExists", ["name"]),
    pytest.param(["import flamepy"], "flamepy.Runner('x', root='not-there')", "PackageError", ["not-there"]),
    pytest.param([], "dies().get()", "WorkerLost", ["exit code 3", "raise an exception instead"]),
    pytest.param(
        ["Keeper.lock().wait(); Keeper.dies().wait()"], "Keeper.look().get()", "StateLost", ["Keeper", "__getstate__"]
    ),
    pytest.param([], "check(check(-1)).get()", "DependencyFailed", ["did not run", "ValueError: -1 is negative"]),
    pytest.param([], "odd().get()", "TaskFailed", ["Odd", "could not travel"]),
    pytest.param(
        ["import flamepy"], "flamepy.FlameContext('no.yaml')", "InvalidConfig", ["no.yaml", "Correct the path"]
    ),
    pytest.param(
        ["import flamepy; flamepy.shutdown()"], "check(1)", "RunnerClosed", ["Run the cell that defines check again"]
    ),
]
MORE_SERVICES = [
    "%%flame_service stuck\ndef stuck():\n    import threading\n    threading.Event().wait()",
    "%%flame_service lock\ndef lock():\n    import threading\n    return threading.Lock()",
    "%%flame_service dies\ndef dies():\n    import os\n    os._exit(3)",
    """%%flame_service odd
def odd():
    import threading
    class Odd(Exception):
        pass
    error = Odd("no")
    error.lock = threading.Lock()
    raise error""",
    """%%flame_service Keeper
class Keeper:
    def look(self):
        return 1
    def lock(self):
        import threading
        self.lock_ = threading.Lock()
    def dies(self):
        import os
        os._exit(4)""",
]


@pytest.fixture
def services(shell: Shell) -> Iterator[Shell]:
    for cell in (SERVICES, *MORE_SERVICES, "runner = %flame_runner"):
        shell.run(cell)
    yield shell
    shell.run("%flame_runner stop --cancel")


@pytest.mark.parametrize(("before", "cell", "kind", "words"), EACH_ERROR)
def test_each_error_is_one_traceback_of_the_users_lines_and_ends_with_the_cure(
    services: Shell, before: list[str], cell: str, kind: str, words: list[str]
) -> None:
    for each in before:
        services.run(each)
    result = services.run_any(cell)
    assert kind in [each.__name__ for each in type(result.error).__mro__]
    printed = result.printed
    assert printed.count("Traceback (") <= 1
    assert cell in printed
    assert "flamepy/" not in printed
    assert "flame_jupyter" not in printed
    said = printed.rstrip().rpartition("\n\n")[2]
    assert all(word in said for word in words), said
    assert said.rstrip().endswith((".", ")", "negative")), said


FAILED = [
    pytest.param("check(-1)", "ValueError: -1 is negative", id="user code raises"),
    pytest.param("dies()", "WorkerLost: worker", id="worker lost"),
    pytest.param("check(check(-1))", "DependencyFailed: check did not run", id="argument failed"),
    pytest.param("odd()", "Odd: no", id="exception cannot travel"),
    pytest.param("lock()", "NotPicklable: the result", id="result cannot travel"),
]


@pytest.mark.parametrize(("call", "headline"), FAILED)
def test_the_display_of_a_failed_call_says_once_what_went_wrong(services: Shell, call: str, headline: str) -> None:
    services.run(f"future = {call}; future.wait()")
    data = displayed(services, "future")
    for kind in ("text/plain", "text/html"):
        assert data[kind].count(headline) == 1, data[kind]
        assert "flamepy/" not in data[kind]


# -- frames


def test_of_a_library_the_innermost_frame_is_shown(shell: Shell) -> None:
    shell.run("%%flame_service parse\nimport json\ndef parse(text):\n    return json.loads(text)")
    printed = shell.run_any("parse('{').get()").printed
    assert "---->   4     return json.loads(text)" in printed
    assert "... 2 frames inside json ..." in printed
    assert "raw_decode" not in printed.partition("... 2 frames")[0]
    assert "json/decoder.py:" in printed
    assert isinstance(shell.run_any("parse('{').get()").error, ValueError)


def test_a_callback_below_a_library_is_shown_without_the_library(shell: Shell) -> None:
    cell = "%%flame_service parse\nimport json\ndef hook(pairs):\n    return 1 / 0\n"
    shell.run(cell + "def parse(text):\n    return json.loads(text, object_hook=hook)")
    printed = shell.run_any("parse('{}').get()").printed
    assert "Cell In[1], line 6, in parse" in printed
    assert "... 3 frames inside json ..." in printed
    assert "---->   4     return 1 / 0" in printed
    assert "decoder.py" not in printed


def test_a_module_of_the_project_is_shown_with_its_line(shell: Shell, project: Path) -> None:
    (project / "helper.py").write_text("def half(x):\n    return 1 / x\n")
    shell.run("%%flame_service use\ndef use(x):\n    from helper import half\n    return half(x)")
    printed = shell.run_any("use(0).get()").printed
    assert f"File {project}/helper.py:2, in half" in printed
    assert "        1 def half(x):\n---->   2     return 1 / x" in printed
    assert "Cell In[1], line 4, in use" in printed
    (project / "helper.py").write_text("# edited\ndef half(x):\n    return 1 / x\n")
    shell.run("use(1)")
    stale = shell.run_any("use(0).get()").printed
    assert ":2, in half\n---->   2     return 1 / x\n\n" in stale, "the line that has run, not what stands there now"


def test_a_recursion_is_shown_in_a_few_frames(shell: Shell) -> None:
    shell.run("%%flame_service deep\ndef deep(n):\n    return deep_(n)\ndef deep_(n):\n    return deep_(n + 1)")
    printed = shell.run_any("deep(0).get()").printed
    assert printed.count("---->") <= MAX_FRAMES
    assert "frames more ..." in printed
    assert "RecursionError" in printed


def test_what_an_exception_was_raised_from_is_told(shell: Shell) -> None:
    cell = "%%flame_service look\ndef look(key):\n    try:\n        return {}[key]\n    except KeyError as error:\n"
    shell.run(cell + "        raise LookupError('no such thing') from error")
    printed = shell.run_any("look('x').get()").printed
    assert "\ncaused by KeyError: 'x'\n" in printed
    assert printed.rstrip().endswith("LookupError: no such thing")


def test_notes_of_an_exception_are_shown(shell: Shell) -> None:
    cell = "%%flame_service noted\ndef noted():\n    error = ValueError('no')\n    error.__notes__ = ['try 2']\n"
    shell.run(cell + "    raise error")
    assert shell.run_any("noted().get()").printed.rstrip().endswith("ValueError: no\ntry 2")


# -- the exception itself


def test_except_takes_the_users_type_and_the_root(shell: Shell) -> None:
    shell.run(SERVICES)
    cell = "try:\n    check(-1).get()\nexcept {} as error:\n    print(type(error).__name__, error.args)"
    assert shell.run(cell.format("ValueError")).printed == "ValueError ('-1 is negative',)\n"
    assert shell.run(cell.format("flamepy.FlameError").replace("try", "import flamepy\ntry", 1)).printed


def test_an_argument_that_failed_shows_the_frames_of_the_call_that_failed(shell: Shell) -> None:
    """The first failing call's own lines, not those of the call that never ran."""
    shell.run(SERVICES)
    printed = shell.run_any("check(check(check(-1))).get()").printed
    assert "Cell In[1], line 4, in check" in printed
    assert '---->   4         raise ValueError(f"{a} is negative")' in printed
    assert printed.rstrip().endswith("failed with ValueError: -1 is negative")


# -- many


def test_wait_tells_each_kind_of_failure_once(shell: Shell) -> None:
    shell.run(SERVICES)
    shell.run("calls = [check(a) for a in (1, -1, -2, None)]")
    printed = shell.run("%flame_runner wait calls").printed
    assert "4 calls ended: 1 succeeded, 3 failed." in printed
    assert "Failed: 2 ValueError (first: check(-1) #" in printed
    assert printed.partition("Failed:")[2].partition("\n")[0].count("is negative") == 1
    assert "1 TypeError (first: check(None) #" in printed


def test_full_tracebacks_show_what_is_left_out_otherwise(shell: Shell) -> None:
    shell.run("%config FlameMagics.full_tracebacks = True")
    shell.run("%%flame_service parse\nimport json\ndef parse(text):\n    return json.loads(text)")
    printed = shell.run_any("parse('{').get()").printed
    assert "in decode" in printed
    assert "in raw_decode" in printed
    assert "frames inside" not in printed


@pytest.mark.parametrize(
    "cell",
    [
        "boom(0).get()",
        "boom(0).result()",
        "runner.get([boom(0)])",
        "await boom(0)",
        "import asyncio\nawait asyncio.wait_for(boom(0), 60)",
        "boom(__import__('threading').Lock())",
        "Keeper.nope",
        "from concurrent.futures import as_completed\n[f.result() for f in as_completed([boom(0).as_concurrent()])]",
    ],
)
def test_a_debugger_begins_at_the_users_line(
    booms: Shell, cell: str, monkeypatch: pytest.MonkeyPatch, bare_shell: InteractiveShell
) -> None:
    assert booms.run_any(cell).error is not None
    monkeypatch.setattr("builtins.input", lambda _prompt="": "q")
    printed = booms.run("%debug").printed
    assert re.match(r"> .*ipython-input|> <ipython|> .*\(\d+\)<(module|cell line|listcomp)", printed), printed
    assert "flamepy" not in printed
    bare_shell.call_pdb = True
    try:
        printed = booms.run_any(cell).printed
    finally:
        bare_shell.call_pdb = False
    assert "flamepy/" not in printed.partition("\n> ")[2]


@pytest.fixture
def booms(shell: Shell) -> Iterator[Shell]:
    """Calls that fail: with one exception, with several."""
    shell.run("%%flame_service boom\ndef boom(x):\n    return 1 / x")
    shell.run("%%flame_service Keeper\nclass Keeper:\n    def look(self):\n        return 1")
    shell.run("runner = %flame_runner")
    yield shell
    shell.run("%xmode Context")
    shell.run("%flame_runner stop --cancel")


def test_xmode_says_how_much_is_shown(booms: Shell) -> None:
    cell = "boom(0).get()"
    booms.run("%xmode Minimal")
    assert booms.run_any(cell).printed.strip() == booms.run_any(cell).printed.strip().splitlines()[-1]
    booms.run("%xmode Plain")
    plain = booms.run_any(cell).printed
    assert "---->   3     return 1 / x" in plain
    assert "def boom" not in plain
    booms.run("%xmode Verbose")
    verbose = booms.run_any("def ask(divisor):\n    return boom(divisor).get()\nask(0)").printed
    assert "---->   3     return 1 / x" in verbose
    assert "ask(divisor=0)" in verbose
    assert "flamepy/" not in verbose


def test_a_line_that_several_frames_stand_on_is_told_once(booms: Shell) -> None:
    printed = booms.run_any("def ask(calls):\n    return [each.get() for each in calls]\nask([boom(0)])").printed
    assert printed.count("called from") == 2
    assert printed.index("line 3: ask([boom(0)])") < printed.index("line 2: return [each.get() for each in calls]")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups came with Python 3.11")
def test_a_group_is_as_short_as_any_error(booms: Shell) -> None:
    cell = "%%flame_service group\ndef group():\n    inner = ExceptionGroup('in', [KeyError('b')])\n"
    booms.run(cell + "    raise ExceptionGroup('two', [ValueError('a'), inner])")
    result = booms.run_any("group().get()")
    assert type(result.error).__name__ == "ExceptionGroup"
    assert result.printed.count("Traceback (on the worker)") == 1
    assert "Cell In[4], line 4, in group" in result.printed
    assert result.printed.endswith("  - ValueError: a\n  - ExceptionGroup: in (1 sub-exception)\n    - KeyError: 'b'\n")
    many = "import asyncio\nasync with asyncio.TaskGroup() as tasks:\n"
    printed = booms.run_any(many + "    for _ in range(2): tasks.create_task(asyncio.wait_for(boom(0), 60))").printed
    assert "flamepy/" not in printed


def test_an_await_that_was_given_up_says_that_the_call_goes_on(booms: Shell) -> None:
    booms.run("%%flame_service stuck\ndef stuck():\n    import threading\n    threading.Event().wait()")
    result = booms.run_any("import asyncio\nawait asyncio.wait_for(stuck(), 0.05)")
    assert isinstance(result.error, (TimeoutError, asyncio.TimeoutError))
    assert "---->   2 await asyncio.wait_for(stuck(), 0.05)" in result.printed
    assert result.printed.rstrip().endswith("goes on. Await it again, or end it with cancel().")
    assert ".py" not in result.printed


def test_an_error_of_the_users_own_with_a_failed_call_as_its_cause_shows_no_machinery(booms: Shell) -> None:
    cell = "try:\n    boom(0).get()\nexcept ZeroDivisionError as error:\n    raise LookupError('no such') from error"
    printed = booms.run_any(cell).printed
    assert "LookupError: no such" in printed
    assert "flamepy/" not in printed


# -- the pure parts


@pytest.mark.parametrize(
    ("filename", "library"),
    [
        ("/env/lib/python3.11/site-packages/numpy/core/_methods.py", "numpy"),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "yaml"),
        ("/usr/lib/python3.11/json/decoder.py", "json"),
        ("/usr/lib64/python3.10/threading.py", "threading"),
        ("<frozen importlib._bootstrap>", "importlib"),
        ("/srv/project/lib/python.py", ""),
        ("/srv/project/helper.py", ""),
        ("<dynamic-code>", ""),
    ],
)
def test_a_library_is_known_by_where_its_file_lies(filename: str, library: str) -> None:
    assert library_of(filename) == library


def test_frames_of_libraries_are_folded() -> None:
    mine, theirs = ShownFrame("Cell In[1]", "f", 1), ShownFrame("lib.py", "g", 2, library="lib")
    last = ShownFrame("lib.py", "h", 3, library="lib")
    assert shortened([mine]) == [mine]
    assert shortened([mine, last]) == [mine, last]
    assert [each.place for each in shortened([mine, theirs, theirs, mine])] == [
        "Cell In[1]", "... 2 frames inside lib ...", "Cell In[1]",
    ]  # fmt: skip
    assert shortened([theirs, last])[-1] is last
    assert len(shortened([mine] * 500)) == MAX_FRAMES + 1


def test_causes_are_read_from_a_traceback() -> None:
    first, second = "Traceback (most recent call last):\nKeyError: 'x'\n", "Traceback (most recent call last):\nE: y\n"
    direct = "\nThe above exception was the direct cause of the following exception:\n\n"
    handling = "\nDuring handling of the above exception, another exception occurred:\n\n"
    assert causes_in(first) == ()
    assert causes_in(first + direct + second) == ("caused by KeyError: 'x'",)
    assert causes_in(first + handling + second + direct + second) == ("caused by E: y", "while handling KeyError: 'x'")


def test_a_summary_names_a_few_kinds() -> None:
    assert summary([]) == ""
    failures = [("A", "a1"), ("B", "b1"), ("A", "a2"), ("C", "c"), ("D", "d"), ("E", "e")]
    assert summary(failures) == "2 A (first: a1), 1 B (first: b1), 1 C (first: c), 2 of other kinds"


def displayed(shell: Shell, expression: str) -> dict[str, Any]:
    """What a front end is given for the value of a cell."""
    with capture_output(display=True) as captured:
        shell.ip.run_cell(expression)
    assert len(captured.outputs) == 1
    data: dict[str, Any] = captured.outputs[0].data
    return data


def test_an_error_that_is_caught_is_the_users(shell: Shell) -> None:
    shell.run("class Refused(ValueError):\n    code = 404\n    def __str__(self): return f'own words: {self.args}'")
    shell.run("%%flame_service refuse\ndef refuse(*args):\n    raise Refused(*args)")
    cell = "try: refuse(1, 'b').get()\nexcept Refused as error: print(error, error.args, error.code)"
    assert "own words: (1, 'b') (1, 'b') 404" in shell.run(cell).printed


def test_a_breakpoint_in_a_call_is_one_line_that_says_how_to_debug(shell: Shell) -> None:
    shell.run("%%flame_service stops\ndef stops():\n    breakpoint()\n    return 1")
    result = shell.run_any("stops().get()")
    assert result.error is not None
    assert "a worker has no terminal" in result.printed
    assert "stops.local(...)" in result.printed
    assert "bdb.py" not in result.printed


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("def f(x) return x\n", "SyntaxError", ["def f(x) return x", "helping.py:1"]),
        ("1\nraise RuntimeError('set KEY first')\n", "RuntimeError", ["set KEY first", "helping.py:2"]),
        ("import not_installed_anywhere\n", "ModuleNotFoundError", ["not_installed_anywhere", "helping.py:1"]),
    ],
    ids=["syntax", "raises", "missing"],
)
def test_a_helper_module_that_does_not_import_is_told_as_its_own_error(
    shell: Shell, project: Path, monkeypatch: pytest.MonkeyPatch, text: str, kind: str, shown: list[str]
) -> None:
    (project / "helping.py").write_text("def f(x): return x\n")
    monkeypatch.syspath_prepend(project)
    monkeypatch.setitem(sys.modules, "helping", ModuleType("helping"))  # restores what was there
    shell.run("import importlib, sys; del sys.modules['helping']; import helping")
    shell.run("%%flame_service uses\ndef uses(x): return helping.f(x)")
    (project / "helping.py").write_text(text)
    shell.run_any("%%flame_service uses\ndef uses(x): return helping.f(x)")
    result = shell.run_any("uses(1).get()")
    assert type(result.error).__name__ == kind
    for each in shown:
        assert each in result.printed
    assert "NotPicklable" not in result.printed
