# SPDX-License-Identifier: Apache-2.0
"""What a service was made of, part by part, so that a cell that runs again can say what has changed. Pure."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flame_jupyter.cells.definitions import definitions_of, fingerprint
from flame_jupyter.cells.references import SERVICE, SerialOf, references_of

CELL, OPTIONS = "its cell", "its options"


@dataclass(frozen=True)
class ServiceFingerprint:
    """parts: name for people -> digest; services: serial numbers of those that it calls; modules: that it names.

    data: name -> bytes, of the data that it takes along. imports: modules that its code imports while it runs; None =
    it may import any. shell: names by which it uses the shell of the kernel.
    """

    parts: Mapping[str, str]
    services: frozenset[int] = frozenset()
    modules: frozenset[str] = frozenset()
    data: Mapping[str, int] = field(default_factory=dict)
    imports: frozenset[str] | None = frozenset()
    shell: frozenset[str] = frozenset()

    def changes_since(self, before: ServiceFingerprint) -> list[str]:
        """The names of the parts that are not what they were, the cell first."""
        names = [*self.parts, *(name for name in before.parts if name not in self.parts)]
        return [name for name in names if self.parts.get(name) != before.parts.get(name)]

    def calling(self, serials: Mapping[int, int]) -> ServiceFingerprint:
        """The same over other services: old serial number -> new one."""
        named = {f"{SERVICE}{old}": f"{SERVICE}{new}" for old, new in serials.items()}
        parts = {name: named.get(digest, digest) for name, digest in self.parts.items()}
        return replace(self, parts=parts, services=frozenset(serials.get(each, each) for each in self.services))

    def calls_other_than(self, serials: frozenset[int]) -> list[str]:
        """The names under which it calls services that are none of these."""
        current = {f"{SERVICE}{each}" for each in serials}
        return [name for name, digest in self.parts.items() if digest.startswith(SERVICE) and digest not in current]


def fingerprint_of(
    tree: ast.Module, options_key: str, variables: Mapping[str, Any], serial_of: SerialOf
) -> ServiceFingerprint:
    """Look at a cell that has run.

    tree: its body; options_key: of its magic; variables: of the notebook, by now; serial_of: tells services.
    """
    defined = definitions_of(tree)
    code = compile(tree, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    found = references_of(code, (*defined.services, *defined.others), variables, serial_of)
    parts = {CELL: fingerprint(tree), OPTIONS: options_key, **found.values}
    imports = None if found.looks_for_modules else frozenset(found.imports)
    return ServiceFingerprint(
        parts, frozenset(found.services), frozenset(found.modules), found.data, imports, frozenset(found.shell)
    )
