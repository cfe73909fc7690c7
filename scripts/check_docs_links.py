# SPDX-License-Identifier: Apache-2.0
"""Does every link in the documentation lead somewhere? Files and headings of this project; the network is not asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts.markdown import anchors, links, pages, text_of

ROOT = Path(__file__).resolve().parent.parent


def broken_links(root: Path) -> Iterator[str]:
    """One line for each link that leads nowhere: page, target, and what is wrong with it."""
    for page in pages(root):
        for target in links(text_of(page)):
            problem = problem_with(page, target, root)
            if problem:
                yield f"{page.relative_to(root)}: {target}: {problem}"


def problem_with(page: Path, target: str, root: Path) -> str | None:
    """What is wrong with a link of a page, or None."""
    url = urlsplit(target)
    if url.scheme or url.netloc:
        return None
    file = (page.parent / unquote(url.path)).resolve() if url.path else page
    if not file.is_relative_to(root):
        return "leads out of the project"
    if not file.exists():
        return "no such file"
    if url.fragment and file.suffix in (".md", ".ipynb") and url.fragment not in anchors(text_of(file)):
        return f"no heading of that name in {file.relative_to(root)}"
    return None


def main() -> int:
    broken = list(broken_links(ROOT))
    for line in broken:
        print(line, file=sys.stderr)
    if broken:
        print(f"{len(broken)} broken links: correct the target, or add what it names.", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
