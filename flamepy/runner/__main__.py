# SPDX-License-Identifier: Apache-2.0
"""``python -m flamepy.runner`` is the end-to-end check."""

from __future__ import annotations

import sys

from flamepy.runner.e2e import main

if __name__ == "__main__":
    sys.exit(main())
