# SPDX-License-Identifier: Apache-2.0
"""The project as a stranger gets it: links lead somewhere, locks and sources know no machine, a name has one home."""

from __future__ import annotations

import ast
import importlib
import itertools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.check_docs_links import broken_links, problem_with
from scripts.demo import links_from
from scripts.markdown import anchors, code_blocks, links, pages, text_of

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
BUILT = {"__pycache__", "build", "dist"}
PINNED = ["flamepy/core/cache.py", "flamepy/runner/types.py"]
TEXT_SUFFIXES = {
    ".cfg", ".css", ".in", ".ipynb", ".js", ".json", ".md", ".proto", ".py", ".pyi", ".sh", ".svg", ".toml", ".txt",
    ".yaml", ".yml",
}  # fmt: skip
# A home directory with a name in it, or the places where checkouts and mounts of one machine lie.
MACHINE_PATH = re.compile(r"/(?:home|Users)/[a-z][\w.-]*/|/root/|(?<![\w.])/work/")


def project_files() -> Iterator[Path]:
    """Every file of ours: not what was built, and not the hidden directories of tools (but the gate, .ci, is ours)."""
    for directory, below, files in os.walk(ROOT):
        below[:] = [name for name in below if name == ".ci" or not (name.startswith(".") or name in BUILT)]
        yield from (Path(directory, name) for name in files)


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    assert list(broken_links(ROOT)) == []


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("missing.md", "no such file"),
        ("page.md#nowhere", "no heading of that name in page.md"),
        ("#nowhere", "no heading of that name in page.md"),
        ("../outside.md", "leads out of the project"),
        ("page.md#what-it-is-1", None),
        ("with%20space.md", None),
        ("https://example.org/page.md", None),
    ],
)
def test_a_broken_link_is_told_from_a_good_one(tmp_path: Path, target: str, problem: str | None) -> None:
    page = tmp_path / "page.md"
    page.write_text("# What it *is*\n\n# What it is\n")
    (tmp_path / "with space.md").touch()
    assert problem_with(page, target, tmp_path) == problem


def test_links_in_code_are_text() -> None:
    text = "[a](a.md) `[b](b.md)`\n\n```md\n[c](c.md)\n```\n\n[![d](d.svg)](e.md)\n<img src='f.png'>\n"
    assert links(text) == ["a.md", "d.svg", "e.md", "f.png"]


def test_headings_in_code_are_no_anchors() -> None:
    assert anchors("# One, two\n```sh\n# three\n```\n<a id='four'></a>\n") == {"one-two", "four"}


def test_a_code_block_knows_its_line() -> None:
    (block,) = code_blocks("one\n\n```python norun\nx = 1\n```\n")
    assert (block.info, block.code, block.line) == ("python norun", "x = 1\n", 4)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_pins_every_package_and_names_no_host(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    unpinned = [line for line in lines if not re.match(r"^[a-z0-9][a-z0-9.-]*==\d[\w.!+]*( ; .+)?$", line)]
    assert unpinned == []  # an option (an index, a file, a path) is not a pin either


def test_every_dependency_is_locked() -> None:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = toml.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *itertools.chain.from_iterable(project["optional-dependencies"].values())]
    names = {re.split(r"[<>=!~ \[]", requirement)[0].lower() for requirement in wanted}
    locked = {line.split("==")[0] for lock in LOCKS for line in lock.read_text().splitlines() if "==" in line}
    assert "cloudpickle" in names
    assert names - locked == set()


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in project_files()
        if path.suffix in TEXT_SUFFIXES and path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def test_every_source_file_opens_with_its_licence_and_its_place() -> None:
    bare = []
    for path in project_files():
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            if not text.startswith("# SPDX-License-Identifier: Apache-2.0\n") or not ast.get_docstring(ast.parse(text)):
                bare.append(str(path.relative_to(ROOT)))
    assert bare == []


@pytest.mark.parametrize("home", PINNED)
def test_a_pinned_home_imports_only_the_standard_library(home: str) -> None:
    names = set()
    for node in ast.walk(ast.parse((ROOT / home).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add((node.module or "").split(".")[0])
    assert names - sys.stdlib_module_names - {"__future__"} == set()


def test_each_public_class_and_function_has_one_home() -> None:
    """``flamepy.X`` is the very object that the module which defines it has, and no two names stand for one object."""
    flamepy = importlib.import_module("flamepy")
    assert len(flamepy.__all__) == len(set(flamepy.__all__))
    seen: dict[int, str] = {}
    for name in flamepy.__all__:
        thing = getattr(flamepy, name)
        module = getattr(thing, "__module__", None)
        if not (isinstance(thing, type) or callable(thing)) or not str(module).startswith("flamepy"):
            continue
        assert id(thing) not in seen, f"flamepy.{name} is flamepy.{seen[id(thing)]}: one thing, one public name"
        seen[id(thing)] = name
        home = importlib.import_module(str(module))
        assert getattr(home, thing.__name__) is thing, f"flamepy.{name} is not where it says: {module}.{thing.__name__}"


def test_every_picture_is_shown_by_a_page() -> None:
    """These are among them: pending, running, done, failed, progress, panel, inspector, dark."""
    shown = {(page.parent / link).resolve() for page in pages(ROOT) for link in links(text_of(page))}
    assert sorted(set((ROOT / "docs" / "images").iterdir()) - shown) == []


def test_the_page_of_the_demo_links_to_what_lies_beside_the_notebook() -> None:
    links_of_page = '<a href="digits_search.ipynb">1</a> <a href="#Stop">2</a> <a href="https://jupyter.org">3</a>'
    assert links_from(ROOT / "build" / "demo", links_of_page) == links_of_page.replace(
        "digits_search", "../../notebooks/digits_search"
    )


@pytest.mark.parametrize("package", ["flamepy", "flame_jupyter"])
def test_a_type_checker_may_read_our_annotations(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
