# SPDX-License-Identifier: Apache-2.0
"""What the body of a cell defines, and which of it a ``%%flame_service`` line means. Pure: syntax trees only."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from IPython.core.error import UsageError

from flame_jupyter.wording import close_matches


@dataclass(frozen=True)
class Definitions:
    """Names that a body binds at its top level, in order of appearance, each once."""

    services: tuple[str, ...] = ()  # functions and classes
    others: tuple[str, ...] = field(default=())  # assigned and imported names

    def __contains__(self, name: str) -> bool:
        return name in self.services or name in self.others


def definitions_of(tree: ast.Module) -> Definitions:
    """Collect what the body defines, also inside ``if``, ``try``, ``with`` and loops, but not inside functions."""
    services: dict[str, None] = {}
    others: dict[str, None] = {}
    for node in _own_scope(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            services[node.name] = None
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            others[node.id] = None
        elif isinstance(node, ast.alias):
            others[node.asname or node.name.partition(".")[0]] = None
    return Definitions(tuple(services), tuple(name for name in others if name not in services))


def awaits_at_top_level(tree: ast.Module) -> bool:
    """Does the body await outside of every function? Such a cell runs in the kernel's event loop only."""
    for node in _own_scope(tree):
        if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
            return True
        if isinstance(node, ast.comprehension) and node.is_async:
            return True
    return False


def resolved_target(target: str | None, defined: Definitions) -> str:
    """The name in the body that TARGET means. Raises UsageError with the candidates.

    A TARGET that differs in case alone from the only public function or class means that one.
    """
    public = [name for name in defined.services if not name.startswith("_")]
    if target is None:
        if len(defined.services) == 1:
            return defined.services[0]
        if len(public) == 1:
            return public[0]
        if not defined.services:
            raise UsageError("the cell defines no function and no class: define one, or name the variable to serve.")
        raise UsageError(
            f"the cell defines {', '.join(defined.services)}. Say which one to serve: "
            f"%%flame_service {(public or defined.services)[0]}"
        )
    if target in defined:
        return target
    if len(public) == 1 and public[0].lower() == target.lower():
        return public[0]
    names = defined.services + defined.others
    if not names:
        raise UsageError(f"the cell does not define {target!r}: it defines nothing. Define {target} in this cell.")
    close = close_matches(target, names)
    hint = f"Did you mean {close[0]!r}?" if close else f"Write for example: %%flame_service {names[0]}"
    raise UsageError(f"the cell does not define {target!r}. It defines: {', '.join(names)}. {hint}")


def fingerprint(tree: ast.Module) -> str:
    """Equal for bodies that mean the same: comments, blank lines and layout do not count."""
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _own_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the nodes that run in the module's own scope: of functions, classes and lambdas only what is around them."""
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            around: list[ast.AST] = [*child.decorator_list, child.args]
        elif isinstance(child, ast.ClassDef):
            around = [*child.decorator_list, *child.bases, *child.keywords]
        elif isinstance(child, ast.Lambda):
            around = [child.args]
        else:
            around = [child]
        for each in around:
            if each is not child:
                yield each
            yield from _own_scope(each)
