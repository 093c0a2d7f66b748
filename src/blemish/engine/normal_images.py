"""How the normal images of a training look, and how an image compares with them.

A bundle carries it, so that a line knows from its first image whether its camera is dark, blurred
or moved.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.engine.images.appearance import (
    LAYOUT_SIDE,
    Appearance,
    appearance,
    layout_shift,
    layout_spectrum,
)

BRIGHTNESS, SHARPNESS, SCORE = "brightness", "sharpness", "score"
SHIFT_X, SHIFT_Y, ALIGNMENT = "shift_x", "shift_y", "alignment"
EMBEDDING_DISTANCE = "embedding_distance"

MEDIAN_OF = 25
"""Images of a line whose median is compared with the range of the normal images."""

FALSE_ALARMS = 1e-5
"""Share of lines whose median may lie outside of one end of a range although nothing changed."""

MIN_NORMAL_IMAGES = 10
"""Fewer show too little of how normal images vary."""

LEAST_ALIGNMENT = 7.0
"""Median peak of normal images, from which on a shift means something: below it, parts lie in no
certain place. Castings have 10, solar cells 20, textures 5."""

MOST_NORMAL_IMAGES = 250
"""Images that are measured; more would cost a training time and tell little more."""


@dataclass(frozen=True, kw_only=True)
class MeasuredRange:
    """What a measure is in normal images.

    The median of `MEDIAN_OF` images like them lies below `low`, or above `high`, with a probability
    of at most `FALSE_ALARMS`, whatever their distribution; with fewer than 27 normal images it is
    higher (1e-4 with 19, 4e-3 with 10), and `low` and `high` are the least and the largest.
    """

    low: float
    middle: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The measures of an image, beside those of normal images."""

    values: Mapping[str, float]
    ranges: Mapping[str, MeasuredRange]


@dataclass(frozen=True, kw_only=True)
class NormalImages:
    """The look of the normal images that a detector learned from."""

    #: that were measured
    count: int
    #: (LAYOUT_SIDE, LAYOUT_SIDE) mean luminance
    layout: NDArray[np.uint8]
    ranges: Mapping[str, MeasuredRange]

    def compare(
        self, pixels: NDArray[np.uint8], *, score: float, embedding_distance: float
    ) -> Comparison:
        """Measure an image, (H, W, 3) RGB at the size of the graph, upright."""
        values = _measures(appearance(pixels), self._spectrum)
        values |= {SCORE: score, EMBEDDING_DISTANCE: embedding_distance}
        return Comparison(values=values, ranges=self.ranges)

    @cached_property
    def _spectrum(self) -> NDArray[np.complex128]:
        return layout_spectrum(self.layout)

    def to_json(self) -> dict[str, Any]:
        """Return it as bundle.json has it."""
        return {
            "count": self.count,
            "layout": base64.b64encode(self.layout.tobytes()).decode(),
            "ranges": {
                name: [entry.low, entry.middle, entry.high] for name, entry in self.ranges.items()
            },
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NormalImages:
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        layout = np.frombuffer(base64.b64decode(document["layout"]), dtype=np.uint8)
        ranges = {
            str(name): MeasuredRange(low=float(low), middle=float(middle), high=float(high))
            for name, (low, middle, high) in document["ranges"].items()
        }
        return cls(
            count=int(document["count"]),
            layout=layout.reshape(LAYOUT_SIDE, LAYOUT_SIDE),
            ranges=ranges,
        )


@dataclass(frozen=True, kw_only=True)
class EmbeddingReference:
    """The mean embeddings of normal images, which the graph compares an image's with."""

    #: (d,)
    mean: NDArray[np.float32]
    #: (d,) above 0
    deviation: NDArray[np.float32]


def embedding_reference(embeddings: NDArray[np.float32]) -> EmbeddingReference:
    """Return the reference of mean embeddings (n, d) of normal images.

    Few images show too little of how each channel varies: the mean variance of all is added.
    """
    variance = embeddings.var(axis=0)
    deviation = np.sqrt(variance + variance.mean() + np.float32(1e-12))
    return EmbeddingReference(mean=embeddings.mean(axis=0), deviation=deviation)


def normal_images(
    looks: Sequence[Appearance],
    embeddings: NDArray[np.float32],
    *,
    scores: NDArray[np.float64],
) -> NormalImages | None:
    """Summarize normal images; None if they are too few.

    Each image is compared with the mean of the others: with itself in the mean it would seem nearer
    to it than any further image.

    Args:
        looks: of n images.
        embeddings: (n, d) their mean embeddings.
        scores: (m,) of normal images, by detectors that have not seen them.
    """
    count = len(looks)
    if count < MIN_NORMAL_IMAGES:
        return None
    layouts = np.stack([look.layout for look in looks]).astype(np.float64)
    mean = layouts.mean(axis=0)
    rows = []
    for look, layout in zip(looks, layouts, strict=True):
        others = mean + (mean - layout) / (count - 1)
        rows.append(_measures(look, layout_spectrum(others)))
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    reference = embedding_reference(embeddings)
    offsets = (embeddings - reference.mean) * np.float32(count / (count - 1)) / reference.deviation
    values[EMBEDDING_DISTANCE] = np.sqrt(np.square(offsets).mean(axis=1))
    values[SCORE] = scores
    if np.median(values[ALIGNMENT]) < LEAST_ALIGNMENT:
        for name in (SHIFT_X, SHIFT_Y, ALIGNMENT):
            del values[name]
    return NormalImages(
        count=count,
        layout=np.rint(mean).astype(np.uint8),
        ranges={name: measured_range(entry) for name, entry in values.items() if len(entry)},
    )


def measured_range(values: NDArray[np.floating]) -> MeasuredRange:
    """Return the range of the values (n,) of normal images."""
    ordered = np.sort(values.astype(np.float64))
    rank = _rank(len(ordered))
    return MeasuredRange(
        low=float(ordered[rank - 1]),
        middle=float(np.median(ordered)),
        high=float(ordered[-rank]),
    )


def _rank(count: int) -> int:
    """Return the highest rank among n values that a later median falls below rarely enough.

    The median lies below the value of rank k if, among the values of both in order, fewer than k of
    the n come before the middle one of `MEDIAN_OF`: every order is as likely as any other.
    """
    middle = MEDIAN_OF // 2
    everything, share, rank = comb(count + MEDIAN_OF, MEDIAN_OF), 0.0, 0
    while rank < count // 2:
        share += (
            comb(middle + rank, rank) * comb(MEDIAN_OF - middle - 1 + count - rank, count - rank)
        ) / everything
        if share > FALSE_ALARMS:
            break
        rank += 1
    return max(rank, 1)


def _measures(look: Appearance, reference: NDArray[np.complex128]) -> dict[str, float]:
    shift = layout_shift(layout_spectrum(look.layout), reference)
    return {
        BRIGHTNESS: look.brightness,
        SHARPNESS: look.sharpness,
        SHIFT_X: shift.x,
        SHIFT_Y: shift.y,
        ALIGNMENT: shift.peak,
    }
