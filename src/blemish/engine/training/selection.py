"""Selection: which scores a detector is made of.

With `MIN_ANOMALIES` labelled anomalies or more, candidates are compared on held-out images, and the
usual one stays unless another is better by more than one standard error, and by more than half an
anomaly. With fewer there is nothing to choose by. The usual one is an average of all scorers of
normal images, to which heads are added, the more the more anomalies they have seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.scorers import BANK
from blemish.engine.training.calibration import MIN_ANOMALIES
from blemish.engine.training.cross_validation import HEADS, IMAGE, IMAGE_HEAD, SUBSPACE
from blemish.engine.training.fusion import Fusion, Standard, fusion, standard
from blemish.engine.training.score_table import BY_PLACE, ScoreTable

BANK_SHARE = 2 / 3
"""Of the memory bank in an average; subspace and image have the rest. With wavelet features the
bank alone had a mean image AUROC of .937 (two splits, five products) and an average of equals .912;
with ResNet-18's .926 and .932: at two thirds they have .928 and .929."""

MIN_IMAGES = 4
"""Different normal images from which on the image scorer takes part: with fewer, a fit without
two folds sees a single one, and nothing of how images vary."""

HEAD_PRIOR = 10
"""With n labelled anomalies each head counts `n / (n + HEAD_PRIOR)`, all scorers of normal images
together 1."""

HEAD_FACTORS = (1.0, 0.5, 0.0, 2.0)
"""Of that weight, what is tried; the usual one first."""

LEAST_LEAD = 0.5
"""How many anomalies a candidate must rank better to be taken for another. Where both rank nearly
all of them first, the standard error of the difference is near 0, and chance would choose: with
ten anomalies and wavelet features, on castings, one draw in ten fell from .973 to .889."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A way to make an image score."""

    name: str
    #: score -> how much it counts; those of the scorers of normal images sum to 1
    shares: Mapping[str, float]
    #: which of the tables they are of
    at: int = 0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A candidate, and how well its held-out scores tell anomalies from normal images."""

    candidate: Candidate
    image_auroc: float
    #: of the difference to the first candidate's
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was chosen."""

    chosen: Candidate
    fusion: Fusion
    #: empty where there was nothing to choose by
    judged: tuple[Judged, ...]
    #: (m,) scores of images that neither parts nor choice have seen
    scores: NDArray[np.float64]


def select(tables: Sequence[ScoreTable]) -> Selection:
    """Choose a candidate, and score every image by choices that did not see it.

    They saw one number that it has a part in: how well the normal images are aligned.

    Args:
        tables: of the same images, at one input resolution or at several, the lowest first.
    """
    fold_of = tables[0].fold_of
    scores = np.empty(len(fold_of))
    for outer in range(tables[0].folds):
        inner = fold_of != outer
        chosen, _ = _choose(tables, outer, inner)
        rows, table = np.flatnonzero(~inner), tables[chosen.at]
        scores[rows] = _fusion_of(chosen, table, outer, inner).fuse(
            {name: table.scores[name][outer, rows] for name in chosen.shares}
        )
    everything = np.ones(len(fold_of), dtype=np.bool_)
    chosen, judged = _choose(tables, None, everything)
    return Selection(
        chosen=chosen,
        fusion=_fusion_of(chosen, tables[chosen.at], None, everything),
        judged=judged,
        scores=scores,
    )


def map_fusion(chosen: Candidate, table: ScoreTable) -> Fusion:
    """Return how an anomaly map is made of patch scores: as the image score, without the rest.

    Standardised as image scores are, so that threshold and map are in one unit. All places count
    alike: by place, what is unusual for a plain background outshines a defect on the product (on
    cookies, AUPRO up to 0.3 fell from 0.74 to 0.50).
    """
    patches = defaultdict[str, float](float)
    for name, share in chosen.shares.items():
        if name not in {IMAGE, IMAGE_HEAD}:
            patches[name.removesuffix(BY_PLACE)] += share
    if not patches:
        patches.update(dict.fromkeys((BANK, SUBSPACE), 1.0))
    normal = ~table.anomalous
    standards = {name: standard(table.held_out(name, None)[normal]) for name in patches}
    total = sum(patches.values()) / sum(chosen.shares.values())
    return fusion(patches, standards, total=total)


def candidates_for(tables: Sequence[ScoreTable], inner: NDArray[np.bool_]) -> list[Candidate]:
    """Return what can be chosen, the usual first; with few anomalies there is one.

    Args:
        tables: of the same images.
        inner: (m,) the images whose labels may be looked at.
    """
    heads = [name for name in HEADS if name in tables[0].scores]
    anomalous = tables[0].anomalous
    seen = int(anomalous[inner].sum())
    weight = seen / (seen + HEAD_PRIOR)
    if anomalous.sum() < MIN_ANOMALIES:
        return [_candidate("average", _average(tables[0], BANK), heads, weight)]
    return [
        _candidate(
            label if at == 0 else _at_size(label, table), shares, heads, factor * weight, at=at
        )
        for at, table in enumerate(tables)
        for factor in (HEAD_FACTORS if heads else HEAD_FACTORS[:1])
        for label, shares in _novelties(table).items()
    ]


def _average(table: ScoreTable, bank: str) -> dict[str, float]:
    """Return shares: half of the bank's with all places alike, half by place."""
    others = [table.local(SUBSPACE), *_image(table)]
    shares = {bank: BANK_SHARE / 2} | dict.fromkeys(others, (1 - BANK_SHARE) / len(others))
    shares[table.local(bank)] = shares.get(table.local(bank), 0.0) + BANK_SHARE / 2
    return shares


def _image(table: ScoreTable) -> list[str]:
    return [IMAGE] if (~table.anomalous).sum() >= MIN_IMAGES else []


def _novelties(table: ScoreTable) -> dict[str, dict[str, float]]:
    """Return the shares of scorers of normal images that are tried, the usual first."""
    local, plain = [table.local(BANK), table.local(SUBSPACE)], [BANK, SUBSPACE]
    novelties = {
        "average": _average(table, BANK),
        **{name: {name: 1.0} for name in (*local, *_image(table))},
        "average of patch scorers": dict.fromkeys(local, 0.5),
    }
    if local != plain:
        alike = [*plain, *_image(table)]
        novelties["average, places alike"] = dict.fromkeys(alike, 1 / len(alike))
        novelties |= {name: {name: 1.0} for name in plain if name not in local}
    novelties |= {f"average, {bank}": _average(table, bank) for bank in table.alternatives}
    return novelties


def _at_size(label: str, table: ScoreTable) -> str:
    width, height = table.size
    return f"{label}, {width} x {height} pixels"


def _candidate(
    label: str, shares: dict[str, float], heads: Sequence[str], weight: float, *, at: int = 0
) -> Candidate:
    if not (heads and weight):
        return Candidate(name=label, shares=shares, at=at)
    shares = shares | dict.fromkeys(heads, weight)
    return Candidate(name=f"{label}, heads x {weight:.2g}", shares=shares, at=at)


def _choose(
    tables: Sequence[ScoreTable], outer: int | None, inner: NDArray[np.bool_]
) -> tuple[Candidate, tuple[Judged, ...]]:
    """Choose by held-out scores of some images; `outer` is the fold that they do not know."""
    candidates = candidates_for(tables, inner)
    if len(candidates) == 1:
        return candidates[0], ()
    anomalous = tables[0].anomalous[inner]
    if not anomalous.any() or anomalous.all():
        return candidates[0], ()
    placements = []
    for candidate in candidates:
        table = tables[candidate.at]
        fused = _fusion_of(candidate, table, outer, inner).fuse(
            {name: table.held_out(name, outer)[inner] for name in candidate.shares}
        )
        placements.append(_placements(fused, anomalous))
    judged = tuple(
        Judged(
            candidate=candidate,
            image_auroc=float(above.mean()),
            standard_error=_error(above - placements[0][0], below - placements[0][1]),
        )
        for candidate, (above, below) in zip(candidates, placements, strict=True)
    )
    aurocs = [each.image_auroc for each in judged]
    best, least = int(np.argmax(aurocs)), LEAST_LEAD / int(anomalous.sum())
    for place, (above, below) in enumerate(placements):
        error = _error(placements[best][0] - above, placements[best][1] - below)
        if aurocs[best] - aurocs[place] <= max(error, least):
            return candidates[place], judged
    return candidates[best], judged


def _fusion_of(
    candidate: Candidate,
    table: ScoreTable,
    outer: int | None,
    inner: NDArray[np.bool_],
) -> Fusion:
    normal = inner & ~table.anomalous
    standards: dict[str, Standard] = {
        name: standard(table.held_out(name, outer)[normal]) for name in candidate.shares
    }
    return fusion(candidate.shares, standards, total=1)


def _placements(
    scores: NDArray[np.float64], anomalous: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return of each anomaly the share of normal images below it, and of each normal the reverse.

    The mean of either is the image AUROC.

    Source: DeLong et al., "Comparing the areas under two or more correlated receiver operating
        characteristic curves", Biometrics 44, 1988.
    """
    normal, anomalies = np.sort(scores[~anomalous]), np.sort(scores[anomalous])

    def share(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
        left = np.searchsorted(others, values, side="left")
        right = np.searchsorted(others, values, side="right")
        return (left + right) / (2 * len(others))

    return share(scores[anomalous], normal), 1 - share(scores[~anomalous], anomalies)


def _error(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    """Return the standard error of the difference of two image AUROCs, given their placements'."""
    variance = sum(
        float(values.var(ddof=1)) / len(values) for values in (above, below) if len(values) > 1
    )
    return float(variance**0.5)
