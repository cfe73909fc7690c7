# SPDX-License-Identifier: Apache-2.0
"""Tab in the lines of the magics: what is offered where, and that a real kernel offers it and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flame_jupyter.lines import SUBCOMMANDS
from flame_jupyter.magics.complete import Spot, offered, spot_at
from tests.notebook.kernels import Kernel

NAMES = {
    "contexts": lambda: ["here", "prod"],
    "services": lambda: ["Counter", "cubes"],
    "runners": lambda: ["demo"],
    "futures": lambda: ["call", "many"],
    "outputs": lambda: ["call", "square"],
    "exported": lambda: ["pipeline", "clean"],
}


def at(text: str) -> Spot | None:
    """The spot of the cursor, which is the ``|`` in the text."""
    before, _, after = text.partition("|")
    line_number = before.count("\n")
    return spot_at(before + after, line_number, len(before.rpartition("\n")[2]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%flame_runner st|", ["start", "status", "stop"]),
        ("x = 1\nr = %flame_runner sto|", ["stop"]),
        ("flame_runner docto|", [each for each in SUBCOMMANDS if each.startswith("docto")]),
        ("%flame_runner stop --|", ["--cancel", "--wait", "--quiet"]),
        ("%flame_runner stop |", ["--cancel", "--wait", "--quiet"]),
        ("%flame_runner stop --cancel --|", ["--wait", "--quiet"]),
        ("%flame_runner start --exclude *.csv --ex|", ["--exclude"]),
        ("%flame_runner --wor|", ["--workers"]),
        ("%flame_runner --workers |", []),
        ("%flame_runner start --cluster |", ["here", "prod"]),
        ("%flame_runner use p|", ["prod"]),
        ("%flame_runner use prod |", ["--stop", "--quiet"]),
        ("%flame_runner attach C|", ["Counter"]),
        ("%flame_runner wait |", ["call", "many"]),
        ("%flame_runner wait call |", ["many"]),
        ("%flame_runner logs s|", ["square"]),
        ("%flame_runner cells --drop p|", ["pipeline"]),
        ("%%flame_service |\nclass Counter:\n    def add(self): ...\nasync def f(): ...", ["Counter", "f"]),
        ("%%flame_service Co|\nclass Counter:\n    def add(self, ", ["Counter"]),
        ("%%flame_service Counter --au|\n", ["--autoscale"]),
        ("%%flame_service Counter --runner |\n", ["demo"]),
        ("%%flame_export --q|\n", ["--quiet"]),
    ],
)
def test_what_fits_is_offered(text: str, words: list[str]) -> None:
    spot = at(text)
    assert spot is not None
    assert offered(spot, NAMES) == words


@pytest.mark.parametrize(
    "text", ["flame_runn|", "%time st|", "%%flame_service f\ndef st|", "print('%flame_runner') st|", "%flame_runner|"]
)
def test_elsewhere_nothing_is_ours(text: str) -> None:
    assert at(text) is None


# -- in a kernel


@pytest.fixture(scope="module")
def completing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for the tests below, which only ask."""
    cwd, home = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("home")
    (home / ".flame").mkdir()
    (home / ".flame" / "flame.yaml").write_text("current-context: here\ncontexts:\n  - name: here\n  - name: prod\n")
    kernel = Kernel(Path(cwd), Path(home))
    kernel.run("%load_ext flame_jupyter").check()
    kernel.run("%%flame_service square --quiet\ndef square(x):\n    return x * x").check()
    kernel.run("call = square(3); many = [square(4)]; number = 5; call.get()").check()
    yield kernel
    kernel.end()
    kernel.assert_nothing_is_left()


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%flame_runner --wor|", ["--workers"]),
        ("%flame_runner wait --|", ["--timeout", "--quiet"]),
        ("%flame_runner res|", ["restart"]),
        ("%flame_runner use |", ["here", "prod"]),
        ("%flame_runner attach s|", ["square"]),
        ("%flame_runner wait |", ["call", "many"]),
        ("%flame_runner logs sq|", ["square"]),
        ("%%flame_service Counter --a|\nclass Counter: ...", ["--as", "--autoscale"]),
        ("%%flame_service Cou|\nclass Counter: ...", ["Counter"]),
    ],
)
def test_a_front_end_gets_exactly_these_completions(completing: Kernel, text: str, words: list[str]) -> None:
    before, _, after = text.partition("|")
    reply = completing.client.complete(before + after, len(before), reply=True, timeout=30)["content"]
    assert sorted(reply["matches"]) == sorted(words)
    assert (before + after)[reply["cursor_start"] : reply["cursor_end"]] == before.split(" ")[-1]


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("magic", "said"),
    [
        ("%flame_runner?", "%flame_runner [--name NAME]"),
        ("%%flame_service?", "TARGET then holds the service"),
        ("%%flame_export?", "#| export MODULE"),
    ],
)
def test_a_question_mark_shows_the_help(completing: Kernel, magic: str, said: str) -> None:
    (page,) = completing.answer(completing.client.execute(magic))["payload"]
    assert said in page["data"]["text/plain"]
    assert "--quiet" in page["data"]["text/plain"]
