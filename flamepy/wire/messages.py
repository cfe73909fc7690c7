# SPDX-License-Identifier: Apache-2.0
"""The messages and enumerations of flame.proto, under their names, for whichever release of protobuf is there.

protoc's own Python refuses releases of protobuf that are far from its own, in an environment that others fill. This
reads the same compiled description instead. It stands in a pool of its own, so that a library that knows messages of
these names, as a program beside us may, does not meet them. messages.pyi says what is in it.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(Path(__file__).with_name("flame.binpb").read_bytes())
DESCRIPTOR = _pool.FindFileByName("flame.proto")

globals().update({name: EnumTypeWrapper(each) for name, each in DESCRIPTOR.enum_types_by_name.items()})
globals().update(
    {name: message_factory.GetMessageClass(each) for name, each in DESCRIPTOR.message_types_by_name.items()}
)
