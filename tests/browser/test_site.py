# SPDX-License-Identifier: Apache-2.0
"""The documentation site as a reader has it who opened the file: no server, no network."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from scripts.make_site import ROOT, make_site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The site of ours, made of the pages that the menu has, in a directory of its own."""
    for name in ("mkdocs.yml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("docs", "notebooks", "benchmarks", "scripts", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name, target_is_directory=True)
    assert make_site(tmp_path) == ""
    return tmp_path / "build" / "site"


def test_a_site_that_was_opened_as_a_file_searches_and_shows_its_pictures(site: Path, browser: Browser) -> None:
    context = browser.new_context(offline=True)
    try:
        page = context.new_page()
        asked: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((site / "index.html").as_uri())
        page.get_by_label("Search", exact=True).first.click()
        page.keyboard.type("put_object")
        found = page.locator(".md-search-result__link[href$='#put_object']")
        expect(found).to_be_visible()
        found.click()
        expect(page.locator("h3#put_object")).to_be_in_viewport()
        page.goto((site / "docs" / "how-to" / "watch-calls.html").as_uri())
        assert page.evaluate("[...document.images].filter(each => !each.naturalWidth).map(each => each.src)") == []
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert errors == []
    finally:
        context.close()
