# SPDX-License-Identifier: Apache-2.0
"""FlameContext: find the file, read it, lay the environment over it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flamepy.config.document import FlameConfigWarning, Section, read_document
from flamepy.config.records import ContextFields
from flamepy.config.schemas import all_fields_from, fields_from, with_environment
from flamepy.errors import InvalidConfig

CONF_VARIABLE = "FLAME_CONF"
_DEFAULT_PLACE = (".flame", "flame.yaml")


class FlameContext(ContextFields):
    """What is configured: ``flame.yaml`` with the environment over it. Frozen.

    Args:
        path: The file; by default the one that FLAME_CONF names, else ``~/.flame/flame.yaml``; without any file, the
            embedded engine.
        environ: The environment; by default that of this process.
        fields: What to use instead of what is configured: ``name``, ``endpoint``, ``tls``, ``cache``, ``package``,
            ``runner``, ``workers``, ``memory_limit_bytes``.

    Raises:
        InvalidConfig: When the file or the environment is wrong; the message names file and line.

    Example:
        >>> from flamepy import FlameContext, Runner
        >>> context = FlameContext(environ={"FLAME_WORKERS": "2"}, memory_limit_bytes=2**30)
        >>> (context.workers, context.memory_limit_bytes, context.endpoint)
        (2, 1073741824, None)
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] | None = None, **fields: Any
    ) -> None:
        configured = configured_fields(path, os.environ if environ is None else environ)
        super().__init__(**{**vars(configured), **fields})

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> FlameContext:
        """The same as ``FlameContext(path)``, under the name of 0.6.

        Args:
            path: The file; by default as in the constructor.
            environ: The environment; by default that of this process.
        """
        return cls(path, environ=environ)

    @classmethod
    def named(
        cls, name: str, path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] | None = None
    ) -> FlameContext:
        """Another context of the file than the current one.

        Args:
            name: Of the context.
            path: The file; by default as in the constructor.
            environ: The environment; by default that of this process.

        Raises:
            InvalidConfig: When there is none of that name, or no file.
        """
        environ = os.environ if environ is None else environ
        document = document_at(path, environ)
        if document is None:
            raise InvalidConfig(
                f"there is no context {name!r}, because there is no configuration file: write {_default_file()}, "
                f"or name one with {CONF_VARIABLE}."
            )
        return cls._of(fields_from(document, name), environ)

    @classmethod
    def all(
        cls, path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] | None = None
    ) -> list[FlameContext]:
        """Every context of the file; without a file none.

        Args:
            path: The file; by default as in the constructor.
            environ: The environment; by default that of this process.

        Raises:
            InvalidConfig: When the file or the environment is wrong.
        """
        environ = os.environ if environ is None else environ
        document = document_at(path, environ)
        return [] if document is None else [cls._of(each, environ) for each in all_fields_from(document)]

    @classmethod
    def _of(cls, fields: ContextFields, environ: Mapping[str, str]) -> FlameContext:
        self = cls.__new__(cls)
        ContextFields.__init__(self, **vars(with_environment(fields, environ)))
        return self


def configured_fields(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> ContextFields:
    """Read what FlameContext holds. Raises InvalidConfig."""
    document = document_at(path, environ)
    return with_environment(ContextFields() if document is None else fields_from(document), environ)


def document_at(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Section | None:
    """The configuration file, parsed; None when there is none and none was named. Raises InvalidConfig."""
    named = os.fspath(path) if path is not None else environ.get(CONF_VARIABLE)
    file = _expanded(named) if named else _default_file()
    text = None if file is None else _read(file, is_optional=not named)
    return None if text is None else read_document(str(file), text)


def _expanded(named: str) -> Path:
    try:
        return Path(named).expanduser()
    except RuntimeError:  # "~somebody" without a home: reading it says that there is no such file
        return Path(named)


def _default_file() -> Path | None:
    try:
        return Path.home().joinpath(*_DEFAULT_PLACE)
    except RuntimeError:  # a user id without an entry, as containers have
        return None


def _read(file: Path, *, is_optional: bool) -> str | None:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError) as error:
        if is_optional:
            return None
        raise InvalidConfig(
            f"there is no configuration file {file}. Correct the path (argument or {CONF_VARIABLE}), or leave it out."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidConfig(
            f"{file} is not UTF-8 text ({error.reason}, byte {error.start}). Save it as UTF-8."
        ) from error
    except OSError as error:
        if is_optional:
            if os.path.lexists(file):  # else its directory is not for this user, as with sudo -u and in containers
                warnings.warn(
                    f"{file} is not read: {error.strerror}. Make it a readable file, or remove it.",
                    FlameConfigWarning,
                    stacklevel=2,
                )
            return None
        raise InvalidConfig(
            f"cannot read {file}: {error.strerror}. Make it a readable file, or name another one with {CONF_VARIABLE}."
        ) from error
