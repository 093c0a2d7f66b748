from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import pytest

from blemish.edge.errors import InvalidCallError
from blemish.edge.shared_memory import (
    SEGMENTS,
    SharedMemoryPart,
    _behind,
    check_part,
    read_part,
    write_part,
)
from tests.edge_agents import view

SIZE = 100


@pytest.fixture
def segment() -> Iterator[SharedMemory]:
    memory = SharedMemory(create=True, size=SIZE)
    view(memory)[:] = bytes(range(SIZE))
    yield memory
    memory.close()
    memory.unlink()


def part(segment: SharedMemory, *, size: int = SIZE, offset: int = 0) -> SharedMemoryPart:
    return SharedMemoryPart(name=segment.name, size=size, offset=offset)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_part_is_read_with_and_without_the_slash(segment: SharedMemory, slash: str) -> None:
    name = slash + segment.name.removeprefix("/")

    assert read_part(SharedMemoryPart(name=name, size=3, offset=7)) == bytes([7, 8, 9])


def test_writing_changes_the_part_alone(segment: SharedMemory) -> None:
    write_part(part(segment, size=4, offset=10), b"\xff\xff\xff")

    assert bytes(view(segment)[9:15]) == bytes([9, 255, 255, 255, 13, 14])


def test_more_chunks_than_one_call_takes_are_written_in_order() -> None:
    chunks = [bytes([number % 251]) * (number % 3) for number in range(2_500)]
    size = sum(map(len, chunks))
    memory = SharedMemory(create=True, size=size)
    try:
        write_part(part(memory, size=size), *chunks)

        assert bytes(view(memory)[:size]) == b"".join(chunks)
    finally:
        memory.close()
        memory.unlink()


def test_what_a_call_left_is_written_by_the_next() -> None:
    chunks: list[bytes | memoryview] = [b"ab", b"", b"cde"]

    rests = [b"".join(_behind(chunks, count)) for count in range(6)]

    assert rests == [b"abcde", b"bcde", b"cde", b"de", b"e", b""]


@pytest.mark.parametrize(
    ("size", "offset"), [(SIZE + 1, 0), (1, SIZE), (SIZE, 1), (2**64 - 1, 0), (1, 2**64 - 1)]
)
@pytest.mark.parametrize("use", [read_part, lambda part: write_part(part, b"")])
def test_a_part_beyond_the_segment_is_refused(
    segment: SharedMemory, size: int, offset: int, use: Any
) -> None:
    with pytest.raises(InvalidCallError, match="the segment has 100 bytes"):
        use(part(segment, size=size, offset=offset))


@pytest.mark.parametrize(
    "name", ["", "/", ".", "..", "/..", "a/b", "../etc/passwd", "a\0b", "x" * 300]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidCallError):
        read_part(SharedMemoryPart(name=name, size=1, offset=0))


def test_a_segment_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidCallError, match="No such file or directory"):
        read_part(SharedMemoryPart(name="blemish-none", size=1, offset=0))


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_a_segment_is_opened(kind: str, tmp_path: Path) -> None:
    path = SEGMENTS / f"blemish-test-{os.getpid()}-{kind}"
    match kind:
        case "link":
            target = tmp_path / "secret"
            target.write_bytes(b"secret")
            path.symlink_to(target)
        case "folder":
            path.mkdir()
        case _:
            os.mkfifo(path)
    try:
        with pytest.raises(InvalidCallError):
            read_part(SharedMemoryPart(name=path.name, size=1, offset=0))
    finally:
        path.rmdir() if kind == "folder" else path.unlink()


def test_a_part_for_a_mask_must_be_large_enough(segment: SharedMemory) -> None:
    check_part(part(segment), least_bytes=SIZE, writable=True)

    with pytest.raises(InvalidCallError, match="at least 60 bytes are needed"):
        check_part(part(segment, size=59), least_bytes=60, writable=True)
    with pytest.raises(InvalidCallError, match="60 bytes are needed"):
        write_part(part(segment, size=59), bytes(60))
