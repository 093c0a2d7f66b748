"""Images and masks in POSIX shared memory that a client made.

Segments are read and written by file operations instead of a mapping: a client that shortens its
segment while it is used gets an error, where a mapping would end the agent by SIGBUS.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blemish.edge.errors import InvalidCallError

SEGMENTS = Path("/dev/shm")  # noqa: S108 - Linux keeps POSIX shared memory there
_MOST_CHUNKS = 1024
"""Of one call. Source: IOV_MAX of Linux."""

_NAME = re.compile(r"/?[^/\0]{1,254}")


@dataclass(frozen=True, kw_only=True)
class SharedMemoryPart:
    """A part of a segment, as a client named it."""

    name: str
    size: int
    offset: int

    def __str__(self) -> str:
        return f"{self.size:,} bytes at {self.offset:,} of the shared memory {self.name!r}"


def check_part(part: SharedMemoryPart, *, least_bytes: int, writable: bool) -> None:
    """Accept a part that is there, and large enough.

    Raises:
        InvalidCallError: it is not.
    """
    with _opened(part, os.O_RDWR if writable else os.O_RDONLY):
        if part.size < least_bytes:
            raise InvalidCallError(f"{part}: at least {least_bytes:,} bytes are needed.")


def read_part(part: SharedMemoryPart) -> memoryview:
    """Read a part.

    Raises:
        InvalidCallError: there is no such part.
    """
    with _opened(part, os.O_RDONLY) as descriptor:
        content, done = np.empty(part.size, dtype=np.uint8).data, 0  # not zeroed first
        while done < part.size:
            count = os.preadv(descriptor, [content[done:]], part.offset + done)
            if count == 0:
                raise InvalidCallError(f"{part}: the segment was shortened.")
            done += count
    return content


def write_part(part: SharedMemoryPart, *chunks: bytes | memoryview) -> None:
    """Write data, in chunks that are not joined first, to the beginning of a part.

    Raises:
        InvalidCallError: there is no such part, or it is too small.
    """
    size = sum(map(len, chunks))
    with _opened(part, os.O_RDWR) as descriptor:
        if size > part.size:
            raise InvalidCallError(f"{part}: {size:,} bytes are needed.")
        position = part.offset
        for first in range(0, len(chunks), _MOST_CHUNKS):
            rest = list(chunks[first : first + _MOST_CHUNKS])
            while rest:
                count = os.pwritev(descriptor, rest, position)
                position += count
                rest = _behind(rest, count)


def _behind(chunks: list[bytes | memoryview], count: int) -> list[bytes | memoryview]:
    """Return what follows the first bytes of some chunks."""
    for number, chunk in enumerate(chunks):
        if count < len(chunk):
            return [memoryview(chunk)[count:], *chunks[number + 1 :]]
        count -= len(chunk)
    return []


@contextmanager
def _opened(part: SharedMemoryPart, flags: int) -> Iterator[int]:
    if not _NAME.fullmatch(part.name) or part.name.removeprefix("/") in {".", ".."}:
        raise InvalidCallError(f"{part.name!r} is no name of shared memory.")
    path = SEGMENTS / part.name.removeprefix("/")
    try:
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidCallError(
            f"The shared memory {part.name!r} cannot be opened: {reason}."
        ) from None
    try:
        _check_segment(part, os.fstat(descriptor))
        yield descriptor
    except OSError as error:
        raise InvalidCallError(f"{part} cannot be used: {error.strerror}.") from None
    finally:
        os.close(descriptor)


def _check_segment(part: SharedMemoryPart, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidCallError(f"{part.name!r} is no shared memory.")
    if part.offset + part.size > status.st_size:
        raise InvalidCallError(f"{part}: the segment has {status.st_size:,} bytes.")
