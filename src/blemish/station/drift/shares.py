"""Whether the share of anomalies leaves its band: a binomial test on blocks of images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import exp, lgamma, log, log1p, sqrt
from typing import Any

BASELINE = 500
"""Images from which the band is learned, unless it is set."""

BASELINE_DEVIATIONS = 4.0
"""Half the width of the learned band, in standard errors: one in 16,000 misses the true share."""

BLOCKS = (100, 1_000)
"""Images of a block: the short ones notice a large change soon, the long ones a small one."""

BEGINS = 1e-6
"""An alarm begins if a block, or one further from the band, is less probable than this at the
nearer end of the band. Blocks of both lengths and both ends give at most one false alarm in 45
million images: in 17 months at one image a second."""

ENDS = 1e-2
"""An alarm ends with the first block of its length that is more probable than this."""


@dataclass(frozen=True, kw_only=True)
class ShareBand:
    """The shares of anomalies that are no alarm, 0 to 1."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ShareCount:
    """Images, and how many of them are anomalous."""

    images: int = 0
    anomalous: int = 0

    def plus(self, *, is_anomalous: bool) -> ShareCount:
        """Return the count with one more image."""
        return ShareCount(images=self.images + 1, anomalous=self.anomalous + is_anomalous)


@dataclass(frozen=True, kw_only=True)
class ShareWatch:
    """The test of one source; it is replaced with every image."""

    baseline: ShareCount = ShareCount()
    blocks: tuple[ShareCount, ...] = (ShareCount(),) * len(BLOCKS)
    #: whether the last whole block of each length leaves the band
    outside: tuple[bool, ...] = (False,) * len(BLOCKS)
    #: the last block that began an alarm
    alarm: ShareCount = field(default_factory=ShareCount)

    @property
    def is_outside(self) -> bool:
        """Whether the share has left its band."""
        return any(self.outside)

    def band(self, band: ShareBand | None) -> ShareBand | None:
        """Return the band that is set, or the learned one; None while it is being learned."""
        if band is not None or self.baseline.images < BASELINE:
            return band
        return expected_band(self.baseline, deviations=BASELINE_DEVIATIONS)

    def add(self, *, is_anomalous: bool, band: ShareBand | None) -> ShareWatch:
        """Return the watch after one more image; `band` is the one that is set."""
        current = self.band(band)
        if current is None:
            return replace(self, baseline=self.baseline.plus(is_anomalous=is_anomalous))
        blocks, outside, alarm = list(self.blocks), list(self.outside), self.alarm
        for index, length in enumerate(BLOCKS):
            block = blocks[index].plus(is_anomalous=is_anomalous)
            if block.images >= length:
                chance = block_chance(block, current)
                limit = ENDS if outside[index] else BEGINS
                outside[index] = chance <= limit
                alarm = block if outside[index] else alarm
                block = ShareCount()
            blocks[index] = block
        return replace(self, blocks=tuple(blocks), outside=tuple(outside), alarm=alarm)

    def to_json(self) -> dict[str, Any]:
        """Return it as the records have it."""
        return {
            "baseline": _pair(self.baseline),
            "blocks": [_pair(block) for block in self.blocks],
            "outside": list(self.outside),
            "alarm": _pair(self.alarm),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ShareWatch:
        """Return what `to_json` described."""
        return cls(
            baseline=_count(document["baseline"]),
            blocks=tuple(map(_count, document["blocks"])),
            outside=tuple(document["outside"]),
            alarm=_count(document["alarm"]),
        )


def expected_band(count: ShareCount, *, deviations: float) -> ShareBand:
    """Return the interval of the share that a count lets expect.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    images, share, square = count.images, count.anomalous / count.images, deviations**2
    middle = (share + square / (2 * images)) / (1 + square / images)
    half = deviations / (1 + square / images)
    half *= sqrt(share * (1 - share) / images + square / (4 * images**2))
    low = 0.0 if count.anomalous == 0 else max(middle - half, 0.0)
    high = 1.0 if count.anomalous == images else min(middle + half, 1.0)
    return ShareBand(low=low, high=high)


def block_chance(block: ShareCount, band: ShareBand) -> float:
    """Return how probable it is that a share within the band gives a block so far from it."""
    images, anomalous = block.images, block.anomalous
    above = 1.0 if anomalous <= band.high * images else _upper_tail(images, anomalous, band.high)
    normal = images - anomalous
    below = 1.0
    if anomalous < band.low * images:
        below = _upper_tail(images, normal, 1 - band.low)
    return min(above, below)


@lru_cache(maxsize=256)
def _upper_tail(images: int, count: int, share: float) -> float:
    """Return the probability of at least `count` of `images` at a share."""
    if share <= 0:
        return float(count == 0)
    if share >= 1:
        return 1.0
    total = sum(
        exp(
            lgamma(images + 1)
            - lgamma(number + 1)
            - lgamma(images - number + 1)
            + number * log(share)
            + (images - number) * log1p(-share)
        )
        for number in range(count, images + 1)
    )
    return min(total, 1.0)


def _pair(count: ShareCount) -> list[int]:
    return [count.images, count.anomalous]


def _count(pair: list[int]) -> ShareCount:
    return ShareCount(images=pair[0], anomalous=pair[1])
