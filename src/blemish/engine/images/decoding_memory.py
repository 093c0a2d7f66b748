"""The memory for decoded images: one budget for the whole process, given in order.

A file of 300 KB may have 100 million pixels of one colour. Its header says so, and decoding waits
until there is memory for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from blemish.engine.images.formats import JPEG, ImageHeader

DECODED_BYTES = 512 * 1024 * 1024
"""For all images that are decoded at once. A larger one waits until no other is decoded."""

BYTES_PER_PIXEL = 8
"""The decoder's four for RGB, and a copy of three; twice as much with samples of 16 bits."""

JPEG_REDUCTIONS = (8, 4, 2)


class DecodingMemory:
    """Bytes that threads take in the order in which they came."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._free_bytes = size_bytes
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size_bytes: int) -> Iterator[None]:
        """Wait for so much memory, or for all there is, and have it until the end of the context.

        A thread must not take memory twice.
        """
        taken_bytes, ticket = min(size_bytes, self._size_bytes), object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(
                lambda: self._queue[0] is ticket and self._free_bytes >= taken_bytes
            )
            self._queue.popleft()
            self._free_bytes -= taken_bytes
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free_bytes += taken_bytes
                self._changed.notify_all()


MEMORY = DecodingMemory(DECODED_BYTES)
"""The budget of this process."""


def decoding_bytes(header: ImageHeader, *, at_least: tuple[int, int] | None = None) -> int:
    """Return about how much memory it takes to decode an image; `at_least` as for `decode`."""
    width, height = header.size
    pixels = width * height
    if header.media_type == JPEG and at_least is not None:
        pixels //= _reduction(min(header.size), side=max(at_least)) ** 2
    return pixels * BYTES_PER_PIXEL * (2 if header.bits == 16 else 1)


def _reduction(shorter_side: int, *, side: int) -> int:
    """Return by how much a JPEG gets smaller at least, whatever its orientation."""
    return next((by for by in JPEG_REDUCTIONS if shorter_side // by >= side), 1)
