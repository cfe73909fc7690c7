# SPDX-License-Identifier: Apache-2.0
"""Where settings come from, and which source wins: ``%config``, environment, pyproject.toml, IPython's configuration.

An option of a magic wins over all of them, and each trait has a default below them. The winner is written into the
trait, so that ``%config FlameMagics`` shows what counts.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from IPython.core.error import UsageError
from traitlets import Bool, Float, HasTraits, Int, List, TraitError

from flame_jupyter.wording import close_matches

PREFIX = "FLAME_JUPYTER_"
TABLE = "flame_jupyter"
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class SettingsWarning(UserWarning):
    """A setting was written that does not exist."""


class SettingValue(NamedTuple):
    """A value, and who said it."""

    value: Any
    origin: str


class SettingsSources:
    """Keeps the traits of one ``settings`` object at what the sources say."""

    def __init__(self, settings: HasTraits, environ: Mapping[str, str] = os.environ) -> None:
        self._settings = settings
        self._environ = environ
        self._below = {name: getattr(settings, name) for name in self.names}
        self._said: dict[str, SettingValue] = {}
        self._by_hand: set[str] = set()
        self._warned: set[str] = set()

    @property
    def names(self) -> list[str]:
        return self._settings.trait_names(config=True)

    def refresh(self, directory: Path) -> None:
        """Read the sources again for a project in ``directory``. Raises UsageError with source, setting and cure."""
        said = {**self._project(directory), **self._environment()}
        for name in self.names:
            if name in self._by_hand:
                continue
            if name in said:
                self._set(name, said[name])
            elif name in self._said:
                setattr(self._settings, name, self._below[name])
        self._said = said

    def set_by_hand(self, names: Iterable[str]) -> None:
        """``%config`` has set these: from now on, only that counts."""
        self._by_hand.update(names)

    def origin(self, name: str) -> str:
        """Who has said the value that counts."""
        if name in self._by_hand:
            return "%config"
        if name in self._said:
            return self._said[name].origin
        default = self._settings.traits()[name].default()
        return "default" if self._below[name] == default else "IPython's configuration"

    def _environment(self) -> dict[str, SettingValue]:
        given = {name: text for name, text in self._environ.items() if name.startswith(PREFIX) and text.strip()}
        keys = {variable: variable[len(PREFIX) :].lower() for variable in given}
        origins = {variable: f"environment variable {variable}" for variable in given}
        self._warn_of_unknown({origins[variable]: key for variable, key in keys.items()})
        return {
            key: SettingValue(self._from_text(key, given[variable], origins[variable]), origins[variable])
            for variable, key in keys.items()
            if key in self.names
        }

    def _project(self, directory: Path) -> dict[str, SettingValue]:
        file, table = project_table(directory)
        origin = f"{file} [tool.{TABLE}]"
        keys = {key: key.replace("-", "_") for key in table}
        self._warn_of_unknown({f"{origin} {key}": name for key, name in keys.items()})
        said = {name: SettingValue(table[key], origin) for key, name in keys.items() if name in self.names}
        if file is not None and isinstance(root := table.get("root"), str):
            said["root"] = SettingValue(str(file.parent / Path(root).expanduser()), origin)
        return said

    def _from_text(self, name: str, text: str, origin: str) -> Any:
        """Lists are separated by commas; truth values are the usual words."""
        trait = self._settings.traits()[name]
        try:
            if isinstance(trait, Bool):
                return _WORDS[text.strip().lower()]
            if isinstance(trait, List):
                return [each.strip() for each in text.split(",") if each.strip()]
            return int(text) if isinstance(trait, Int) else float(text) if isinstance(trait, Float) else text
        except (KeyError, ValueError) as error:
            raise self._does_not_fit(name, SettingValue(text, origin)) from error

    def _set(self, name: str, said: SettingValue) -> None:
        try:
            setattr(self._settings, name, said.value)
        except TraitError as error:
            raise self._does_not_fit(name, said) from error

    def _does_not_fit(self, name: str, said: SettingValue) -> UsageError:
        trait = self._settings.traits()[name]
        return UsageError(f"{said.origin}: {name} must be {trait.info()}, not {said.value!r}. {trait.help}")

    def _warn_of_unknown(self, keys: Mapping[str, str]) -> None:
        """keys: where each was written -> the setting that it means."""
        for where, key in keys.items():
            if key in self.names or where in self._warned:
                continue
            self._warned.add(where)
            close = close_matches(key, self.names)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(sorted(self.names))}."
            warnings.warn(SettingsWarning(f"{where}: there is no setting {key!r}. {hint}"), stacklevel=2)


def project_table(directory: Path) -> tuple[Path | None, dict[str, Any]]:
    """``[tool.flame_jupyter]`` of the nearest pyproject.toml above that has one. Raises UsageError for a broken one."""
    for each in (directory, *directory.parents):
        file = each / "pyproject.toml"
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if TABLE in text and (table := _table_in(file, text)) is not None:
            return file, table
    return None, {}


def _table_in(file: Path, text: str) -> dict[str, Any] | None:
    # here, because most projects have no such table, and loading the extension is to cost nothing
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get(TABLE)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}. Correct it, or take [tool.{TABLE}] out of it.") from error
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{file}: tool.{TABLE} must be a table: write [tool.{TABLE}] and the settings below it.")
    return table
