"""Malformed requests for an edge agent, drawn from a seed, and the right codes for each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from tests.edge_agents import EdgeClient

METHODS = ("DetectAnomalies", "StartModel", "StopModel", "DescribeModel", "ListModels")
NUMBERS = (0, 1, 63, 64, 95, 96, 97, 4096, 4097, 2**31 - 1, -1, -(2**31))
SIZES = (0, 1, 96 * 64 * 3 - 1, 96 * 64 * 3, 96 * 64 * 3 + 1, 2**31, 2**63, 2**64 - 1)
NAMES = ("", "/", ".", "..", "../etc/passwd", "a/b", "\0", "none", "x" * 300, "ä")

INVALID = frozenset({"INVALID_ARGUMENT"})
ANY_REFUSAL = INVALID | {"NOT_FOUND", "FAILED_PRECONDITION"}


@dataclass(frozen=True, kw_only=True)
class EdgeRequest:
    """A request, and the names of the codes that may answer it."""

    method: str
    message: Any
    codes: frozenset[str]


class EdgeFuzzer:
    """Draws requests for an agent whose model `running` has images of 96 x 64 pixels."""

    def __init__(
        self, client: EdgeClient, segment: SharedMemory, *, running: str, seed: int
    ) -> None:
        self._client = client
        self._messages = client.messages
        self._segment = segment
        self._running = running
        self._random = random.Random(seed)

    def requests(self, count: int) -> Iterator[EdgeRequest]:
        """Yield requests; the agent may answer only those with `OK` among the codes."""
        kinds = (self._bytes, self._mutated, self._bitmap, self._handle, self._mask, self._name)
        for _ in range(count):
            yield self._random.choice(kinds)()

    def _bytes(self) -> EdgeRequest:
        """Draw bytes that are a message only by chance."""
        data = self._random.randbytes(self._random.randrange(1, 200))
        method = self._random.choice(METHODS)
        return EdgeRequest(method=method, message=data, codes=ANY_REFUSAL | {"OK"})

    def _mutated(self) -> EdgeRequest:
        """Draw a good detection with a few bytes changed, or cut off."""
        data = bytearray(self._detection(self._good_bitmap()).SerializeToString())
        for _ in range(self._random.randrange(1, 4)):
            data[self._random.randrange(min(len(data), 40))] = self._random.randrange(256)
        if self._random.random() < 0.3:
            del data[self._random.randrange(len(data)) :]
        return EdgeRequest(
            method="DetectAnomalies", message=bytes(data), codes=ANY_REFUSAL | {"OK"}
        )

    def _bitmap(self) -> EdgeRequest:
        """Draw a bitmap whose sides and bytes do not fit."""
        width, height = (self._random.choice(NUMBERS) for _ in range(2))
        if (width, height) == (96, 64):
            width = 97
        data = bytes(self._random.randrange(20_000))
        bitmap = self._messages.Bitmap(width=width, height=height)
        if self._random.random() < 0.8:
            bitmap.byte_data = data
        return self._refused(self._detection(bitmap))

    def _handle(self) -> EdgeRequest:
        """Draw a handle that is wrong by its name, its size or its offset."""
        bitmap = self._messages.Bitmap(width=96, height=64)
        bitmap.shared_memory_handle.CopyFrom(self._wrong_handle())
        return self._refused(self._detection(bitmap))

    def _mask(self) -> EdgeRequest:
        """Draw a place for the mask that is wrong."""
        request = self._detection(self._good_bitmap())
        handle = self._wrong_handle(small=True)
        request.anomaly_mask_params.shared_memory_handle.CopyFrom(handle)
        return self._refused(request)

    def _name(self) -> EdgeRequest:
        name = self._random.choice(NAMES)
        method = self._random.choice(METHODS[:-1])
        request = getattr(self._messages, f"{method}Request")(model_component=name)
        codes = INVALID if not name else frozenset({"NOT_FOUND"})
        return EdgeRequest(method=method, message=request, codes=codes)

    def _wrong_handle(self, *, small: bool = False) -> Any:
        handle = self._messages.SharedMemoryHandle(
            name=self._segment.name, size=96 * 64 * 3, offset=0
        )
        match self._random.choice(("name", "size", "offset")):
            case "name":
                handle.name = self._random.choice(NAMES)
            case "size" if small:  # a larger place is good
                handle.size = self._random.choice(SIZES[:3] + SIZES[5:])
            case "size":
                handle.size = self._random.choice(SIZES[:3] + SIZES[4:])
            case _:
                handle.offset = self._random.choice(SIZES[4:])
        return handle

    def _good_bitmap(self) -> Any:
        return self._messages.Bitmap(width=96, height=64, byte_data=bytes(96 * 64 * 3))

    def _detection(self, bitmap: Any) -> Any:
        return self._client.request(self._running, bitmap)

    @staticmethod
    def _refused(message: Any) -> EdgeRequest:
        return EdgeRequest(method="DetectAnomalies", message=message, codes=INVALID)
