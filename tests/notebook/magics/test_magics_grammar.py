# SPDX-License-Identifier: Apache-2.0
"""The subcommands and options of the grammar beyond start and stop, each row of it as a user types it."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flame_jupyter.lines import SUBCOMMANDS, RunnerLine
from flame_jupyter.magics.commands import _Commands
from flame_jupyter.magics.parse import parse_runner
from flame_jupyter.options import flags_of
from flame_jupyter.project.contexts import PROBE_S
from flame_jupyter.project.requirements import read_requirements
from tests.notebook.shells import Shell

WAIT_S = 30.0

SQUARE = "%%flame_service square --quiet\ndef square(x):\n    return x * x"
COUNTER = """%%flame_service Counter --quiet
class Counter:
    def __init__(self, start=0):
        self.value = start
    def add(self, n):
        self.value += n
        return self.value"""
STUCK = "%%flame_service stuck --quiet\nimport threading\ndef stuck():\n    threading.Event().wait()"


def test_every_option_belongs_to_a_subcommand_and_every_subcommand_does_something() -> None:
    assert {command for each in flags_of(RunnerLine).values() for command in each.commands} <= SUBCOMMANDS.keys()
    assert all(callable(getattr(_Commands, name)) for name in SUBCOMMANDS)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("restart --json", "--json belongs to '%flame_runner status', not to 'restart'"),
        ("services --name x", "--name belongs to '%flame_runner start' or '%flame_runner restart'"),
        ("attach", "%flame_runner attach needs a name: %flame_runner attach NAME"),
        ("attach a b", "takes no word 'b'"),
        ("logs a b", "takes no word 'b'"),
        ("use", "%flame_runner use needs a name: %flame_runner use CTX"),
        ("contexts all", "takes no word 'all'"),
        ("contexs", "did you mean 'contexts'?"),
    ],
)
def test_a_wrong_line_says_where_the_word_belongs(line: str, said: str) -> None:
    with pytest.raises(Exception, match=r".") as caught:
        parse_runner(line)
    assert type(caught.value).__name__ == "UsageError"
    assert said in str(caught.value)


# -- status


def test_status_json_is_for_scripts(shell: Shell) -> None:
    assert json.loads(shell.run("%flame_runner status --json").printed) == {"runner": None}
    shell.run("%flame_runner demo --workers 2 --quiet")
    shell.run(SQUARE)
    shell.run("square(2).get()")
    told = json.loads(shell.run("%flame_runner status --json").printed)
    assert (told["runner"], told["engine"], told["workers"]) == ("demo", "embedded", 2)
    assert told["package"]["files"] == 0
    (service,) = told["services"]
    assert (service["service"], service["kind"], service["calls"]["done"]) == ("square", "function", 1)


# -- restart


def test_restart_packages_again_and_serves_everything_anew(shell: Shell, project: Path) -> None:
    (project / "helper.py").write_text("FACTOR = 2\n")
    shell.run("before = %flame_runner start --name demo --workers 2")
    shell.run("%%flame_service use --quiet\ndef use(x):\n    from helper import FACTOR\n    return FACTOR * x")
    shell.run(COUNTER)
    shell.run("Counter.add(5).get(); old = use")
    (project / "helper.py").write_text("FACTOR = 30\n")
    printed = shell.run("after = %flame_runner restart").printed
    assert "use: redefined" in printed
    assert "Counter: redefined" in printed
    assert "state reset" in printed
    assert shell.run("use(2).get(), Counter.add(1).get()").value == (60, 1)
    assert (shell["after"].name, shell["after"].worker_limit) == ("demo", 2)
    assert shell["before"].is_closed()
    assert "Use the variable use" in str(shell.run_any("old(2)").error)


def test_restart_takes_other_options_and_calls_that_run_end_behind(shell: Shell, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    shell.run("%flame_runner start --name one --quiet")
    shell.run(f"%%flame_service slow --quiet\ndef slow():\n    return open({str(gate)!r}).read()")
    import os

    os.mkfifo(gate)
    shell.run("call = slow()")
    printed = shell.run("r = %flame_runner restart --name two").printed
    assert "1 call still running" in printed
    assert shell["r"].name == "two"
    gate.write_text("done")
    assert shell["call"].get(WAIT_S) == "done"


def test_a_restart_that_fails_leaves_everything_as_it_was(shell: Shell) -> None:
    shell.run("r = %flame_runner start --name one")
    shell.run(COUNTER)
    shell.run("Counter.add(5).get()")
    assert "no such directory" in shell.mistake("%flame_runner restart --root nowhere")
    shell.run("limit = 3")
    shell.run("%%flame_service f --quiet\ndef f():\n    return limit")
    shell.run("import threading; limit = threading.Lock()")
    assert "global 'limit'" in shell.mistake("%flame_runner restart --name two")
    assert shell.run("f().get()").value == 3
    assert shell.run("Counter.add(1).get()").value == 6
    assert not shell["r"].is_closed()
    assert shell.run("again = %flame_runner start\nagain is r").value is True


def test_restart_says_it_in_three_lines_however_many_services_there_are(shell: Shell) -> None:
    for number in range(5):
        shell.run(f"%%flame_service f{number} --quiet\ndef f{number}():\n    return {number}")
    lines = shell.run("r = %flame_runner restart").printed.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["f0", "f1", "and 3 more services, all redefined"]
    assert shell.run("f0().get(), f4().get()").value == (0, 4)


def test_restart_without_a_runner_starts_one(shell: Shell) -> None:
    shell.run("%flame_runner restart --name demo --as r")
    assert shell["r"].name == "demo"


# -- attach


def test_attach_binds_a_service_that_no_cell_of_this_notebook_defined(shell: Shell) -> None:
    shell.run("import flamepy\nother = flamepy.Runner('other')\ndef cube(x):\n    return x ** 3")
    shell.run("service = other.service(cube, name='cubes')")
    shell.run("%flame_runner attach cubes --quiet")
    assert shell.run("cubes(3).get()").value == 27
    shell.run("handle = %flame_runner attach cubes --as c")
    assert shell.run("c(2).get(), handle is c").value == (8, True)
    assert "Did you mean 'cubes'?" in shell.mistake("%flame_runner attach cubs")
    shell.run("mine = [1]")
    assert "'mine' already holds a list of yours" in shell.mistake("%flame_runner attach cubes --as mine")
    shell.run("other.close()")
    assert "None is open on this engine" in shell.mistake("%flame_runner attach cubes")


# -- wait and logs


def test_wait_guesses_the_variable_that_was_meant(shell: Shell) -> None:
    shell.run(SQUARE)
    shell.run("results = [square(1)]")
    assert "'result' is not defined. Did you mean 'results'?" in shell.mistake("%flame_runner wait result")


def test_wait_shows_progress_unless_it_is_quiet_or_all_is_over(shell: Shell) -> None:
    shell.run(STUCK)
    shell.run("call = stuck()")
    assert "0/1" in shell.run_any("%flame_runner wait call --timeout 0.8").printed
    assert "0/1" not in shell.run_any("%flame_runner wait call --timeout 0.8 --quiet").printed
    shell["call"].cancel()
    shell.run("%flame_runner wait call --quiet")
    assert shell.run("%flame_runner wait call").printed == "Flame: 1 call ended: 1 cancelled.\n"


def test_inspect_opens_the_inspector_of_one_future(shell: Shell) -> None:
    shell.run(SQUARE)
    shell.run("one = square(2); many = [square(1), square(3)]; one.get()")
    shell.run("inspector = %flame_runner inspect one")
    assert shell["inspector"].future is shell["one"]
    shell["inspector"].close()
    assert "many holds 2 futures" in shell.mistake("%flame_runner inspect many")
    assert "Did you mean 'one'?" in shell.mistake("%flame_runner inspect onne")
    assert "%flame_runner inspect VAR" in shell.mistake("%flame_runner inspect")


def test_logs_shows_what_calls_have_printed_and_no_more_than_the_limit(shell: Shell) -> None:
    shell.run("%%flame_service talk --quiet\ndef talk(n):\n    print('line', n)\n    return n")
    shell.run(SQUARE)
    assert "no output of any call" in shell.run("%flame_runner logs").printed
    shell.run("talk(0).get()")
    assert "kept as long as a variable holds the future" in shell.run("%flame_runner logs talk").printed
    shell.run("calls = [talk(i) for i in range(3)]; one = calls[0]; quiet = square(2)")
    shell.run("%flame_runner wait")
    assert shell.run("%flame_runner logs one").printed.splitlines()[1:] == ["line 0"]
    printed = shell.run("%flame_runner logs talk").printed
    assert [line for line in printed.splitlines() if line.startswith("line")] == ["line 0", "line 1", "line 2"]
    assert "talk(1)" in printed
    assert "no output of quiet" in shell.run("%flame_runner logs quiet").printed
    shell.run("number = 3")
    assert "number is no future and no service" in shell.mistake("%flame_runner logs number")
    assert "Did you mean 'talk'?" in shell.mistake("%flame_runner logs tlak")
    shell.run("%config FlameMagics.log_bytes = 10")
    printed = shell.run("%flame_runner logs").printed
    assert "earlier characters left out" in printed
    assert printed.splitlines()[-1] == "line 2"


# -- contexts


@pytest.fixture
def silent() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def configure(home: Path, port: int = 1) -> None:
    (home / ".flame").mkdir()
    (home / ".flame" / "flame.yaml").write_text(
        "current-context: here\ncontexts:\n  - name: here\n  - name: laptop\n"
        f"  - name: prod\n    cluster: {{endpoint: 'http://127.0.0.1:{port}'}}\n"
    )


def test_contexts_lists_what_is_configured_and_what_answers(shell: Shell, private_home: Path) -> None:
    assert "no configuration file" in repr(shell.run("%flame_runner contexts").value)
    configure(private_home)
    table = shell.run("%flame_runner contexts").value
    rows = [each.cells() for each in table.rows]
    assert rows == [
        ("*", "here", "this machine", "runs here"),
        ("", "laptop", "this machine", "runs here"),
        ("", "prod", "http://127.0.0.1:1", "no: Connection refused"),
    ]
    assert str(private_home) in table._repr_html_()


def test_contexts_waits_for_no_endpoint_that_is_silent(shell: Shell, private_home: Path, silent: int) -> None:
    """Another program listens there, and says nothing."""
    configure(private_home, silent)
    began_s = time.monotonic()
    row = shell.run("%flame_runner contexts").value.rows[-1]
    assert row.answer == f"no: no answer in {PROBE_S:g} s"
    assert time.monotonic() - began_s < 10 * PROBE_S, "not the half minute of a call"


def test_use_moves_the_runner_with_its_services(shell: Shell, private_home: Path) -> None:
    configure(private_home)
    assert "new services run on this machine" in shell.run("%flame_runner use here").printed
    shell.run("r = %flame_runner start")
    shell.run(SQUARE)
    shell.run(COUNTER)
    shell.run("Counter.add(2).get()")
    assert "no context 'laptpo'" in shell.mistake("%flame_runner use laptpo")
    assert "context 'prod': http://127.0.0.1:1 does not answer" in shell.mistake("%flame_runner use prod")
    assert not shell["r"].is_closed(), "what fails leaves everything as it was"
    assert "uses this machine already" in shell.run("%flame_runner use here").printed
    printed = shell.run("%flame_runner use laptop").printed
    assert printed == (
        "Flame: square and Counter now run on this machine. The state of Counter does not move: it begins anew.\n"
    )
    assert shell["r"].is_closed()
    assert [each.name for each in shell.run("%flame_runner contexts").value.rows if each.is_chosen] == ["laptop"]
    assert shell.run("square(3).get(), Counter.add(3).get()").value == (9, 3)
    assert "Runner" in repr(shell.run("%flame_runner start --cluster laptop").value), "it is there already"
    assert "stopped. New services run on this machine." in shell.run("%flame_runner use here --stop").printed
    assert "is stopped" in str(shell.run_any("square(3)").error)


def test_local_is_this_machine_without_any_file(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAME_ENDPOINT", "http://127.0.0.1:1")
    table = shell.run("%flame_runner contexts").value
    assert [each.cells()[:3] for each in table.rows] == [("*", "(FLAME_ENDPOINT)", "http://127.0.0.1:1")]
    shell.run("%flame_runner use local")
    shell.run(SQUARE)
    assert shell.run("square(3).get()").value == 9


def test_a_cluster_that_cannot_be_used_says_how_to_go_on_without(shell: Shell, private_home: Path) -> None:
    configure(private_home)
    said = shell.mistake("%flame_runner start --cluster prod")
    assert said == (
        "UsageError: context 'prod': http://127.0.0.1:1 does not answer (Connection refused): see whether it runs, and "
        "at this address. Without the cluster: --local."
    )
    assert "Did you mean 'prod'?" in shell.mistake("%flame_runner start --cluster prd")
    shell.run("%flame_runner use prod")
    assert "context 'prod'" in shell.mistake(SQUARE)
    shell.run("%flame_runner start --local --quiet")
    shell.run(SQUARE)
    assert shell.run("square(3).get()").value == 9


def test_local_wins_over_a_configured_cluster(
    shell: Shell, private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAME_ENDPOINT", "http://127.0.0.1:1")
    assert "http://127.0.0.1:1" in shell.mistake("%flame_runner start")
    shell.run("%flame_runner start --local --quiet")
    shell.run(SQUARE)
    assert shell.run("square(3).get()").value == 9


# -- what workers need


def test_deps_and_requirements_that_are_not_here_say_how_to_install_them(shell: Shell, project: Path) -> None:
    shell.run("%flame_runner start --deps pytest --deps ipython --quiet")
    shell.run("%flame_runner stop")
    said = shell.mistake("%flame_runner start --deps surely-not-installed")
    assert "-m pip install 'surely-not-installed'" in said
    (project / "needs.txt").write_text("# what it takes\npytest\n\nsurely-not-there  # why\n")
    assert "surely-not-there" in shell.mistake("%flame_runner start --requirements needs.txt")
    assert "cannot read it" in shell.mistake("%flame_runner start --requirements nope.txt")
    (project / "needs.txt").write_text("pytest\n")
    shell.run("%flame_runner start --requirements needs.txt --quiet")


def test_a_requirements_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "needs.txt"
    file.write_text("\ufeffnumpy>=2  # arrays\n\n# nothing\npandas==2.2\n")
    assert read_requirements(file) == ["numpy>=2", "pandas==2.2"]
    file.write_text("numpy\n-r more.txt\n")
    with pytest.raises(Exception, match=r"line 2: '-r more.txt' is an option of pip"):
        read_requirements(file)
    with pytest.raises(Exception, match="cannot read it: No such file"):
        read_requirements(tmp_path / "gone.txt")


def test_another_python_than_the_kernels_cannot_be_had_here(shell: Shell) -> None:
    assert "start the program with Python 2.7" in shell.mistake("%flame_runner start --python 2.7")
    shell.run(f"%flame_runner start --python {sys.version_info.major}.{sys.version_info.minor} --quiet")


# -- services on a Runner that is named


def test_a_service_runs_on_the_runner_that_it_names(shell: Shell) -> None:
    shell.run("import flamepy\nother = flamepy.Runner('second')")
    shell.run("%flame_runner start --name first --quiet")
    for word in ("other", "second"):
        shell.run(f"%%flame_service f --runner {word} --force --quiet\ndef f(x):\n    return x")
        assert [each.name for each in shell["other"].services()][-1] == "f"
        assert shell.run("f(3).get()").value == 3
    said = shell.mistake("%%flame_service f --runner secnd\ndef f(x):\n    return x")
    assert "--runner secnd: no open Runner has that name" in said
    assert "Did you mean 'second'?" in said
    shell.run("%flame_runner stop --quiet")
    assert shell.run("f(4).get()").value == 4  # the other one is the user's own


def test_the_first_service_starts_the_runner_that_it_names(shell: Shell, private_home: Path) -> None:
    configure(private_home)
    shell.run("%%flame_service f --runner demo --cluster laptop --quiet\ndef f(x):\n    return x")
    shell.run("r = %flame_runner start")
    assert shell["r"].name == "demo"
    said = shell.mistake("%%flame_service g --cluster here\ndef g(x):\n    return x")
    assert "the Runner 'demo' is open in another context" in said
    assert "%flame_runner restart --cluster here" in said
