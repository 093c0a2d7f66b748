import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.engine.scorers import patch_classifier as heads
from blemish.engine.scorers.patch_classifier import HIDDEN, PatchClassifier


def fit_patch_classifier(
    embeddings: NDArray[np.float32], shares: NDArray[np.float32], *, seed: int = 0
) -> PatchClassifier:
    """Fit a head by a seed."""
    generator = np.random.default_rng(seed)
    return heads.fit_patch_classifier(embeddings, shares, generator=generator)


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


def share_of(head: PatchClassifier, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much of the patches each class gets."""
    chosen = head.logits(embeddings).argmax(axis=1)
    counts = np.bincount(chosen, minlength=len(head.bias))
    return (counts / len(chosen)).astype(np.float32)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_classes_that_lie_apart_are_told_apart(classes: int) -> None:
    embeddings, shares = patches(classes)

    head = fit_patch_classifier(embeddings, shares)

    assert head.hidden_weights.shape == (6, HIDDEN)
    assert head.weights.shape == (HIDDEN, classes)
    fresh, truth = patches(classes)
    assert (head.logits(fresh).argmax(axis=1) == truth.argmax(axis=1)).mean() > 0.98


def test_a_rare_type_is_found_although_the_background_is_large() -> None:
    embeddings, shares = patches(2, per_class=3_000)
    kept = np.concatenate([np.arange(3_000), np.arange(3_000, 3_040)])

    head = fit_patch_classifier(embeddings[kept], shares[kept])

    assert share_of(head, embeddings[3_000:])[1] > 0.95
    assert share_of(head, embeddings[:3_000])[0] > 0.98


def test_classes_that_no_plane_separates_are_told_apart() -> None:
    generator = np.random.default_rng(1)
    embeddings = generator.normal(0, 1, (4_000, 4)).astype(np.float32)
    inside = np.abs(embeddings[:, 0]) < 0.7
    shares = np.stack([inside, ~inside], axis=1).astype(np.float32)

    head = fit_patch_classifier(embeddings, shares)

    chosen = head.logits(embeddings).argmax(axis=1)
    assert (chosen == ~inside).mean() > 0.9  # a plane reaches 0.76


def test_classes_are_balanced_half_way() -> None:
    same = np.ones((10_000, 2), dtype=np.float32)  # nothing tells these patches apart
    shares = np.eye(2, dtype=np.float32)[(np.arange(10_000) >= 9_000).astype(int)]

    head = fit_patch_classifier(same, shares)

    background, stain = head.logits(same[:1])[0]
    assert background - stain == pytest.approx(np.log(9) / 2, abs=0.2)


def test_a_class_that_has_nothing_is_not_answered() -> None:
    embeddings, shares = patches(2)
    shares = np.concatenate([shares, np.zeros((len(shares), 1), np.float32)], axis=1)

    head = fit_patch_classifier(embeddings, shares)

    assert set(head.logits(embeddings).argmax(axis=1)) == {0, 1}


def test_shifted_logits_are_higher_by_the_offsets() -> None:
    embeddings, shares = patches(2)
    head = fit_patch_classifier(embeddings, shares)

    shifted = head.shifted(np.array([0, -1.5], np.float32))

    difference = shifted.logits(embeddings) - head.logits(embeddings)
    np.testing.assert_allclose(difference, np.tile([0, -1.5], (len(embeddings), 1)), atol=1e-4)


def test_a_patch_counts_by_the_share_of_its_area() -> None:
    embeddings = np.ones((100, 2), dtype=np.float32)
    mostly_second = np.tile(np.array([0.2, 0.8], np.float32), (100, 1))

    head = fit_patch_classifier(embeddings, mostly_second)

    assert head.logits(embeddings).argmax(axis=1).tolist() == [1] * 100


def test_the_same_patches_and_seed_give_the_same_head() -> None:
    first, second = (fit_patch_classifier(*patches(3), seed=5) for _ in range(2))

    assert (first.hidden_weights == second.hidden_weights).all()
    assert (first.hidden_bias == second.hidden_bias).all()
    assert (first.weights == second.weights).all()
    assert (first.bias == second.bias).all()


def test_a_few_patches_are_enough() -> None:
    embeddings, shares = patches(2, per_class=3)

    head = fit_patch_classifier(embeddings, shares)

    assert (head.logits(embeddings).argmax(axis=1) == shares.argmax(axis=1)).all()


def test_a_channel_that_never_changes_does_no_harm() -> None:
    embeddings, shares = patches(2)
    embeddings[:, 0] = 7.0

    head = fit_patch_classifier(embeddings, shares)

    assert np.isfinite(head.hidden_weights).all()
    assert (head.logits(embeddings).argmax(axis=1) == shares.argmax(axis=1)).mean() > 0.98


def test_what_a_constant_channel_is_off_by_rounding_decides_nothing() -> None:
    generator = np.random.default_rng(0)
    embeddings = generator.normal(0, 1, (400, 4)).astype(np.float32)
    embeddings[:, 3] = -6.906  # as kept in half precision
    shares = np.stack([embeddings[:, 0] < 0, embeddings[:, 0] >= 0], axis=1).astype(np.float32)
    head = fit_patch_classifier(embeddings, shares)

    exact = embeddings.copy()
    exact[:, 3] = -6.9078

    np.testing.assert_allclose(head.logits(exact), head.logits(embeddings), atol=0.3)
