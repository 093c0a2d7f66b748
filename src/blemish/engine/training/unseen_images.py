"""The verdicts of a cross-validation: each image is judged by detectors that have not seen it.

Scorers, selection and threshold of an image leave out its fold. Thresholds of folds differ, so each
score is moved by the distance of its fold's threshold to the final one: then one threshold gives
all verdicts, and moving it is the same for all images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.training.calibration import Calibration, ThresholdRule
from blemish.engine.training.score_table import ScoreTable
from blemish.engine.training.selection import Selection


@dataclass(frozen=True, kw_only=True)
class UnseenImage:
    """The verdict on a training image by detectors that have not seen it."""

    #: SHA-256 of the image's bytes
    digest: bytes
    label: Label
    score: float
    confidence: float
    is_anomalous: bool


def unseen_images(
    digests: Sequence[bytes],
    selection: Selection,
    table: ScoreTable,
    calibration: Calibration,
    rule: ThresholdRule,
) -> tuple[UnseenImage, ...]:
    """Return the verdict on each image that was cross-validated.

    Args:
        digests: SHA-256 of the images of the table.
        selection: of the final detector, with the scores of the folds.
        table: with folds and labels.
        calibration: of the final detector.
        rule: that its threshold follows.
    """
    scores = _moved_scores(selection, table, calibration.threshold, rule).tolist()
    limit = np.float32(calibration.threshold)
    verdicts = []
    for digest, anomalous, score in zip(digests, table.anomalous.tolist(), scores, strict=True):
        is_anomalous = bool(score >= limit)
        verdicts.append(
            UnseenImage(
                digest=digest,
                label=Label.ANOMALY if anomalous else Label.NORMAL,
                score=score,
                confidence=calibration.confidence(score, is_anomalous=is_anomalous),
                is_anomalous=is_anomalous,
            )
        )
    return tuple(verdicts)


def _moved_scores(
    selection: Selection, table: ScoreTable, threshold: float, rule: ThresholdRule
) -> NDArray[np.float32]:
    """Return (m,) scores that compare with the final threshold as they do with their fold's."""
    moved = np.empty(len(table.fold_of))
    for outer, scores in enumerate(selection.outer_scores):
        inside = table.fold_of != outer
        own = rule(scores[inside], table.anomalous[inside])
        moved[~inside] = scores[~inside] - own + threshold
    return moved.astype(np.float32)
