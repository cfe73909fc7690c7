# SPDX-License-Identifier: Apache-2.0
"""Project directory -> deterministic archive -> storage: what workers import and the files they read.

``selection`` walks, decides and refuses what is too much, ``digests`` remembers contents, ``archive`` writes,
``storage`` keeps. ``package.Packager`` leads through all of it.
"""

from __future__ import annotations

from flamepy.packaging.options import PackageOptions
from flamepy.packaging.package import Package, Packager
from flamepy.packaging.selection.manifest import Row
from flamepy.packaging.storage import Storage, fetch_archive, open_storage
from flamepy.packaging.storages.file_storage import FileStorage

__all__ = [
    "FileStorage",
    "Package",
    "PackageOptions",
    "Packager",
    "Row",
    "Storage",
    "fetch_archive",
    "open_storage",
]
