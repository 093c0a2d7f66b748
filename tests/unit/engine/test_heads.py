import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.engine.heads import SegmentationHead, fit_segmentation_head


def patches(
    classes: int, *, per_class: int = 400, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw embeddings around a middle for each class, far from the origin, on two scales."""
    generator = np.random.default_rng(seed)
    middles = generator.normal(0, 4, (classes, 6))
    truth = np.repeat(np.arange(classes), per_class)
    embeddings = 100 + middles[truth] + generator.normal(0, 1, (len(truth), 6))
    embeddings[:, 3:] *= 1e-3
    return embeddings.astype(np.float32), np.eye(classes, dtype=np.float32)[truth]


def share_of(head: SegmentationHead, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much of the patches each class gets."""
    chosen = head.logits(embeddings).argmax(axis=1)
    counts = np.bincount(chosen, minlength=len(head.bias))
    return (counts / len(chosen)).astype(np.float32)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_classes_that_lie_apart_are_told_apart(classes: int) -> None:
    embeddings, shares = patches(classes)

    head = fit_segmentation_head(embeddings, shares)

    assert head.weights.shape == (6, classes)
    fresh, truth = patches(classes)
    assert (head.logits(fresh).argmax(axis=1) == truth.argmax(axis=1)).mean() > 0.98


def test_a_rare_type_is_found_although_the_background_is_large() -> None:
    embeddings, shares = patches(2, per_class=3_000)
    kept = np.concatenate([np.arange(3_000), np.arange(3_000, 3_040)])

    head = fit_segmentation_head(embeddings[kept], shares[kept])

    assert share_of(head, embeddings[3_000:])[1] > 0.95
    assert share_of(head, embeddings[:3_000])[0] > 0.98


def test_classes_are_balanced_half_way() -> None:
    generator = np.random.default_rng(4)
    background, stain = generator.normal(0, 1, 40_000), generator.normal(2, 1, 400)
    embeddings = np.concatenate([background, stain]).astype(np.float32).reshape(-1, 1)
    shares = np.eye(2, dtype=np.float32)[
        (np.arange(len(embeddings)) >= len(background)).astype(int)
    ]

    head = fit_segmentation_head(embeddings, shares)

    # The densities of the two meet at 1, times their sizes at 1 + ln(100) / 2 = 3.3.
    boundary = -(head.bias[1] - head.bias[0]) / (head.weights[0, 1] - head.weights[0, 0])
    assert boundary == pytest.approx(1 + np.log(100) / 4, abs=0.15)


def test_a_patch_counts_by_the_share_of_its_area() -> None:
    embeddings = np.ones((100, 2), dtype=np.float32)
    mostly_second = np.tile(np.array([0.2, 0.8], np.float32), (100, 1))

    head = fit_segmentation_head(embeddings, mostly_second)

    assert head.logits(embeddings).argmax(axis=1).tolist() == [1] * 100


def test_the_same_patches_give_the_same_head() -> None:
    first = fit_segmentation_head(*patches(3))
    second = fit_segmentation_head(*patches(3))

    assert (first.weights == second.weights).all()
    assert (first.bias == second.bias).all()


def test_a_channel_that_never_changes_does_no_harm() -> None:
    embeddings, shares = patches(2)
    embeddings[:, 0] = 7.0

    head = fit_segmentation_head(embeddings, shares)

    assert np.isfinite(head.weights).all()
    assert (head.logits(embeddings).argmax(axis=1) == shares.argmax(axis=1)).mean() > 0.98
