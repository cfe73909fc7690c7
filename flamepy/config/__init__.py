# SPDX-License-Identifier: Apache-2.0
"""Configuration: ``flame.yaml`` and the environment, parsed once at the edge into frozen records."""

from flamepy.config.context import FlameContext
from flamepy.config.document import FlameConfigWarning
from flamepy.config.records import (
    DEFAULT_EXCLUDES,
    DEFAULT_TEMPLATE,
    ContextFields,
    FlameContextCache,
    FlameContextRunner,
    FlameContextTls,
    FlamePackage,
)
from flamepy.config.schemas import tls_of_environment

__all__ = [
    "DEFAULT_EXCLUDES",
    "DEFAULT_TEMPLATE",
    "ContextFields",
    "FlameConfigWarning",
    "FlameContext",
    "FlameContextCache",
    "FlameContextRunner",
    "FlameContextTls",
    "FlamePackage",
    "tls_of_environment",
]
