import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.training.calibration import Calibration, calibrate, threshold_rule
from blemish.engine.training.fusion import Fusion
from blemish.engine.training.score_table import ScoreTable
from blemish.engine.training.selection import Candidate, Selection
from blemish.engine.training.unseen_images import UnseenImage, unseen_images

FOLDS = 5


def verdicts(
    outer_scores: NDArray[np.float64], anomalous: NDArray[np.bool_], *, gain: float = 0.0
) -> tuple[tuple[UnseenImage, ...], Calibration]:
    """Judge images of five folds, image i of fold i modulo 5."""
    images = len(anomalous)
    fold_of = np.arange(images) % FOLDS
    scores = outer_scores[fold_of, np.arange(images)]
    selection = Selection(
        candidate=Candidate(name="average", shares={}),
        fusion=Fusion(base=0.0, weights={}),
        results=(),
        outer_scores=outer_scores,
        scores=scores,
        gain=gain,
    )
    table = ScoreTable(
        size=(64, 64), fold_of=fold_of, anomalous=anomalous, scores={}, scales={}, alignments={}
    )
    calibration = calibrate(scores, anomalous, gain=gain)
    rule = threshold_rule(anomalous, rate=0.05, bank_alone=False)
    digests = [bytes([image]) for image in range(images)]
    return unseen_images(digests, selection, table, calibration, rule), calibration


@pytest.mark.parametrize("anomalies", [4, 20])
def test_each_image_is_judged_by_the_threshold_of_the_other_folds(anomalies: int) -> None:
    generator = np.random.default_rng(0)
    anomalous = np.arange(40) >= 40 - anomalies
    units = np.array([1.0, 2.0, 5.0, 1.0, 3.0])[:, np.newaxis]  # each selection has its own
    outer_scores = units * (1 + generator.normal(0, 0.1, (FOLDS, 40)) + 0.25 * anomalous)

    images, _ = verdicts(outer_scores, anomalous)

    rule = threshold_rule(anomalous, rate=0.05, bank_alone=False)
    for number, image in enumerate(images):
        outer = number % FOLDS
        others = np.arange(40) % FOLDS != outer
        threshold = rule(outer_scores[outer, others], anomalous[others])
        assert image.is_anomalous == (outer_scores[outer, number] >= threshold)
        assert image.label is (Label.ANOMALY if anomalous[number] else Label.NORMAL)
        assert image.digest == bytes([number])


def test_verdicts_follow_from_the_scores_and_the_final_threshold() -> None:
    generator = np.random.default_rng(1)
    anomalous = np.arange(60) >= 30
    outer_scores = 1 + generator.normal(0, 0.1, (FOLDS, 60)) + 0.15 * anomalous

    images, calibration = verdicts(outer_scores, anomalous)

    limit = np.float32(calibration.threshold)
    assert [image.is_anomalous for image in images] == [image.score >= limit for image in images]
    assert 0 < sum(image.is_anomalous for image in images) < 60
    for image in images:
        assert image.confidence == calibration.confidence(
            image.score, is_anomalous=image.is_anomalous
        )


def test_the_gain_of_the_final_fit_changes_no_verdict_of_other_folds() -> None:
    generator = np.random.default_rng(2)
    scores = 1 + generator.normal(0, 0.1, (FOLDS, 30))
    normal = np.zeros(30, dtype=np.bool_)

    plain, _ = verdicts(scores, normal)
    lower, calibration = verdicts(scores, normal, gain=0.2)

    assert [image.is_anomalous for image in lower] == [image.is_anomalous for image in plain]
    assert [image.score + 0.2 for image in lower] == pytest.approx(
        [image.score for image in plain], abs=1e-6
    )
    assert calibration.gain == 0.2
