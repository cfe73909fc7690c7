# SPDX-License-Identifier: Apache-2.0
"""The published client, release 0.6.0: its archive from the package index, which is read, and never run or copied."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

PIN = "flamepy==0.6.0"
PLACE = Path(__file__).resolve().parents[3] / "build" / "published"
DOWNLOAD_S = 60.0


def descriptions() -> list[FileDescriptorProto]:
    """What its protobuf modules hand to protobuf: the files of messages and services. Skips the test, or fails it."""
    with zipfile.ZipFile(_archive()) as archive:
        sources = [archive.read(name) for name in archive.namelist() if name.endswith("_pb2.py")]
    return [
        FileDescriptorProto.FromString(call.args[0].value)
        for source in sources
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "AddSerializedFile"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, bytes)
    ]


def _archive() -> Path:
    if not list(PLACE.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
        done = subprocess.run(
            [*command, "--no-deps", "--only-binary", ":all:", "--dest", str(PLACE), PIN],
            capture_output=True, text=True, timeout=DOWNLOAD_S, check=False,
        )  # fmt: skip
        if done.returncode:
            said = f"{PIN} could not be had, so ours was not compared with it: {done.stderr.strip()[-300:]}"
            if os.environ.get("CI") == "true":
                pytest.fail(said)
            pytest.skip(said)
    (archive,) = PLACE.glob("*.whl")
    return archive
