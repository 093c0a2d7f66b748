"""The messages of edge-agent.proto.

    protoc -I. --descriptor_set_out=edge-agent.descriptors edge-agent.proto

wrote the descriptors. They hold no version of protobuf, as generated code does, so that one wheel
works with every protobuf that ONNX Runtime works with; a test compares them with the file. They
are in a pool of their own: a program may import a client of the same messages beside them.
"""

from __future__ import annotations

from enum import IntEnum
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

__all__ = ["PACKAGE", "SERVICE", "DecodeError", "EdgeStatus", "message_class", "methods"]

PACKAGE = "AWS.LookoutVision"
SERVICE = f"{PACKAGE}.EdgeAgent"


class EdgeStatus(IntEnum):
    """The states of a model on a device, `ModelStatus` on the wire."""

    STOPPED = 0
    STARTING = 1
    RUNNING = 2
    FAILED = 3
    STOPPING = 4


def _pool() -> descriptor_pool.DescriptorPool:
    data = (files(__package__) / "edge-agent.descriptors").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)
    return pool


_POOL = _pool()


def message_class(name: str) -> Any:
    """Return the class of a message, `DetectAnomaliesRequest` for example."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def methods() -> dict[str, Any]:
    """Return the class of the request of each method of the service, by the method's name."""
    service = _POOL.FindServiceByName(SERVICE)
    return {
        method.name: message_factory.GetMessageClass(method.input_type)
        for method in service.methods
    }
