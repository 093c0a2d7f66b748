"""Overwriting a constant in the file of a graph.

This code parses the file itself because the server does not import the package onnx, and because
nothing else of the graph may change.
"""

from __future__ import annotations

from collections.abc import Iterator

from blemish.engine.errors import BundleError

# Source: onnx.proto, the numbers of the fields; Protocol Buffers, "Encoding"
_GRAPH, _INITIALIZER, _NAME, _RAW_DATA = 7, 5, 8, 9


def with_initializer(model: bytes, name: str, data: bytes) -> bytes:
    """Return a serialised graph with other bytes in one of its initializers.

    Raises:
        BundleError: there is none of this name and length.
    """
    for start, end in _fields(model, 0, len(model), number=_GRAPH):
        for tensor, tensor_end in _fields(model, start, end, number=_INITIALIZER):
            names = [model[at:to] for at, to in _fields(model, tensor, tensor_end, number=_NAME)]
            values = list(_fields(model, tensor, tensor_end, number=_RAW_DATA))
            if names == [name.encode()] and [to - at for at, to in values] == [len(data)]:
                ((at, to),) = values
                return model[:at] + data + model[to:]
    raise BundleError(f"The bundle's graph has no {name} that can be moved.")


def _fields(data: bytes, start: int, end: int, *, number: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of the contents of a message's fields with this number."""
    while start < end:
        key, start = _varint(data, start)
        match key & 7:
            case 0:
                _, start = _varint(data, start)
            case 1:
                start += 8
            case 5:
                start += 4
            case 2:
                length, start = _varint(data, start)
                if key >> 3 == number:
                    yield start, start + length
                start += length
            case _:
                return  # no message


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """Return a number and the offset after it."""
    value = shift = 0
    while True:
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7
