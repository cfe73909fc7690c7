# SPDX-License-Identifier: Apache-2.0
"""Our messages and services are those of the published client: each number, type and name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

from flamepy.wire import messages
from tests.pure.wire.published import descriptions


def enums(files: Iterable[FileDescriptorProto]) -> dict[str, Any]:
    def values(enum: EnumDescriptorProto) -> dict[str, int]:
        return {value.name: value.number for value in enum.value}

    return {each.name: values(each) for file in files for each in file.enum_type}


def fields(files: Iterable[FileDescriptorProto]) -> dict[str, Any]:
    def of(message: DescriptorProto) -> dict[int, Any]:
        return {
            each.number: (each.name, each.type, each.label, each.type_name, each.proto3_optional)
            for each in message.field
        }

    return {each.name: of(each) for file in files for each in file.message_type}


def methods(files: Iterable[FileDescriptorProto]) -> dict[str, Any]:
    return {
        f"{file.package}.{service.name}/{each.name}": (each.input_type, each.output_type, each.server_streaming)
        for file in files
        for service in file.service
        for each in service.method
    }


def test_messages_enumerations_and_services_are_those_of_the_published_client() -> None:
    ours = FileDescriptorProto()
    messages.DESCRIPTOR.CopyToProto(ours)
    published = descriptions()
    assert {each.package for each in published} == {ours.package}
    assert enums([ours]) == enums(published)
    assert fields([ours]) == fields(published)
    assert methods([ours]) == methods(published)
