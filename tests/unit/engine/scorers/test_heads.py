import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from blemish.domain.entities import Label
from blemish.engine.scorers.heads import fit_image_head, fit_patch_head
from blemish.engine.scorers.scorers import fit_memory_bank
from blemish.engine.training.features import EmbeddedImage

WIDTH, PATCHES = 6, 200
DEFECT = np.array([0, 0, 0, 0, 3, 3], dtype=np.float32)
DISTRACTION = np.array([9, 0, 0, 0, 0, 0], dtype=np.float32)
"""Differs from normal more than the defect does, and is on good and bad images alike."""


def image(seed: int, label: Label, *, masked: bool = False) -> EmbeddedImage:
    generator = np.random.default_rng(seed)
    embeddings = generator.normal(0, 1, (PATCHES, WIDTH)).astype(np.float32)
    embeddings[50] += DISTRACTION
    marked = np.zeros(PATCHES, dtype=np.float32)
    if label is Label.ANOMALY:
        embeddings[:10] += DEFECT
        marked[:10] = 1
    return EmbeddedImage.of(label, embeddings, fold=0, marked=marked if masked else None)


def images(count: int, *, masked: bool = False, first: int = 0) -> list[EmbeddedImage]:
    return [
        image(first + seed, label, masked=masked)
        for label in (Label.NORMAL, Label.ANOMALY)
        for seed in range(count)
    ]


def defect_scores(training: list[EmbeddedImage]) -> NDArray[np.float32]:
    """Return margins of a fresh anomaly's patches."""
    normal = [each.embeddings for each in training if each.label is Label.NORMAL]
    same, generator = np.eye(WIDTH, dtype=np.float32), np.random.default_rng(0)
    bank = fit_memory_bank(np.concatenate(normal), same, generator=generator)
    head = fit_patch_head(training, bank, generator=generator)
    return head.margins(image(900, Label.ANOMALY).embeddings)[:, 0]


def test_a_patch_head_learns_what_masks_mark_and_not_what_is_strange() -> None:
    margins = defect_scores(images(8, masked=True))

    assert np.median(margins[:10]) > 0
    assert np.median(margins[:10]) > margins[50]
    assert np.median(margins[10:]) < 0


def test_without_masks_it_finds_which_patches_make_the_difference() -> None:
    margins = defect_scores(images(12))

    assert np.median(margins[:10]) > np.median(margins[10:])
    assert np.median(margins[:10]) > margins[50]


def test_a_image_head_tells_labels_apart_that_differ_in_one_direction() -> None:
    generator = np.random.default_rng(0)
    normal = list(generator.normal(0, 1, (20, 12)).astype(np.float32))
    shift = np.eye(12, dtype=np.float32)[3] * 4
    anomalous = list(generator.normal(0, 1, (9, 12)).astype(np.float32) + shift)

    head = fit_image_head(normal, anomalous)

    fresh = generator.normal(0, 1, (50, 12)).astype(np.float32)
    assert (head.logits(fresh + shift) > 0).mean() > 0.8
    assert (head.logits(fresh) < 0).mean() > 0.8


@pytest.mark.parametrize(
    ("normals", "anomalies", "width"),
    [(20, 9, 12), (60, 3, 12), (9, 5, 200), (120, 40, 200), (900, 40, 12)],
)
def test_a_image_head_is_the_balanced_logistic_regression(
    normals: int, anomalies: int, width: int
) -> None:
    generator = np.random.default_rng(normals)
    features = generator.normal(3, 2, (normals + anomalies, width)).astype(np.float32)
    features[normals:, 3] += 5
    truth = np.arange(len(features)) >= normals

    head = fit_image_head(list(features[:normals]), list(features[normals:]))

    standardised = (features - features.mean(axis=0)) / features.std(axis=0) / width**0.5
    theirs = LogisticRegression(
        C=10, class_weight="balanced", solver="newton-cholesky", tol=1e-10
    ).fit(standardised.astype(np.float64), truth)
    expected = theirs.decision_function(standardised.astype(np.float64))
    assert head.logits(features) == pytest.approx(expected, abs=2e-3)


def test_a_image_head_of_images_that_are_all_alike_says_neither() -> None:
    same = [np.ones(8, dtype=np.float32)] * 4

    head = fit_image_head(same, same[:2])

    assert head.logits(np.stack(same)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("images", "width", "most"), [(8_000, 128, 1), (600, 640, 8)])
def test_a_image_head_of_many_images_is_fitted_in_little_memory(
    images: int, width: int, most: float
) -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (images, width)).astype(np.float32)
    normal, anomalous = list(features[100:]), list(features[:100])
    tracemalloc.start()

    fit_image_head(normal, anomalous)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most * features.nbytes
