# SPDX-License-Identifier: Apache-2.0
"""An import path of older programs: ``from flamepy.util import short_name``."""

from flamepy.core.names import short_name

__all__ = ["short_name"]
