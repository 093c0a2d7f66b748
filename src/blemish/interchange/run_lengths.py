"""Masks as runs of equal pixels, in the encodings of COCO, Label Studio and CVAT.

Sources: pycocotools, `maskApi.c` (rleToString, rleFrString); Label Studio, `converter/brush.py`
(decode_rle, encode_rle); CVAT's manual, "XML annotation format", element `mask`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RUN_BITS = (3, 4, 8, 16)
"""Widths of run lengths that Label Studio writes."""

MAX_BITS = 64
"""Of one number of COCO's text, so that no text makes a huge number."""


def decode_runs(counts: Sequence[int], *, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return an (H, W) mask of alternating runs, the first of background, row by row.

    Raises:
        ValueError: the runs do not cover the (width, height) exactly.
    """
    width, height = size
    if any(count < 0 for count in counts):
        raise ValueError(f"the run length {min(counts)} is negative")
    total = sum(counts)
    if total != width * height:
        raise ValueError(
            f"its runs have {total:,} pixels, but {width:,} x {height:,} are {width * height:,}"
        )
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, np.asarray(counts, dtype=np.int64)).reshape(height, width)


def encode_runs(mask: NDArray[np.bool_]) -> list[int]:
    """Return the alternating runs of an (H, W) mask, the first of background, row by row."""
    flat = mask.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = [0, *changes.tolist(), len(flat)]
    counts = [end - start for start, end in pairwise(edges)]
    return [0, *counts] if flat[0] else counts


def decode_coco_text(text: str) -> list[int]:
    """Return the counts in COCO's compressed text.

    Raises:
        ValueError: the text is cut off or damaged.
    """
    counts: list[int] = []
    number = shift = 0
    for position, character in enumerate(text):
        code = ord(character) - 48
        if not 0 <= code < 64 or shift >= MAX_BITS:
            raise ValueError(f"the text of its runs is damaged at character {position + 1:,}")
        number |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            continue
        if code & 0x10:
            number -= 1 << shift
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    if shift:
        raise ValueError("the text of its runs is cut off")
    return counts


def decode_brush(codes: bytes, *, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the (H, W) mask of Label Studio's brush: pixels that are not transparent.

    Raises:
        ValueError: the codes are cut off, or are not of an image of this (width, height).
    """
    width, height = size
    bits = _BitReader(codes)
    total = bits.take(32)
    if total != 4 * width * height:
        raise ValueError(
            f"its runs have {total:,} values, but {width:,} x {height:,} pixels have "
            f"{4 * width * height:,}"
        )
    word_bits = bits.take(5) + 1
    run_bits = [bits.take(4) + 1 for _ in range(4)]
    values = np.zeros(total, dtype=np.uint8)
    start = 0
    while start < total:
        is_run = bits.take(1)
        end = start + 1 + bits.take(run_bits[bits.take(2)])
        if end > total:
            raise ValueError(f"its runs have more than {total:,} values")
        if is_run:
            values[start:end] = bits.take(word_bits) & 0xFF
        else:
            values[start:end] = [bits.take(word_bits) & 0xFF for _ in range(start, end)]
        start = end
    return values[3::4].reshape(height, width) > 0


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """Return the codes of Label Studio's brush for an (H, W) mask."""
    counts = encode_runs(mask)
    bits = [f"{4 * mask.size:032b}", f"{7:05b}", *(f"{width - 1:04b}" for width in RUN_BITS)]
    for index, count in enumerate(counts):
        bits += _brush_runs(4 * count, 255 * (index % 2))
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _brush_runs(count: int, value: int) -> Iterable[str]:
    while count:
        length = min(count, 1 << RUN_BITS[-1])
        choice = next(row for row, width in enumerate(RUN_BITS) if length <= 1 << width)
        yield f"1{choice:02b}{length - 1:0{RUN_BITS[choice]}b}{value:08b}"
        count -= length


class _BitReader:
    """Numbers of any width from bytes, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, width: int) -> int:
        """Return the next number of so many bits."""
        start, end = self._position, self._position + width
        self._position = end
        last = -(-end // 8)
        if last > len(self._data):
            raise ValueError("its runs are cut off")
        number = int.from_bytes(self._data[start // 8 : last], "big")
        return (number >> (8 * last - end)) & ((1 << width) - 1)
