# SPDX-License-Identifier: Apache-2.0
"""The documentation site has every page in its menu, no link that leads nowhere, and needs no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.make_site import ROOT, fetched_from_network, make_site, site_pages
from scripts.markdown import plain_fences, relinked


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project with two pages and a file that one of them links to, and the settings of ours."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(f"{settings}\nnav:\n  - Start: README.md\n  - Guide: docs/guide.md\n")
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "README.md").write_text("# Start\n\n[guide](docs/guide.md#a-part), [code](tool.py)\n")
    (tmp_path / "tool.py").write_text("print(1)\n")
    (tmp_path / "docs" / "guide.md").write_text("# Guide\n\n## A part\n\n```python raises\nraise ValueError\n```\n")
    return tmp_path


def test_a_site_is_made_of_plain_files(small: Path) -> None:
    assert make_site(small) == ""
    site = small / "build" / "site"
    assert 'href="docs/guide.html#a-part"' in (site / "index.html").read_text()
    assert 'href="tool.py.source.html"' in (site / "index.html").read_text()
    assert "print" in (site / "tool.py.source.html").read_text()
    assert (site / "search" / "search_index.js").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("[gone](docs/gone.md)", "docs/gone.md", id="a page that is not there"),
        pytest.param("[gone](docs/guide.md#gone)", "#gone", id="a heading that is not there"),
        pytest.param("![gone](docs/images/gone.png)", "docs/images/gone.png", id="a picture that is not there"),
    ],
)
def test_a_link_that_leads_nowhere_is_an_error(small: Path, text: str, problem: str) -> None:
    (small / "README.md").write_text(f"# Start\n\n{text}\n")
    said = make_site(small)
    assert problem in said
    assert "The site is not made" in said


def test_a_page_that_is_in_no_menu_is_an_error(small: Path) -> None:
    (small / "docs" / "lost.md").write_text("# Lost\n")
    assert "docs/lost.md" in make_site(small)


def test_what_a_page_needs_from_the_network_is_an_error(small: Path) -> None:
    settings = small / "mkdocs.yml"
    settings.write_text(settings.read_text() + "extra_css: ['https://example.org/a.css']\n")
    assert "needs https://example.org/a.css" in make_site(small)


def test_links_to_the_network_are_no_need_of_it() -> None:
    page = '<link rel="canonical" href="https://a.org"><a href="https://b.org"></a><img src="c.png">'
    assert fetched_from_network(page) == []


def test_notebooks_become_pages() -> None:
    pages = site_pages(ROOT)
    assert "%load_ext flame_jupyter" in pages["notebooks/quickstart.md"]
    assert "(notebooks/quickstart.md)" in pages["README.md"]


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("[a](b.md)", "[a](B.MD)"),
        ("[`a` c](b.md)", "[`a` c](B.MD)"),
        ("[![a](b.png)](c.md)", "[![a](B.PNG)](C.MD)"),
        ("`[a](b.md)`", "`[a](b.md)`"),
        ("```\n[a](b.md)\n```", "```\n[a](b.md)\n```"),
    ],
)
def test_links_are_rewritten_outside_of_code(text: str, rewritten: str) -> None:
    assert relinked(text, str.upper) == rewritten


def test_a_fence_keeps_its_language_alone() -> None:
    text = "```python raises\n1\n```\n\n````\n```sh run\n````\n"
    assert plain_fences(text) == "```python\n1\n```\n\n````\n```sh run\n````\n"
