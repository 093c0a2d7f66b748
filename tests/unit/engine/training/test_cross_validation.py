import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.scorers.image_gaussian import IMAGE_GAUSSIAN, ImageGaussian
from blemish.engine.scorers.image_head import IMAGE_HEAD
from blemish.engine.scorers.memory_bank import MEMORY_BANK, MemoryBank
from blemish.engine.scorers.moments import Moments
from blemish.engine.scorers.patch_head import PATCH_HEAD, PatchHead
from blemish.engine.scorers.pooling import image_score, pooled_embedding
from blemish.engine.scorers.subspace import SUBSPACE
from blemish.engine.training.cross_validation import (
    CrossValidation,
    cross_validate,
    fit_scorers,
    normal_rows,
    own_fold_scores,
)
from blemish.engine.training.features import EmbeddedImage, FoldPart, TrainingFeatures
from blemish.engine.training.labeled_images import Progress

WIDTH, GRID = 5, (6, 8)
SAME: NDArray[np.float32] = np.eye(WIDTH, dtype=np.float32)


def patches(seed: int, *, middle: float = 0.0) -> NDArray[np.float32]:
    spread = np.array([1, 1, 1, 0.05, 0.05])
    rows = np.random.default_rng(seed).normal(0, spread, (GRID[0] * GRID[1], WIDTH))
    rows[:, 3] += middle
    return rows.astype(np.float32)


def features(
    *, normal: int, anomalous: int = 0, folds: int = 5, strange: int = 0
) -> TrainingFeatures:
    """Deal images out to folds; `strange` ones are normal, alike, and all in fold 0."""
    collected = TrainingFeatures(
        projections={MEMORY_BANK.name: SAME},
        grid=GRID,
        folds=[FoldPart(moments=Moments.none(WIDTH)) for _ in range(folds)],
    )
    images = [(seed % folds, Label.NORMAL, patches(seed)) for seed in range(normal)]
    images += [(0, Label.NORMAL, patches(500, middle=20))] * strange
    images += [
        (seed % folds, Label.ANOMALY, patches(100 + seed, middle=8)) for seed in range(anomalous)
    ]
    for fold, label, rows in images:
        part = collected.folds[fold]
        part.pooled[label].append(pooled_embedding(rows))
        if label is Label.NORMAL:
            part.candidates[MEMORY_BANK.name].append(rows)
            part.moments += Moments.of(rows)
        collected.embedded_images.append(EmbeddedImage.of(label, rows, fold=fold, marked=None))
    return collected


def cross_validated(images: TrainingFeatures, *, threads: int = 1) -> CrossValidation:
    return cross_validate(images, seed=0, threads=threads, progress=lambda _: None)


def test_identical_images_of_one_fold_are_not_fitted_to_each_other() -> None:
    result = cross_validated(features(normal=10, strange=3))

    for scorer in (MEMORY_BANK, SUBSPACE):
        strange = own_fold_scores(result.patch_scores[scorer], result.fold_of)[10:]
        assert strange.min() > 10  # a scorer fitted to one of them would return 0


def test_neither_the_own_fold_nor_the_outer_one_is_fitted_to() -> None:
    images = features(normal=10, anomalous=10)

    result = cross_validated(images)

    for outer, row in ((2, 4), (0, 7), (3, 3), (1, 13)):
        image = images.embedded_images[row]
        fitted = fit_scorers(images, {outer, image.fold}, seed=0)
        pooled = pooled_embedding(image.embeddings)[np.newaxis]
        bank, gaussian, head = (
            fitted[scorer] for scorer in (MEMORY_BANK, IMAGE_GAUSSIAN, PATCH_HEAD)
        )
        assert isinstance(bank, MemoryBank)
        assert isinstance(gaussian, ImageGaussian)
        assert isinstance(head, PatchHead)
        expected = bank.patch_scores(image.embeddings)
        assert (result.patch_scores[MEMORY_BANK][outer, row] == expected).all()
        image_scores = result.image_scores
        assert image_scores[IMAGE_GAUSSIAN][outer, row] == gaussian.image_scores(pooled)[0]
        margins = head.patch_scores(image.embeddings)
        assert image_scores[PATCH_HEAD][outer, row] == image_score(margins)


def test_scorers_of_normal_images_are_not_fitted_to_anomalies() -> None:
    result = cross_validated(features(normal=10, anomalous=10))

    scores = own_fold_scores(result.patch_scores[SUBSPACE], result.fold_of)
    assert scores[result.anomalous].min() > 2 * scores[~result.anomalous].max()


@pytest.mark.parametrize("anomalous", [0, 1, 2])
def test_no_head_is_fitted_to_too_few_anomalies(anomalous: int) -> None:
    images = features(normal=10, anomalous=anomalous)

    assert set(cross_validated(images).image_scores) == {IMAGE_GAUSSIAN}
    assert IMAGE_HEAD not in fit_scorers(images, (), seed=0)


@pytest.mark.parametrize(("folds", "fits"), [(5, 15), (3, 6), (2, 2)])
def test_every_fold_and_every_pair_of_folds_is_left_out_once(folds: int, fits: int) -> None:
    steps: list[Progress] = []

    cross_validate(features(normal=6, folds=folds), seed=0, threads=1, progress=steps.append)

    # half of the progress is of the fits, half of the images that they score
    assert [(step.done, step.total) for step in steps] == [
        (done, 2 * fits) for done in range(2 * fits + 1)
    ]


def test_with_two_folds_each_is_scored_by_the_other() -> None:
    scores = cross_validated(features(normal=6, folds=2)).patch_scores[MEMORY_BANK]

    assert (scores[0] == scores[1]).all()
    assert scores.max() > 0


def test_scores_do_not_depend_on_the_number_of_threads() -> None:
    images = features(normal=9, anomalous=6)

    first, second = cross_validated(images, threads=1), cross_validated(images, threads=3)

    for scorer, values in first.patch_scores.items():
        assert (values == second.patch_scores[scorer]).all()
    for scorer, scores in first.image_scores.items():
        assert (scores == second.image_scores[scorer]).all()


def test_normal_rows_leave_out_folds_and_anomalies() -> None:
    result = cross_validated(features(normal=10, anomalous=5))

    assert result.folds == 5
    assert normal_rows(result).tolist() == list(range(10))
    assert normal_rows(result, without=(0, 2)).tolist() == [1, 3, 4, 6, 8, 9]
