# SPDX-License-Identifier: Apache-2.0
"""The calls of gRPC that a cluster knows, by name: their paths, and the messages that go and come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from flamepy.wire import messages


@dataclass(frozen=True)
class Method:
    """One call. path: what it is called by in HTTP/2; is_stream: does it answer with many messages?"""

    path: str
    request: type[Message]
    reply: type[Message]
    is_stream: bool


def _methods(service: str) -> Mapping[str, Method]:
    described = messages.DESCRIPTOR.services_by_name[service]
    return {
        method.name: Method(
            f"/{described.full_name}/{method.name}",
            getattr(messages, method.input_type.name),
            getattr(messages, method.output_type.name),
            method.server_streaming,
        )
        for method in described.methods
    }


FRONTEND = _methods("Frontend")  # what clients call
INSTANCE = _methods("Instance")  # what a worker serves
