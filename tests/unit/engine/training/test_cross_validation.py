import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.scorers.moments import Moments
from blemish.engine.scorers.scorers import BANK, image_score, pooled_embedding
from blemish.engine.training.cross_validation import (
    HEADS,
    IMAGE,
    SUBSPACE,
    HeldOut,
    diagonal,
    fit_parts,
    hold_out,
    normal_rows,
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


def gathered(
    *, normal: int, anomalous: int = 0, folds: int = 5, strange: int = 0
) -> TrainingFeatures:
    """Deal images out to folds; `strange` ones are normal, alike, and all in fold 0."""
    together = TrainingFeatures(
        projections={BANK: SAME},
        grid=GRID,
        folds=[FoldPart(moments=Moments.none(WIDTH)) for _ in range(folds)],
    )
    wanted = [(seed % folds, Label.NORMAL, patches(seed)) for seed in range(normal)]
    wanted += [(0, Label.NORMAL, patches(500, middle=20))] * strange
    wanted += [
        (seed % folds, Label.ANOMALY, patches(100 + seed, middle=8)) for seed in range(anomalous)
    ]
    for fold, label, rows in wanted:
        part = together.folds[fold]
        part.pooled[label].append(pooled_embedding(rows))
        if label is Label.NORMAL:
            part.candidates[BANK].append(rows)
            part.moments += Moments.of(rows)
        together.embedded_images.append(EmbeddedImage.of(label, rows, fold=fold, marked=None))
    return together


def held_out(images: TrainingFeatures, *, threads: int = 1) -> HeldOut:
    return hold_out(images, seed=0, threads=threads, progress=lambda _: None)


def test_identical_images_of_one_fold_do_not_vouch_for_each_other() -> None:
    found = held_out(gathered(normal=10, strange=3))

    for name in (BANK, SUBSPACE):
        its = diagonal(found.maps[name], found.fold_of)[10:]
        assert its.min() > 10  # a bank or subspace that had seen one would say 0


def test_neither_the_own_fold_nor_the_outer_one_is_seen() -> None:
    images = gathered(normal=10, anomalous=10)

    found = held_out(images)

    for outer, place in ((2, 4), (0, 7), (3, 3), (1, 13)):
        image = images.embedded_images[place]
        parts = fit_parts(images, {outer, image.fold}, seed=0)
        pooled = pooled_embedding(image.embeddings)[np.newaxis]
        bank = parts.banks[BANK].patch_scores(image.embeddings)
        assert (found.maps[BANK][outer, place] == bank).all()
        assert found.scores[IMAGE][outer, place] == parts.image.image_scores(pooled)[0]
        assert parts.patch_head is not None
        margins = parts.patch_head.margins(image.embeddings)[:, 0]
        assert found.scores[HEADS[1]][outer, place] == image_score(margins)


def test_anomalies_never_vouch_for_anything() -> None:
    found = held_out(gathered(normal=10, anomalous=10))

    its = diagonal(found.maps[SUBSPACE], found.fold_of)
    assert its[found.anomalous].min() > 2 * its[~found.anomalous].max()


@pytest.mark.parametrize("anomalous", [0, 1, 2])
def test_too_few_anomalies_teach_no_head(anomalous: int) -> None:
    images = gathered(normal=10, anomalous=anomalous)

    assert set(held_out(images).scores) == {IMAGE}
    assert fit_parts(images, (), seed=0).image_head is None


@pytest.mark.parametrize(("folds", "fits"), [(5, 15), (3, 6), (2, 2)])
def test_every_fold_and_every_pair_of_folds_is_left_out_once(folds: int, fits: int) -> None:
    steps: list[Progress] = []

    hold_out(gathered(normal=6, folds=folds), seed=0, threads=1, progress=steps.append)

    assert [step.done for step in steps] == list(range(1, fits + 1))


def test_with_two_folds_each_is_scored_by_the_other() -> None:
    found = held_out(gathered(normal=6, folds=2))

    assert (found.maps[BANK][0] == found.maps[BANK][1]).all()
    assert found.maps[BANK].max() > 0


def test_scores_do_not_depend_on_the_number_of_threads() -> None:
    images = gathered(normal=9, anomalous=6)

    first, second = held_out(images, threads=1), held_out(images, threads=3)

    for name, values in first.maps.items():
        assert (values == second.maps[name]).all()
    for name, scores in first.scores.items():
        assert (scores == second.scores[name]).all()


def test_normal_rows_leave_out_folds_and_anomalies() -> None:
    found = held_out(gathered(normal=10, anomalous=5))

    assert found.folds == 5
    assert normal_rows(found).tolist() == list(range(10))
    assert normal_rows(found, without=(0, 2)).tolist() == [1, 3, 4, 6, 8, 9]
