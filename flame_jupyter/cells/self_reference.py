# SPDX-License-Identifier: Apache-2.0
"""Lets the methods of a served class mean the class itself by its name, wherever an object of it travels.

The notebook's variable of that name holds the service. So inside the class's methods the name becomes Python's own
``__class__``, which every method can see: it leads to the class, here and on every worker. Pure.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import types
from typing import Any

from flame_jupyter.cells.functions import functions_in


def with_own_name(tree: ast.Module, name: str) -> ast.Module:
    """The tree in which the class ``name``, at its top level, is itself in the bodies of its functions."""
    if not any(isinstance(node, ast.ClassDef) and node.name == name for node in tree.body):
        return tree
    tree = copy.deepcopy(tree)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for statement in node.body:
                _OwnName(name).visit(statement)
    return tree


def complete_own_name(cls: type) -> None:
    """A decorator may have made another class of it, as ``dataclass(slots=True)`` does: that is the one to mean."""
    for attribute in vars(cls).values():
        for function in functions_in(attribute):
            if not isinstance(function, types.FunctionType):
                continue
            for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                if variable == "__class__":
                    cell.cell_contents = cls


def lead_to_original(definition: Any) -> None:
    """Let ``name.local`` mean the original in its own code too, where the name does not lead to the service."""
    present = getattr(definition, "local", None)
    if present is None or isinstance(present, (type, types.FunctionType)):  # else it is data of the user's
        with contextlib.suppress(AttributeError, TypeError):  # builtins, and classes that allow no new names
            definition.local = definition


class _OwnName(ast.NodeTransformer):
    """Replaces the name in the bodies of functions, where it is the module's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_inside = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node  # a class of its own: there, __class__ is another one

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        value = node.value
        if node.attr == "local" and isinstance(value, ast.Name) and value.id == self._name:
            return self.visit_Name(value)  # the original of the service, as the notebook calls it
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if self._is_inside and node.id == self._name and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Name("__class__", ast.Load()), node)
        return node

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> ast.AST:
        if _binds(node, self._name):
            return node
        was_inside, self._is_inside = self._is_inside, True
        # decorators, defaults and annotations belong to the scope around
        body = node.body if isinstance(node.body, list) else [node.body]
        changed = [self.visit(each) for each in body]
        node.body = changed if isinstance(node.body, list) else changed[0]
        self._is_inside = was_inside
        return node


def _binds(function: ast.AST, name: str) -> bool:
    """Does the name mean something else in there? When in doubt, yes."""
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load):
            return True
        if isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names:
            return True
        # of arguments, imports, functions, classes, handlers of exceptions, and patterns
        if name in (getattr(node, each, None) for each in ("arg", "name", "asname", "rest")):
            return True
    return False
