# SPDX-License-Identifier: Apache-2.0
"""Make the documentation site, build/site: plain files, with a menu and search. Fails on a link that leads nowhere.

The pages lie where readers of the repository look for them, also beside the code. So they are copied to one directory,
as they lie in the repository; notebooks, and files that pages link to, become pages of it. ``mkdocs.yml`` has the menu.
"""

from __future__ import annotations

import functools
import os
import posixpath
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nbconvert import MarkdownExporter

from scripts.markdown import links, plain_fences, relinked

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md", "docs/**/*.md", "notebooks/*.ipynb")
PICTURES = (".png", ".svg", ".gif")
_LANGUAGES = {".py": "python", ".toml": "toml", ".txt": "text", ".sh": "sh", ".js": "js", ".css": "css", ".yml": "yaml"}
_FETCHED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "srcset"}


def site_pages(root: Path) -> dict[str, str]:
    """Path in the site -> Markdown of each page, those of the repository first, then of the files that they link to."""
    files = sorted({file.relative_to(root).as_posix() for pattern in PAGES for file in root.glob(pattern)})
    made: dict[str, str] = {}
    linked: set[str] = set()
    for path in files:
        text = _markdown_of(root / path)
        linked.update(target for target in _files_linked(root, path, text) if target not in files)
        made[_page_of(path, files)] = plain_fences(relinked(text, functools.partial(_moved, path=path, files=files)))
    for path in sorted(linked):
        made[_page_of(path, files)] = _source_page(path, (root / path).read_text(encoding="utf-8"))
    return made


def _markdown_of(file: Path) -> str:
    if file.suffix != ".ipynb":
        return file.read_text(encoding="utf-8")
    text, _ = MarkdownExporter().from_filename(str(file))
    return str(text)


def _target(link: str, path: str) -> str | None:
    """The file of the repository that a link of the page ``path`` leads to; None for the network and the page."""
    url = urlsplit(link)
    if url.scheme or url.netloc or not url.path:
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(url.path)))


def _files_linked(root: Path, path: str, text: str) -> Iterator[str]:
    for link in links(text):
        target = _target(link, path)
        if target is not None and (root / target).is_file() and not target.endswith(PICTURES):
            yield target


def _moved(link: str, path: str, files: list[str]) -> str:
    """The same link, to what the file has become."""
    target = _target(link, path)
    if target is None or target.endswith(PICTURES) or target.endswith(".md"):
        return link
    fragment = urlsplit(link).fragment
    page = posixpath.relpath(_page_of(target, files), posixpath.dirname(path) or ".")
    return f"{page}#{fragment}" if fragment else page


def _page_of(path: str, files: list[str]) -> str:
    """Where a file of the repository lies among the sources of the site."""
    if path.endswith(".md"):
        return path
    return str(Path(path).with_suffix(".md")) if path in files else f"{path}.source.md"


def _source_page(path: str, text: str) -> str:
    return f"# {path}\n\n````{_LANGUAGES.get(Path(path).suffix, 'text')}\n{text.rstrip()}\n````\n"


class _Fetched(HTMLParser):
    """What a browser fetches by itself to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _FETCHED and given.get("rel") not in ("canonical", "prev", "next"):
            self.urls.append(given.get(_FETCHED[tag]) or "")


def fetched_from_network(html: str) -> list[str]:
    """Addresses of the network that a page needs to be shown."""
    parser = _Fetched()
    parser.feed(html)
    return [url for url in parser.urls if urlsplit(url).netloc]


def make_site(root: Path) -> str:
    """Make ``build/site`` of the project in ``root``. Returns what is wrong, one line each; "" = the site is there."""
    sources, site = root / "build" / "site-sources", root / "build" / "site"
    shutil.rmtree(sources, ignore_errors=True)
    for path, text in site_pages(root).items():
        page = sources / path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    shutil.copytree(root / "docs" / "images", sources / "docs" / "images")
    shutil.copytree(ROOT / "scripts" / "site", sources / "assets")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line and not line.startswith("INFO")]
        return "\n".join([*told, "The site is not made: mend what is said above; its menu is in mkdocs.yml."])
    return "\n".join(
        f"{page.relative_to(root)} needs {url}, which is not a file of the site: leave it out."
        for page in sorted(site.rglob("*.html"))
        for url in fetched_from_network(page.read_text(encoding="utf-8"))
    )


def main() -> int:
    problems = make_site(ROOT)
    if problems:
        print(problems, file=sys.stderr)
        return 1
    print("build/site/index.html is the documentation, with every page in its menu")
    return 0


if __name__ == "__main__":
    sys.exit(main())
