"""Selection: the scores that a detector is made of.

With `MIN_ANOMALIES` labelled anomalies or more, candidates are compared by cross-validated scores.
The default candidate stays unless another is better by more than one standard error and by more
than half an anomaly. The default is an average of the scorers of normal images. Heads are added to
it, with more weight the more anomalies there are. With fewer anomalies the default is compared only
with itself without heads: a few labels must not make a detector worse than none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.scorer import Role, ScoreKey, Scorer
from blemish.engine.training.calibration import (
    FALSE_ALARM_RATE,
    MIN_ANOMALIES,
    threshold_rule,
)
from blemish.engine.training.cross_validation import own_fold_scores
from blemish.engine.training.fusion import Fusion, fusion, standard
from blemish.engine.training.score_table import ScoreTable

PRIMARY_SHARE = 2 / 3
"""Share of the memory bank in an average; the other scorers share the rest. With wavelet features
the bank alone had a mean image AUROC of .937 (two splits, five products) and an average of equals
.912; with ResNet-18's .926 and .932: at two thirds they have .928 and .929."""

HEAD_PRIOR = 10
"""With n labelled anomalies each head has the weight `n / (n + HEAD_PRIOR)`; all scorers of normal
images together have 1."""

HEAD_FACTORS = (1.0, 0.5, 0.0, 2.0)
"""Multiples of a head's weight to try, the default first."""

LEAST_LEAD = 0.5
"""Anomalies that a candidate must rank better to replace another. Where both rank nearly all of
them first, the standard error of the difference is near 0, and chance would decide: with ten
anomalies and wavelet features, on castings, one draw in ten fell from .973 to .889."""


GAIN_SHARE = 0.6
"""With five folds, and scores that fall as 1 / n: (5/4 - 5/5) / (5/3 - 5/4)."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A weighted average of scores."""

    name: str
    #: score -> its weight; the weights of the scorers of normal images sum to 1
    shares: Mapping[ScoreKey, float]
    #: index of the score table, one for each resolution
    table: int = 0

    @property
    def has_heads(self) -> bool:
        """Whether labelled anomalies teach a part of the score."""
        return any(key.scorer.role is Role.HEAD for key in self.shares)


@dataclass(frozen=True, kw_only=True)
class CandidateResult:
    """How well the cross-validated scores of a candidate separate anomalies from normal images."""

    candidate: Candidate
    image_auroc: float
    #: of the difference to the first candidate's
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The selected candidate."""

    candidate: Candidate
    fusion: Fusion
    #: of all candidates; empty without a comparison
    results: tuple[CandidateResult, ...]
    #: (F, m) scores by scorers and selections that have not seen the outer fold
    outer_scores: NDArray[np.float64]
    #: (m,) those of the image's own fold
    scores: NDArray[np.float64]
    #: how much lower normal images score by scorers that are fitted to all of them
    gain: float


def select(tables: Sequence[ScoreTable]) -> Selection:
    """Select a candidate, and score every image by selections that have not seen it.

    Only one number of a selection depends on all images: the alignment of the normal ones.

    Args:
        tables: of the same images, at one resolution or at several, the lowest first.
    """
    everything = np.ones(len(tables[0].fold_of), dtype=np.bool_)
    candidate, results = _best_candidate(tables, None, everything)
    table = tables[candidate.table]
    if not results:
        candidate = _with_useful_heads(candidate, table)
    final = _fusion_of(candidate, table, None, everything)
    if results:
        outer_scores = _outer_scores(tables)
    else:
        outer_scores = np.tile(_fused(final, candidate, table), (table.folds, 1))
    return Selection(
        candidate=candidate,
        fusion=final,
        results=results,
        outer_scores=outer_scores,
        scores=own_fold_scores(outer_scores, table.fold_of),
        gain=_gain(final, candidate, table),
    )


def _with_useful_heads(candidate: Candidate, table: ScoreTable) -> Candidate:
    """Return a candidate without its heads, unless they help on images that were held out.

    Without them a labelled anomaly must be missed, and with them the anomalies must be ranked no
    worse and no more verdicts be wrong. Where the scorers of normal images find every anomaly,
    heads only add chance: on papers they tripled the false alarms (docs/notes/thresholds.md).
    """
    if not candidate.has_heads:
        return candidate
    shares = {
        key: share for key, share in candidate.shares.items() if key.scorer.role is not Role.HEAD
    }
    plain = Candidate(name="average", shares=shares, table=candidate.table)
    auroc, wrong = _held_out_verdicts(candidate, table)
    plain_auroc, plain_wrong = _held_out_verdicts(plain, table)
    is_useful = (
        (plain_wrong & table.anomalous).any()
        and auroc >= plain_auroc
        and wrong.sum() <= plain_wrong.sum()
    )
    return candidate if is_useful else plain


def _held_out_verdicts(candidate: Candidate, table: ScoreTable) -> tuple[float, NDArray[np.bool_]]:
    """Return the image AUROC of held-out images, and which (m,) are judged wrong."""
    anomalous = table.anomalous
    everything = np.ones(len(anomalous), dtype=np.bool_)
    scores = _fused(_fusion_of(candidate, table, None, everything), candidate, table)
    rule = threshold_rule(
        anomalous, rate=FALSE_ALARM_RATE, bank_alone=not table.scorers(Role.SECONDARY)
    )
    above, _ = _placements(scores, anomalous)
    return float(above.mean()), (scores >= rule(scores, anomalous)) != anomalous


def _outer_scores(tables: Sequence[ScoreTable]) -> NDArray[np.float64]:
    """Return (F, m) scores, each row by a selection that has not seen the outer fold."""
    rows = []
    for outer in range(tables[0].folds):
        inner = tables[0].fold_of != outer
        candidate, _ = _best_candidate(tables, outer, inner)
        table = tables[candidate.table]
        rows.append(
            _fusion_of(candidate, table, outer, inner).fuse(
                {key: table.unseen(key, outer) for key in candidate.shares}
            )
        )
    return np.stack(rows)


def _fused(final: Fusion, candidate: Candidate, table: ScoreTable) -> NDArray[np.float64]:
    """Return (m,) scores by scorers that have not seen the image's fold."""
    return final.fuse({key: table.unseen(key, None) for key in candidate.shares})


def _gain(final: Fusion, candidate: Candidate, table: ScoreTable) -> float:
    """Return how much lower normal images score by scorers that are fitted to all of them.

    Scores fall with the number n of images, about as 1 / n. Their fall from three
    fifths of the images to four is measured on the same images; from four fifths to all they fall
    by `GAIN_SHARE` of that.
    """
    if table.folds < 3:
        return 0.0
    rows = np.flatnonzero(~table.anomalous)
    folds = table.fold_of[rows]
    fewer = {
        key: np.array(
            [np.delete(values[:, row], fold).mean() for row, fold in zip(rows, folds, strict=True)]
        )
        for key, values in ((key, table.scores[key]) for key in candidate.shares)
    }
    measured = final.fuse(fewer).mean() - _fused(final, candidate, table)[rows].mean()
    return max(0.0, GAIN_SHARE * float(measured))


def map_fusion(candidate: Candidate, table: ScoreTable) -> Fusion:
    """Return the fusion of patch scores to an anomaly map: that of the image score, patches only.

    Patch scores are standardised as image scores are, so that threshold and map have one unit. They
    are not scaled by position: then an unusual plain background would outshine a defect on the
    product (on cookies, AUPRO up to 0.3 fell from 0.74 to 0.50).
    """
    shares = defaultdict[ScoreKey, float](float)
    for key, share in candidate.shares.items():
        if key.scorer.scores_patches:
            shares[ScoreKey(key.scorer)] += share
    if not shares:
        scorers = table.scorers(Role.PRIMARY, Role.SECONDARY)
        shares.update({ScoreKey(scorer): 1.0 for scorer in scorers if scorer.positional})
    normal = ~table.anomalous
    standards = {key: standard(table.unseen(key, None)[normal]) for key in shares}
    total = sum(shares.values()) / sum(candidate.shares.values())
    return fusion(shares, standards, total=total)


def candidates_for(tables: Sequence[ScoreTable], inner: NDArray[np.bool_]) -> list[Candidate]:
    """Return the candidates, the default first; with few anomalies it is the only one.

    Args:
        tables: of the same images.
        inner: (m,) the images whose labels the selection may use.
    """
    heads = tables[0].scorers(Role.HEAD)
    anomalous = tables[0].anomalous
    anomalies = int(anomalous[inner].sum())
    weight = anomalies / (anomalies + HEAD_PRIOR)
    if anomalous.sum() < MIN_ANOMALIES:
        (primary,) = tables[0].scorers(Role.PRIMARY)
        return [_candidate("average", _average(tables[0], primary), heads, weight)]
    return [
        _candidate(
            label if index == 0 else _label_at_size(label, table),
            shares,
            heads,
            factor * weight,
            table=index,
        )
        for index, table in enumerate(tables)
        for factor in (HEAD_FACTORS if heads else HEAD_FACTORS[:1])
        for label, shares in _averages(table).items()
    ]


def _average(table: ScoreTable, primary: Scorer) -> dict[ScoreKey, float]:
    """Return the shares of an average: half of the primary share is scaled by position."""
    others = [table.aligned(scorer) for scorer in _secondary(table)]
    primary_share = PRIMARY_SHARE if others else 1.0
    shares = {ScoreKey(primary): primary_share / 2}
    shares |= {key: (1 - primary_share) / len(others) for key in others}
    aligned = table.aligned(primary)
    shares[aligned] = shares.get(aligned, 0.0) + primary_share / 2
    return shares


def _secondary(table: ScoreTable) -> list[Scorer]:
    """Return the secondary scorers for which there are enough normal images."""
    normal = int((~table.anomalous).sum())
    return [
        scorer for scorer in table.scorers(Role.SECONDARY) if normal >= scorer.min_normal_images
    ]


def _averages(table: ScoreTable) -> dict[str, dict[ScoreKey, float]]:
    """Return the shares of scorers of normal images that are tried, the default first."""
    (primary,) = table.scorers(Role.PRIMARY)
    scorers = [primary, *_secondary(table)]
    plain = [ScoreKey(scorer) for scorer in scorers]
    aligned = [table.aligned(scorer) for scorer in scorers]
    patches = [key for key in aligned if key.scorer.positional]
    averages = {
        "average": _average(table, primary),
        **{str(key): {key: 1.0} for key in aligned},
        "average of patch scorers": dict.fromkeys(patches, 1 / len(patches)),
    }
    if aligned != plain:
        averages["average, places alike"] = dict.fromkeys(plain, 1 / len(plain))
        averages |= {str(key): {key: 1.0} for key in plain if key not in aligned}
    averages |= {
        f"average, {bank.name}": _average(table, bank) for bank in table.scorers(Role.ALTERNATIVE)
    }
    return averages


def _label_at_size(label: str, table: ScoreTable) -> str:
    width, height = table.size
    return f"{label}, {width} x {height} pixels"


def _candidate(
    label: str,
    shares: dict[ScoreKey, float],
    heads: Sequence[Scorer],
    weight: float,
    *,
    table: int = 0,
) -> Candidate:
    if not (heads and weight):
        return Candidate(name=label, shares=shares, table=table)
    shares = shares | {ScoreKey(head): weight for head in heads}
    return Candidate(name=f"{label}, heads x {weight:.2g}", shares=shares, table=table)


def _best_candidate(
    tables: Sequence[ScoreTable], outer: int | None, inner: NDArray[np.bool_]
) -> tuple[Candidate, tuple[CandidateResult, ...]]:
    """Select by scores of some images; `outer` is the fold that the scorers have not seen."""
    candidates = candidates_for(tables, inner)
    anomalous = tables[0].anomalous[inner]
    if len(candidates) == 1 or not anomalous.any() or anomalous.all():
        return candidates[0], ()
    placements = []
    for candidate in candidates:
        table = tables[candidate.table]
        fused = _fusion_of(candidate, table, outer, inner).fuse(
            {key: table.unseen(key, outer)[inner] for key in candidate.shares}
        )
        placements.append(_placements(fused, anomalous))
    results = tuple(
        CandidateResult(
            candidate=candidate,
            image_auroc=float(above.mean()),
            standard_error=_error(above - placements[0][0], below - placements[0][1]),
        )
        for candidate, (above, below) in zip(candidates, placements, strict=True)
    )
    aurocs = [result.image_auroc for result in results]
    best, least = int(np.argmax(aurocs)), LEAST_LEAD / int(anomalous.sum())
    for index, (above, below) in enumerate(placements):
        error = _error(placements[best][0] - above, placements[best][1] - below)
        if aurocs[best] - aurocs[index] <= max(error, least):
            return candidates[index], results
    return candidates[best], results


def _fusion_of(
    candidate: Candidate,
    table: ScoreTable,
    outer: int | None,
    inner: NDArray[np.bool_],
) -> Fusion:
    normal = inner & ~table.anomalous
    standards = {key: standard(table.unseen(key, outer)[normal]) for key in candidate.shares}
    return fusion(candidate.shares, standards, total=1)


def _placements(
    scores: NDArray[np.float64], anomalous: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of normal images below each anomaly, and of anomalies above each normal.

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
