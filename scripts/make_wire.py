# SPDX-License-Identifier: Apache-2.0
"""Compiles flamepy/wire/flame.proto, for messages.py, and its types: ``python -m scripts.make_wire [--check]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

WIRE = Path(__file__).resolve().parents[1] / "flamepy" / "wire"


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as made:
        compiled, types = Path(made) / "compiled", Path(made) / "flame_pb2.pyi"
        options = [f"-I{WIRE}", f"--descriptor_set_out={compiled}", f"--pyi_out={made}", str(WIRE / "flame.proto")]
        if protoc.main(["protoc", *options]) != 0:
            return 1
        (file,) = FileDescriptorSet.FromString(compiled.read_bytes()).file
        files = {
            WIRE / "flame.binpb": file.SerializeToString(deterministic=True),
            WIRE / "messages.pyi": types.read_bytes().replace(b", _Mapping]", b", _Mapping[str, object]]"),
        }
    old = [path for path, content in files.items() if not path.exists() or path.read_bytes() != content]
    for path in old:
        if arguments == ["--check"]:
            print(f"{path.relative_to(WIRE.parents[1])} is not what flame.proto says: make fix writes it.")
        else:
            path.write_bytes(files[path])
    return 1 if old and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
