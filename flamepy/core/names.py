# SPDX-License-Identifier: Apache-2.0
"""Names of applications and sessions: how they are made and which are allowed."""

from __future__ import annotations

import random
import re
import string

from flamepy.errors import InvalidArgument

MAX_APPLICATION_NAME_BYTES = 253  # the reference server's limit
SCRATCH_MARK = ".flame-scratch"  # the file in an engine's scratch directory that tells what it is, and of which machine
_ALPHABET = string.ascii_letters + string.digits
_APPLICATION_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")


def short_name(prefix: str, length: int = 6) -> str:
    """Make up a name that is hardly taken.

    Args:
        prefix: What it begins with.
        length: How many random letters and digits follow; by default 6.

    Returns:
        ``<prefix>-`` and those.

    Example:
        >>> from flamepy import short_name
        >>> len(short_name("my-app"))
        13
    """
    return f"{prefix}-" + "".join(random.choices(_ALPHABET, k=length))


def checked_application_name(name: str) -> str:
    """Return ``name`` when every engine accepts it; raises InvalidArgument with the rule that it breaks."""
    if not isinstance(name, str) or not name:
        raise InvalidArgument("application name cannot be empty: give the Runner a name such as 'my-app'.")
    if len(name.encode()) > MAX_APPLICATION_NAME_BYTES:
        raise InvalidArgument(
            f"application name exceeds maximum length of {MAX_APPLICATION_NAME_BYTES} characters: "
            f"shorten {name[:20]!r}..."
        )
    if ".." in name or not _APPLICATION_NAME.match(name):
        suggestion = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9_.-]+", "-", name)).lstrip(".-") or "my-app"
        raise InvalidArgument(
            f"application name {name!r} is not allowed: only ASCII letters, digits, '-', '_' and single '.', "
            f"not starting with '.' or '-'. Try {suggestion!r}."
        )
    return name
