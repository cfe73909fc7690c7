# SPDX-License-Identifier: Apache-2.0
"""Which files of a project code can get to, by what it and they import."""

from __future__ import annotations

from pathlib import Path

import pytest

from flame_jupyter.cells.used_files import used_paths

FILES = {
    "one.py": "import two\n",
    "two.py": "from package import part\n",
    "alone.py": "",
    "package/__init__.py": "from .inner import thing\n",
    "package/part.py": "from . import sibling\nfrom .deep.down import x\n",
    "package/sibling.py": "",
    "package/inner.py": "thing = 1\n",
    "package/deep/__init__.py": "",
    "package/deep/down.py": "from ...package import other\n",
    "package/other.py": "",
    "src/below/mod.py": "import alone\n",
    "looking.py": "import importlib\nimportlib.import_module('alo' + 'ne')\n",
    "broken.py": "import (\n",
}
PACKAGE = {"package/__init__.py", "package/inner.py"}
DEEP = {"package/deep/__init__.py", "package/deep/down.py", "package/other.py"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("numpy", set()),
        ("alone", {"alone.py"}),
        ("package.inner", PACKAGE),
        ("package.sibling", PACKAGE | {"package/sibling.py"}),
        ("package.part", PACKAGE | DEEP | {"package/part.py", "package/sibling.py"}),
        ("one", PACKAGE | DEEP | {"one.py", "two.py", "package/part.py", "package/sibling.py"}),
        ("below.mod", {"src/below/mod.py", "alone.py"}),
        ("looking", set(FILES)),
        ("broken", set(FILES)),
    ],
)
def test_a_module_leads_to_its_packages_and_to_what_they_import(root: Path, module: str, expected: set[str]) -> None:
    assert used_paths([module], FILES, root) == expected


def test_a_file_that_was_removed_leads_nowhere_but_has_been_used(root: Path) -> None:
    (root / "two.py").unlink()
    assert used_paths(["one"], FILES, root) == {"one.py", "two.py"}


def test_an_edited_file_is_read_again(root: Path) -> None:
    assert used_paths(["one"], ["one.py", "two.py", "alone.py"], root) == {"one.py", "two.py"}
    (root / "one.py").write_text("import alone, json\n")
    assert used_paths(["one"], ["one.py", "two.py", "alone.py"], root) == {"one.py", "alone.py"}
