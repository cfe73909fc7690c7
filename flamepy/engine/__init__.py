# SPDX-License-Identifier: Apache-2.0
"""Where calls run: the seam (api), the choice (select), the one current engine (current), one directory per engine."""
