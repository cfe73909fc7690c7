# SPDX-License-Identifier: Apache-2.0
"""What the checks of the documentation read: the pages, their links, their anchors, their code blocks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(?P<mark>```+|~~~+)(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=mark)[ \t]*$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?(?P<target>[^)\s>]+)>?[^)]*\)")
_TARGET = re.compile(r"\]\(\s*<?(?P<target>[^)\s>]+)")

_PICTURE = re.compile(r"!\[[^\]]*\]\(\s*<?(?P<target>[^)\s>]+)>?[^)]*\)")  # may lie inside of a link
_HTML_LINK = re.compile(r"""<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset)\s*=\s*["'](?P<target>[^"'\s]+)["']""")
_REFERENCE = re.compile(r"^\[[^\]]+\]:\s*<?(?P<target>[^\s>]+)>?", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(?P<title>.+?)[ \t]*#*$", re.MULTILINE)
_HTML_ANCHOR = re.compile(r"""<[^>]+\b(?:id|name)\s*=\s*["'](?P<anchor>[^"']+)["']""")


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block. ``info``: the words after the fence, such as ``python``; ``line``: of its first code line."""

    info: str
    code: str
    line: int


def pages(root: Path) -> list[Path]:
    """Every page a reader is led to: those at the top of the tree, below docs/, and the notebooks."""
    return sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("notebooks/*.ipynb")])


def text_of(page: Path) -> str:
    """The prose of a page; of a notebook its Markdown cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def code_blocks(text: str) -> Iterator[CodeBlock]:
    for match in _FENCE.finditer(text):
        yield CodeBlock(match["info"].strip(), match["body"], text.count("\n", 0, match.start("body")) + 1)


def links(text: str) -> list[str]:
    """The targets of links and pictures outside of code, in no particular order, each once."""
    prose = _INLINE_CODE.sub("", _FENCE.sub("", text))
    kinds = (_LINK, _PICTURE, _HTML_LINK, _REFERENCE)
    return sorted({match["target"] for kind in kinds for match in kind.finditer(prose)})


def relinked(text: str, rewrite: Callable[[str], str]) -> str:
    """The text with ``rewrite(target)`` in place of the target of each link and picture outside of code."""
    code = [match.span() for kind in (_FENCE, _INLINE_CODE) for match in kind.finditer(text)]

    def replaced(match: re.Match[str]) -> str:
        at = match.start("target")
        if any(begin <= at < end for begin, end in code):
            return match[0]
        return f"{match[0][: at - match.start()]}{rewrite(match['target'])}"

    return _TARGET.sub(replaced, text)


def plain_fences(text: str) -> str:
    """The text with the language alone behind each fence, which renderers understand: ``python raises`` is Python."""
    return _FENCE.sub(lambda each: f"{each['mark']}{each['info'].split(' ')[0]}\n{each['body']}{each['mark']}", text)


def anchors(text: str) -> set[str]:
    """The fragments that links may point at: explicit ids, and headings as GitHub names them."""
    prose = _FENCE.sub("", text)
    found = {match["anchor"] for match in _HTML_ANCHOR.finditer(prose)}
    for match in _HEADING.finditer(prose):
        slug = anchor_of(match["title"])
        copies = 1
        while slug in found:
            slug = f"{anchor_of(match['title'])}-{copies}"
            copies += 1
        found.add(slug)
    return found


def anchor_of(title: str) -> str:
    """GitHub's name for a heading: lower case, punctuation dropped, spaces to hyphens; a link counts as its text."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    return re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
