# SPDX-License-Identifier: Apache-2.0
"""Which libraries a kind of storage needs. Quick to load: every Runner asks which kinds there are."""

from __future__ import annotations

EXTRA = "'flame-jupyter[storage]'"
LIBRARIES: dict[str, dict[str, str]] = {  # scheme -> what is imported beside fsspec -> what pip calls it
    "s3": {"s3fs": EXTRA},
    "gs": {"gcsfs": "gcsfs"},
    "gcs": {"gcsfs": "gcsfs"},
    "az": {"adlfs": "adlfs"},
    "abfs": {"adlfs": "adlfs"},
    "abfss": {"adlfs": "adlfs"},
    "oss": {"ossfs": "ossfs"},
    "sftp": {"paramiko": "paramiko"},
    "smb": {"smbprotocol": "smbprotocol"},
    "hdfs": {"pyarrow": "pyarrow"},
    "ftp": {},
    "memory": {},
}


def offers(scheme: str) -> bool:
    """Does an installed fsspec know this scheme, by itself or by another package?"""
    import importlib.util

    if importlib.util.find_spec("fsspec") is None:
        return False
    import fsspec

    return scheme in fsspec.available_protocols() or scheme in fsspec.registry
