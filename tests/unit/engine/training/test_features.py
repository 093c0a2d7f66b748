from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.scorers.memory_bank import MEMORY_BANK
from blemish.engine.training import features as training_features
from blemish.engine.training.features import (
    EmbeddedImage,
    RecomputedImage,
    TrainingFeatures,
    collect_features,
    room_for,
)
from blemish.engine.training.labeled_images import LabeledImage
from blemish.engine.training.validation import training_set, validate_datasets
from tests.products import (
    CHANNELS,
    LIMITS,
    anomalous_images,
    normal_images,
)

PATCHES = 12 * 8
WIDTH = sum(CHANNELS.values())
SAME: NDArray[np.float32] = np.eye(WIDTH, dtype=np.float32)


@pytest.fixture(scope="module")
def embedder(backbone_file: Path) -> Embedder:
    return Embedder(load_backbone(backbone_file), width=96, height=64, threads=1)


def features_of(images: Sequence[LabeledImage], embedder: Embedder) -> TrainingFeatures:
    datasets = validate_datasets(images, limits=LIMITS, mixed_sizes=False, progress=lambda _: None)
    validated = training_set(datasets.training, mixed_sizes=False)
    fold_of = np.arange(len(validated.images)) % 2
    return collect_features(
        validated,
        embedder,
        {MEMORY_BANK.name: SAME},
        fold_of=fold_of,
        limits=LIMITS,
        room=room_for(embedder),
        seed=0,
        progress=lambda _: None,
    )


def candidates(features: TrainingFeatures) -> list[NDArray[np.float32]]:
    return [rows for part in features.folds for rows in part.candidates[MEMORY_BANK.name]]


def test_normal_images_give_candidates_and_every_image_is_kept(embedder: Embedder) -> None:
    images = normal_images(3) + anomalous_images(2, "stain")

    features = features_of(images, embedder)

    assert [rows.shape for rows in candidates(features)] == [(PATCHES, WIDTH)] * 3
    assert sum(part.moments.count for part in features.folds) == 3 * PATCHES
    labels = sorted(image.label for image in features.embedded_images)
    assert labels == [Label.ANOMALY] * 2 + [Label.NORMAL] * 3
    assert all(image.marked is None for image in features.embedded_images)
    assert features.masked == []


def test_a_copy_is_kept_once_for_each_label(embedder: Embedder) -> None:
    (normal, other), (anomaly,) = normal_images(2), anomalous_images(1, "stain")
    contradicting = replace(normal, label=Label.ANOMALY)

    features = features_of([normal] * 9 + [other, contradicting] + [anomaly] * 2, embedder)

    labels = sorted(image.label for image in features.embedded_images)
    assert labels == [Label.ANOMALY] * 2 + [Label.NORMAL] * 2


@given(unit=st.integers(-60, 60), seed=st.integers(0, 2**31))
def test_a_kept_image_loses_little_at_any_scale(unit: int, seed: int) -> None:
    embeddings = np.random.default_rng(seed).normal(0, 2.0**unit, (4, 3)).astype(np.float32)

    kept = EmbeddedImage.of(Label.NORMAL, embeddings, fold=0, marked=None)

    largest = float(np.abs(embeddings).max())
    np.testing.assert_allclose(kept.embeddings, embeddings, rtol=1e-3, atol=1e-6 * largest)


def test_an_image_without_any_feature_is_kept() -> None:
    kept = EmbeddedImage.of(Label.NORMAL, np.zeros((4, 3), np.float32), fold=0, marked=None)

    assert not kept.embeddings.any()


def test_every_image_is_pooled_in_its_fold(embedder: Embedder) -> None:
    features = features_of(normal_images(3) + anomalous_images(2, "stain"), embedder)

    for fold, part in enumerate(features.folds):
        for label in Label:
            fold_images = [
                image
                for image in features.embedded_images
                if (image.fold, image.label) == (fold, label)
            ]
            assert len(part.pooled[label]) == len(fold_images)
            for row, image in zip(part.pooled[label], fold_images, strict=True):
                np.testing.assert_allclose(row[:WIDTH], image.embeddings.mean(axis=0), rtol=1e-3)
                np.testing.assert_allclose(
                    row[WIDTH:], image.embeddings.std(axis=0), rtol=1e-2, atol=1e-4
                )


def test_masks_bring_patches_of_masked_and_of_normal_images(embedder: Embedder) -> None:
    images = [
        *normal_images(2),
        *anomalous_images(3, "stain", masked=True),
        *anomalous_images(1, "stain", first=5_000),  # without a mask: nobody knows which patches
    ]

    features = features_of(images, embedder)

    assert len(features.masked) == 5
    assert sum("stain" in patches.shares for patches in features.masked) == 3
    assert [rows.shape for rows in features.unmasked] == [(PATCHES, WIDTH)]
    marked = [image.marked for image in features.embedded_images if image.marked is not None]
    assert len(marked) == 3
    assert all(0.1 < share.max() <= 1 for share in marked)


def test_memory_is_bounded_by_samples(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_features, "MAX_HELD_OUT", 2)
    monkeypatch.setattr("blemish.engine.training.sampling.MAX_PATCHES", 40)
    monkeypatch.setattr("blemish.engine.training.sampling.MAX_CANDIDATES", 40)
    images = normal_images(4) + anomalous_images(4, "stain", masked=True)

    features = features_of(images, embedder)

    assert [len(rows) for rows in candidates(features)] == [10] * 4
    assert len(features.embedded_images) == 4
    assert all(len(patches.embeddings) <= 5 + 10 for patches in features.masked)


def test_patches_that_are_wide_are_kept_of_fewer_images(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_features, "EMBEDDED_BYTES", 2 * 3 * 2 * PATCHES * WIDTH)

    features = features_of(normal_images(5) + anomalous_images(4, "stain"), embedder)

    labels = [image.label for image in features.embedded_images]
    assert labels.count(Label.NORMAL) == labels.count(Label.ANOMALY) == 3


def test_samples_do_not_depend_on_the_order_of_images(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blemish.engine.training.sampling.MAX_PATCHES", 40)
    monkeypatch.setattr("blemish.engine.training.sampling.MAX_CANDIDATES", 40)
    images = normal_images(4) + anomalous_images(2, "hole", masked=True)

    straight, turned = features_of(images, embedder), features_of(images[::-1], embedder)

    for first, second in zip(candidates(straight), candidates(turned), strict=True):
        assert (first == second).all()
    for a, b in zip(straight.masked, turned.masked, strict=True):
        assert (a.embeddings == b.embeddings).all()


def test_too_many_patches_are_computed_anew_at_each_access(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = features_of(normal_images(3), embedder).embedded_images
    monkeypatch.setattr(training_features, "EMBEDDED_BYTES", 8 * 2 * 3 * 96 * 64)

    recomputed = features_of(normal_images(3), embedder).embedded_images

    assert all(isinstance(image, RecomputedImage) for image in recomputed)
    for image, same in zip(stored, recomputed, strict=True):
        np.testing.assert_allclose(image.embeddings, same.embeddings, atol=2e-3)
        np.testing.assert_array_equal(same.rows(np.array([5, 7])), same.embeddings[[5, 7]])
