"""How well two reviewers agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

LEAST_IMAGES = 10
"""Fewer images that both have decided on say nothing about their agreement."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The decisions of two reviewers on the same images."""

    reviewers: tuple[str, str]
    #: that both have decided on
    images: int
    #: of which both said the same
    same: int
    #: Cohen's kappa: 1 for the same decisions, 0 for what chance alone gives; None if it cannot be
    #: computed, with `reason`
    kappa: float | None
    reason: str


def agreements(decisions: Iterable[tuple[str, str, bool]]) -> list[Agreement]:
    """Compare all pairs of reviewers that have decided on the same images.

    Args:
        decisions: image, reviewer, and whether the part is not OK.
    """
    by_reviewer: dict[str, dict[str, bool]] = {}
    for image, reviewer, is_anomalous in decisions:
        by_reviewer.setdefault(reviewer, {})[image] = is_anomalous
    pairs = []
    for first, second in combinations(sorted(by_reviewer), 2):
        one, other = by_reviewer[first], by_reviewer[second]
        common = Counter((one[image], other[image]) for image in one.keys() & other.keys())
        if common:
            kappa, reason = _kappa(common)
            same = common[True, True] + common[False, False]
            pairs.append(
                Agreement(
                    reviewers=(first, second),
                    images=common.total(),
                    same=same,
                    kappa=kappa,
                    reason=reason,
                )
            )
    return pairs


def _kappa(common: Counter[tuple[bool, bool]]) -> tuple[float | None, str]:
    """Return Cohen's kappa, or None and why it cannot be computed.

    Source: Cohen, "A coefficient of agreement for nominal scales", 1960.
    """
    images = common.total()
    if images < LEAST_IMAGES:
        return None, f"not measurable: fewer than {LEAST_IMAGES} images in common"
    first, second = (
        sum(count for answers, count in common.items() if answers[index]) / images
        for index in (0, 1)
    )
    by_chance = first * second + (1 - first) * (1 - second)
    if by_chance >= 1:
        return None, "not measurable: both gave every image the same answer"
    observed = (common[True, True] + common[False, False]) / images
    return (observed - by_chance) / (1 - by_chance), ""
