# SPDX-License-Identifier: Apache-2.0
"""The pages of the documentation are executed documents: what they say happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flame_jupyter.lines import SUBCOMMANDS, ExportLine, RunnerLine, ServiceLine
from flame_jupyter.options import flags_of
from scripts.markdown import code_blocks
from scripts.run_doc_examples import ROOT, ExampleFailed, examples, is_shown, run, runnable_pages

PAGES = runnable_pages(ROOT)
RUN_ELSEWHERE = "run-in-ci-with-papermill"  # by sessions/test_notebooks.py, which reads what its commands leave

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != RUN_ELSEWHERE], ids=lambda page: page.stem)
def test_the_examples_of_a_page_do_what_it_says(page: Path, private_home: Path) -> None:
    blocks = examples(page)
    assert blocks, f"{page.name} has no example that is run"
    run(blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_python_example_of_a_page_is_run(page: Path) -> None:
    python = [block for block in code_blocks(page.read_text(encoding="utf-8")) if block.info.startswith("python")]
    assert [block.line for block in python if block not in examples(page)] == []


def test_the_reference_names_every_word_of_the_magics() -> None:
    code = "".join(re.findall(r"`[^`\n]+`", (ROOT / "docs" / "reference" / "magics.md").read_text(encoding="utf-8")))
    options = {flag for each in (RunnerLine, ServiceLine, ExportLine) for flag in flags_of(each)}
    words = {*SUBCOMMANDS, *options}
    assert {word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", code)} == set()


@pytest.mark.parametrize(
    ("said", "is_there"),
    [
        ("a b", True),
        ("a  b\n", True),
        ("a", False),
        ("...\na b", True),
        ("a...", True),
        ("... b", True),
        ("a. b", False),
    ],
)
def test_three_dots_stand_for_anything_or_nothing(said: str, is_there: bool) -> None:
    assert is_shown(said, "a\n b\n") is is_there


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("```python raises\n1 + 1\n```", "line 2: should raise", id="an error that does not come"),
        pytest.param("```python\n1 + 1\n```\n```text shown\n3\n```", r"line 5 says\n3\n.*\n2\n", id="another output"),
    ],
)
def test_a_page_that_promises_what_does_not_happen_is_found(
    source: str, said: str, tmp_path: Path, private_home: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(source)
    with pytest.raises(ExampleFailed, match=f"(?s){said}"):
        run(examples(page))
