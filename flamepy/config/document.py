# SPDX-License-Identifier: Apache-2.0
"""A YAML file with positions: checked access to its mappings, so that every complaint names file, line and cure."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from flamepy.errors import InvalidConfig

if TYPE_CHECKING:
    import yaml

_SCALARS = {"int": "number", "float": "number", "bool": "truth value", "str": "text"}
_KEY_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


class FlameConfigWarning(UserWarning):
    """The configuration holds something that is not used: an unknown key, a limit that comes too late."""


def did_you_mean(wrong: str, known: Collection[str]) -> str:
    """`` Did you mean 'x'?`` for the closest known word, or nothing."""
    close = difflib.get_close_matches(wrong, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


class Section:
    """One mapping of the file. ``title``: how messages call it, such as ``contexts[0].cache``; "" at the top."""

    def __init__(self, source: str, title: str, loader: yaml.SafeLoader, node: yaml.MappingNode) -> None:
        import yaml

        self.source = source
        self.title = title
        self._loader = loader
        self._nodes: dict[str, yaml.Node] = {}
        self._lines: dict[str, int] = {}
        self._refuse_odd_keys(node)
        # a copy, because flattening changes the node: merge keys ("<<") become plain keys, those written here last
        flat = yaml.MappingNode(node.tag, list(node.value), node.start_mark, node.end_mark)
        loader.flatten_mapping(flat)
        for key_node, value_node in flat.value:
            self._nodes[key_node.value] = value_node
            self._lines[key_node.value] = key_node.start_mark.line + 1

    def _refuse_odd_keys(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag not in _KEY_TAGS:
                raise self._problem(line, f"{_describe(key_node)} cannot be a key", "Keys are words, such as 'name:'.")
            if key_node.value in seen:
                raise self._problem(line, f"{self._path(key_node.value)} is given twice", "Keep one of them.")
            seen.add(key_node.value)

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def text(self, key: str) -> str | None:
        """A non-empty text; None when absent or null."""
        node = self._present(key)
        return None if node is None else self._text_of(key, node)

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty when absent or null."""
        return [self._text_of(f"{key}[{index}]", node) for index, node in enumerate(self._items(key))]

    def section(self, key: str) -> Section | None:
        """A mapping; None when absent or null."""
        node = self._present(key)
        return None if node is None else self._section_of(key, node, key)

    def sections(self, key: str) -> list[Section]:
        """A list of mappings; empty when absent or null."""
        return [self._section_of(f"{key}[{index}]", node, key) for index, node in enumerate(self._items(key))]

    def is_text(self, key: str) -> bool:
        """Is there something that is neither a mapping nor a list?"""
        import yaml

        return isinstance(self._present(key), yaml.ScalarNode)

    def is_list(self, key: str) -> bool:
        import yaml

        return isinstance(self._present(key), yaml.SequenceNode)

    def warn_of_unknown(self, known: Collection[str]) -> None:
        """One FlameConfigWarning for each key that is not in ``known``."""
        for key in self._nodes:
            if key not in known:
                cure = did_you_mean(key, known) or f" Remove it; the keys here are {', '.join(known)}."
                message = f"{self.source}, line {self._lines[key]}: unknown key {self._path(key)!r}.{cure}"
                warnings.warn(FlameConfigWarning(message), stacklevel=2)

    def error(self, key: str, problem: str, cure: str) -> InvalidConfig:
        """The error to raise about ``key`` (or about the whole section, when it has no such key)."""
        return self._problem(self._lines.get(key), f"{self._path(key)} {problem}", cure)

    def _problem(self, line: int | None, problem: str, cure: str) -> InvalidConfig:
        where = self.source if line is None else f"{self.source}, line {line}"
        return InvalidConfig(f"{where}: {problem}. {cure}")

    def _path(self, key: str) -> str:
        return f"{self.title}.{key}" if self.title else key

    def _present(self, key: str) -> yaml.Node | None:
        node = self._nodes.get(key)
        return None if node is None or node.tag == "tag:yaml.org,2002:null" else node

    def _items(self, key: str) -> Iterator[yaml.Node]:
        import yaml

        node = self._present(key)
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(
                key, f"must be a list, not {_describe(node)}", "Put each item on a line of its own, after '- '."
            )
        yield from node.value

    def _text_of(self, label: str, node: yaml.Node) -> str:
        import yaml

        line = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode):
            raise self._problem(line, f"{self._path(label)} must be text, not {_describe(node)}", "Write one value.")
        if node.tag != "tag:yaml.org,2002:str":
            cure = f'Put it in quotes: "{node.value}".'
            raise self._problem(line, f"{self._path(label)} must be text, not {_describe(node)}", cure)
        if not node.value.strip():
            raise self._problem(line, f"{self._path(label)} is empty", "Give it a value, or remove the line.")
        return str(node.value)

    def _section_of(self, label: str, node: yaml.Node, key: str) -> Section:
        import yaml

        if not isinstance(node, yaml.MappingNode):
            cure = f"Indent its keys below it, such as '{key}:' and then '  name: value'."
            problem = f"{self._path(label)} must be a mapping, not {_describe(node)}"
            raise self._problem(node.start_mark.line + 1, problem, cure)
        return Section(self.source, self._path(label), self._loader, node)


def read_document(source: str, text: str) -> Section | None:
    """Parse ``text``, the content of ``source``; None when it holds nothing but comments.

    Raises InvalidConfig with the line and column of a mistake.
    """
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
        raise InvalidConfig(
            f"{where}: this is not YAML: {error.problem}. {_cure_for(f'{error.context} {error.problem}')}"
        ) from error
    except yaml.YAMLError as error:
        raise InvalidConfig(
            f"{source} is not YAML: {str(error).splitlines()[0]}. Save it as plain UTF-8 text."
        ) from error
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return None
    if not isinstance(node, yaml.MappingNode):
        where = f"{source}, line {node.start_mark.line + 1}"
        cure = "Start with 'current-context: NAME' and 'contexts:'."
        raise InvalidConfig(f"{where}: the file must hold a mapping, not {_describe(node)}. {cure}")
    return Section(source, "", loader, node)


def _cure_for(problem: str) -> str:
    if "alias" in problem:
        return 'A pattern that starts with * needs quotes, such as "*.log".'
    if r"\t" in problem:
        return "Indent with spaces instead of tabs."
    return "Correct the file there."


def _describe(node: yaml.Node) -> str:
    import yaml

    kind = node.tag.rpartition(":")[2]
    if not isinstance(node, yaml.ScalarNode):
        return {"map": "a mapping", "seq": "a list"}.get(kind, f"a {kind}")
    return f"the {_SCALARS.get(kind, kind)} {node.value}"
