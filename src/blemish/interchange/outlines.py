"""The outlines of a mask, along the edges of its pixels: they give these very pixels again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.interchange.regions import Points


@dataclass(frozen=True, kw_only=True, eq=False)
class Blob:
    """Pixels of a mask that touch each other by their edges."""

    left: int
    top: int
    #: (h, w) of the smallest window
    pixels: NDArray[np.bool_]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom), the edges of the window."""
        height, width = self.pixels.shape
        return self.left, self.top, self.left + width, self.top + height


def blobs(mask: NDArray[np.bool_]) -> Iterator[Blob]:
    """Yield the connected parts of an (H, W) mask, from top to bottom."""
    runs = _row_runs(mask)
    groups = defaultdict[int, list[tuple[int, int, int]]](list)
    for run, root in zip(runs, _roots(runs), strict=True):
        groups[root].append(run)
    for group in groups.values():
        left, right = min(start for _, start, _ in group), max(end for _, _, end in group)
        top, bottom = group[0][0], group[-1][0] + 1
        pixels = np.zeros((bottom - top, right - left), dtype=np.bool_)
        for row, start, end in group:
            pixels[row - top, start - left : end - left] = True
        yield Blob(left=left, top=top, pixels=pixels)


def blob_outline(blob: Blob) -> tuple[Points, bool]:
    """Return one outline of a blob, and whether it has holes.

    Each hole is joined to the outline by a bridge that runs there and back, so that by the even-odd
    rule it stays a hole.
    """
    rings = sorted(_rings(blob.pixels), key=_area, reverse=True)
    outer, *holes = rings
    parts = [outer]
    for hole in holes:
        parts += [outer[:1], hole, hole[:1]]
    if holes:
        parts.append(outer[:1])
    corner = np.array([blob.left, blob.top], dtype=np.float64)
    return np.concatenate(parts) + corner, bool(holes)


def _row_runs(mask: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return (row, start, end) of all runs of pixels, row by row."""
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    changes = np.diff(padded, axis=1)
    rows, starts = np.nonzero(changes == 1)
    _, ends = np.nonzero(changes == -1)
    return list(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True))


def _roots(runs: list[tuple[int, int, int]]) -> list[int]:
    """Return the number of the blob of each run; overlapping runs of neighbouring rows unite."""
    parents = list(range(len(runs)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    above = 0
    for index, (row, start, end) in enumerate(runs):
        while above < index and (
            runs[above][0] < row - 1 or (runs[above][0] == row - 1 and runs[above][2] <= start)
        ):
            above += 1
        other = above
        while other < index and runs[other][0] == row - 1 and runs[other][1] < end:
            parents[root(index)] = root(other)
            other += 1
    return [root(index) for index in range(len(runs))]


def _rings(pixels: NDArray[np.bool_]) -> Iterator[Points]:
    """Yield the closed outlines of pixels, as their corners."""
    following = _edges(pixels)
    while following:
        start = next(iter(following))
        ring, corner = [start], following[start].pop()
        while corner != start:
            ring.append(corner)
            corner = following[corner].pop()
        for point in ring:
            if point in following and not following[point]:
                del following[point]
        yield _corners(np.array(ring))


def _edges(pixels: NDArray[np.bool_]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Return the edges between inside and outside: corner -> the next ones, inside on the right."""
    padded = np.pad(pixels, 1).astype(np.int8)
    down, across = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    following: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for y, x in np.argwhere(down).tolist():
        start, end = ((x, y), (x + 1, y)) if down[y, x] > 0 else ((x + 1, y), (x, y))
        following[start].append(end)
    for y, x in np.argwhere(across).tolist():
        start, end = ((x, y + 1), (x, y)) if across[y, x] > 0 else ((x, y), (x, y + 1))
        following[start].append(end)
    return following


def _corners(ring: NDArray[np.int64]) -> Points:
    """Return a ring without the points on straight lines."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    is_corner = np.any(before != after, axis=1)
    return np.asarray(ring[is_corner], dtype=np.float64)


def _area(ring: Points) -> float:
    x, y = ring.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
