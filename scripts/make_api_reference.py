# SPDX-License-Identifier: Apache-2.0
"""Write docs/reference/api.md from the docstrings of the public names; with ``--check``, say whether it is current."""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import griffe

from flamepy.cache.api import ObjectStore
from flamepy.engine.api import Engine

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "api.md"
PACKAGES = ("flamepy", "flamepy.runner", "flamepy.testing", "flame_jupyter")
SHOWN_OPERATORS = ("__call__", "__await__", "__next__", "__len__")  # of a class, where they have a docstring
# Without an underscore, and yet not for users: what the standard's executors call and ours refuses, and seams of ours.
INSIDE = ("set_running_or_notify_cancel", "set_result", "set_exception", "completion", "belongs_to", "required_package")
# Methods of engines and stores: those of flamepy.testing have them as every one does, see docs/explanation/engines.md.
SEAM = frozenset({*vars(Engine), *vars(ObjectStore)})
_MAX_SIGNATURE_CHARS = 100
_CODE = re.compile(r"``([^`\n]+)``")
_GROUP = re.compile(r"^    # (?P<group>.+)$|\"(?P<name>\w+)\"", re.MULTILINE)

HEAD = """# The Python API

Made from the docstrings of the public names, by `make fix`; the tests run the examples. What is not on this page may
change in any release."""

# What has no docstring, because it is a plain value.
VALUES = {
    "flamepy.__version__": "`str`. The version of the installed package, such as `0.1.0`.",
    "flame_jupyter.LAZY_MAGICS": (
        "`dict[str, str]`. For `ipython_config.py`: with `c.MagicsManager.lazy_magics = LAZY_MAGICS` the extension "
        "loads when one of its magics is first used; see [Configuration](configuration.md#in-a-notebook)."
    ),
}


@dataclass(frozen=True)
class PublicName:
    """One name of a package's ``__all__``. group: what the comment above it there says."""

    package: str
    name: str
    group: str
    value: Any

    @property
    def path(self) -> str:
        return f"{self.package}.{self.name}"


def public_names() -> list[PublicName]:
    """Every public thing once, under the first package that offers it, in the order of the ``__all__`` lists."""
    found: dict[str, PublicName] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        groups = _groups(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for name in module.__all__:
            found.setdefault(name, PublicName(package, name, groups.get(name, ""), getattr(module, name)))
    return list(found.values())


def _groups(source: str) -> dict[str, str]:
    """What the comments in the list ``__all__`` of a module say about the names below them."""
    listed = source.partition("\n__all__ = [")[2].partition("\n]")[0]
    groups, group = {}, ""
    for match in _GROUP.finditer(listed):
        if match["group"]:
            group = match["group"]
        else:
            groups[match["name"]] = group
    return groups


def members_of(cls: type) -> dict[str, Any]:
    """The public methods and properties of a class, also those of our base classes, in the order of the source."""
    if issubclass(cls, enum.Enum):
        return {}
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if base.__module__.startswith(("flamepy", "flame_jupyter")):
            hidden = {*INSIDE, *SEAM} if base.__module__.startswith("flamepy.testing") else INSIDE
            for name, attribute in vars(base).items():
                member = attribute.__func__ if isinstance(attribute, (classmethod, staticmethod)) else attribute
                if not (inspect.isfunction(member) or isinstance(member, property)) or name in hidden:
                    continue
                if not name.startswith("_") or (name in SHOWN_OPERATORS and member.__doc__):
                    found.setdefault(name, member)
    return found


def signature_of(value: Any) -> inspect.Signature | None:
    """How users call it, without ``self``. None for what they do not call: errors, enumerations, protocols."""
    if inspect.isclass(value):
        if issubclass(value, (BaseException, enum.Enum)) or getattr(value, "_is_protocol", False):
            return None
        signature = inspect.signature(value).replace(return_annotation=inspect.Signature.empty)
    else:
        signature = inspect.signature(value)
    parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    return signature.replace(parameters=parameters)


def sections_of(value: Any) -> list[griffe.DocstringSection]:
    """The docstring in parts: its text, its arguments, what it returns and raises, its example."""
    docstring = griffe.Docstring(inspect.getdoc(value) or "")
    return griffe.parse_google(docstring, warn_unknown_params=False, warn_missing_types=False)


def page(names: Sequence[PublicName]) -> str:
    """The page, from the docstrings as they are now."""
    writer = _Writer({each.name: each for each in names})
    parts, heading = [HEAD], ""
    for each in names:
        of_group = f"`{each.package}`" + (f": {each.group}" if each.group else "")
        if of_group != heading:
            heading = of_group
            parts.append(f"## {heading}")
            if not each.group:
                parts.append(writer.linked(_first_paragraph(importlib.import_module(each.package))))
        parts.extend(writer.entry(each))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


class _Writer:
    """Docstrings as Markdown, with links to the public names that they mention."""

    def __init__(self, names: Mapping[str, PublicName]) -> None:
        self._names = names

    def entry(self, public: PublicName) -> Iterator[str]:
        value = public.value
        yield f'<a id="{public.path}"></a>\n\n### `{public.name}`'
        if public.path in VALUES:
            yield VALUES[public.path]
        elif inspect.ismodule(value):
            yield self.linked(_first_paragraph(value))
        elif inspect.isclass(value):
            yield from self._of_class(public, value)
        else:
            yield from self._described(public.name, value)

    def _of_class(self, public: PublicName, cls: type) -> Iterator[str]:
        if issubclass(cls, BaseException):
            bases = [each.__name__ for each in cls.__bases__ if not each.__name__.startswith("_")]
            yield f"A kind of {' and '.join(map(self._code, bases or ['FlameError']))}."
        yield from self._described(public.name, cls)
        for name, member in members_of(cls).items():
            yield f'<a id="{public.path}.{name}"></a>\n\n#### `{public.name}.{name}`'
            if isinstance(member, property):
                returned = inspect.signature(_getter(member)).return_annotation
                yield f"`{returned}`. " + "\n\n".join(self._section(each, {}) for each in sections_of(member))
            else:
                yield from self._described(name, member)

    def _described(self, name: str, value: Any) -> Iterator[str]:
        signature = signature_of(value)
        is_made_by_users = signature is not None and (not inspect.isclass(value) or _has_arguments_section(value))
        if signature is not None and is_made_by_users and not name.startswith("__"):
            yield f"```python\n{_call_text(name, signature)}\n```"
        for section in sections_of(value):
            yield self._section(section, {} if signature is None else signature.parameters)

    def _section(self, section: griffe.DocstringSection, parameters: Mapping[str, inspect.Parameter]) -> str:
        kind = section.kind.value
        if kind == "text":
            return self.linked(section.value)
        if kind == "admonition" and section.value.kind == "example":
            return f"```pycon\n{section.value.contents.strip()}\n```"
        if kind == "raises":
            return self._list(
                "Raises", [(self._code(str(each.annotation)), each.description) for each in section.value]
            )
        if kind in ("returns", "yields"):
            return f"**{kind.capitalize()}:** {self.linked(_one_line(section.value[0].description))}"
        if kind in ("parameters", "attributes"):
            title = {"parameters": "Arguments", "attributes": "Attributes"}[kind]
            return self._list(title, [(f"`{each.name}`", each.description) for each in section.value])
        raise ValueError(
            f"a docstring has a section {kind!r}: use Args, Attributes, Returns, Yields, Raises or Example."
        )

    def _list(self, title: str, items: Sequence[tuple[str, str]]) -> str:
        lines = [f"- {name}: {self.linked(_one_line(text))}" for name, text in items]
        return f"**{title}:**\n\n" + "\n".join(lines)

    def linked(self, text: str) -> str:
        """Double backticks of a docstring as code, and the public names among them as links."""
        return _CODE.sub(lambda match: self._code(match[1]), text)

    def _code(self, code: str) -> str:
        name, _, member = code.removesuffix("()").removeprefix("flamepy.").partition(".")
        public = self._names.get(name)
        if public is not None and inspect.ismodule(public.value) and "flamepy." not in code:
            public = None  # an argument of that name
        if public is None or (member and not (inspect.isclass(public.value) and member in members_of(public.value))):
            return f"`{code}`"
        return f"[`{code}`](#{public.path}{'.' + member if member else ''})"


def _getter(member: property) -> Callable[[Any], Any]:
    assert member.fget is not None
    return member.fget


def _has_arguments_section(cls: type) -> bool:
    return is_dataclass(cls) or any(each.kind.value == "parameters" for each in sections_of(cls))


def _call_text(name: str, signature: inspect.Signature) -> str:
    """The call as its definition has it, one argument a line when it is long."""
    shown = [str(each).replace(" = <factory>", " = ...") for each in _with_markers(signature)]
    returned = signature.return_annotation
    end = f") -> {returned}" if returned is not signature.empty else ")"
    line = f"{name}({', '.join(shown)}{end}"
    return line if len(line) <= _MAX_SIGNATURE_CHARS else f"{name}(\n    " + ",\n    ".join(shown) + f",\n{end}"


def _with_markers(signature: inspect.Signature) -> Iterator[str]:
    """The parameters, with the star that keyword-only ones stand behind."""
    has_star = False
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not has_star:
            yield "*"
        has_star = has_star or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        yield re.sub(r"=<[^>]*>", "=...", re.sub(r": '([^']*)'", r": \1", str(each)))


def _first_paragraph(module: Any) -> str:
    return _one_line((inspect.getdoc(module) or "").split("\n\n")[0])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def main(arguments: Sequence[str], say: Callable[[str], object] = lambda text: print(text, file=sys.stderr)) -> int:
    wanted = page(public_names())
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted:
        if "--check" in arguments:
            say(f"{PAGE.relative_to(ROOT)} is not what the docstrings say: make fix writes it.")
            return 1
        PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
