# SPDX-License-Identifier: Apache-2.0
"""What one instance of a service asks for: processors, memory, accelerators."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MEMORY = re.compile(r"\s*(\d+)\s*([kmgtp]?)(?:i?b)?\s*\Z", re.IGNORECASE)
_EXPONENT = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


@dataclass(frozen=True)
class ResourceRequirement:
    """What one worker needs; 0 = nothing in particular.

    Attributes:
        cpu: Whole processors.
        memory: Bytes.
        gpu: Whole devices.

    Example:
        >>> from flamepy import ResourceRequirement
        >>> ResourceRequirement.from_string("cpu=1,mem=2g")
        ResourceRequirement(cpu=1, memory=2147483648, gpu=0)
    """

    cpu: int = 0
    memory: int = 0
    gpu: int = 0

    @classmethod
    def from_string(cls, text: str) -> ResourceRequirement:
        """Read a requirement as people write it.

        Args:
            text: Such as ``cpu=1,mem=2g,gpu=0``; the suffixes k, m, g, t, p are binary.

        Returns:
            The requirement.

        Raises:
            ValueError: For anything else.
        """
        values: dict[str, int] = {}
        for part in text.split(","):
            key, sign, value = part.partition("=")
            name = {"mem": "memory"}.get(key.strip().lower(), key.strip().lower())
            if not sign or name not in ("cpu", "memory", "gpu"):
                raise ValueError(f"{part.strip()!r} is not a resource: write for example 'cpu=1,mem=2g,gpu=0'")
            if name in values:
                raise ValueError(f"{name} is given twice in {text!r}: keep one")
            values[name] = parse_bytes(value) if name == "memory" else _whole(name, value)
        return cls(**values)


def parse_bytes(text: str) -> int:
    """Read a number of bytes such as ``100M`` or ``2GiB`` (binary suffixes). Raises ValueError."""
    match = _MEMORY.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size: write a whole number with k, m, g, t or p, for example '2g'")
    return int(match.group(1)) << 10 * _EXPONENT[match.group(2).lower()]


def _whole(name: str, text: str) -> int:
    if not text.strip().isdecimal():
        raise ValueError(f"{name}={text.strip()} is not a whole number: write for example '{name}=1'")
    return int(text)
