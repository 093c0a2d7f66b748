import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.engine.scorers.patch_classifier import PatchClassifier
from blemish.engine.training.masked_patches import MaskedPatches, join_patches
from blemish.engine.training.segmentation import (
    MAX_SPECK_AREA,
    assign_mask_folds,
    best_offsets,
    fit_segmentation,
    speck_area,
)

TYPES = ("hole", "stain")
PATCHES = 60
NONE = np.empty((0, 8), np.float32)


def image(seed: int, *types: str) -> MaskedPatches:
    """Draw patches; the first tenth of them shows the first type, the next the second."""
    generator = np.random.default_rng(seed)
    embeddings = generator.normal(0, 1, (PATCHES, 8)).astype(np.float32)
    shares = {}
    for place, name in enumerate(types):
        where = slice(6 * place, 6 * place + 6)
        embeddings[where, TYPES.index(name)] += 4
        shares[name] = np.zeros(PATCHES, np.float32)
        shares[name][where] = 1
    weights = np.ones(PATCHES, np.float32)
    return MaskedPatches(
        digest=f"{seed:03}".encode(), embeddings=embeddings, shares=shares, weights=weights
    )


def images(count: int = 6) -> list[MaskedPatches]:
    normal = [image(seed) for seed in range(count)]
    both = [image(100 + seed, "hole", "stain") for seed in range(count)]
    return normal + both


def answers(seed: int, *types: str) -> NDArray[np.int64]:
    head = fit_segmentation(images(), TYPES, unmasked=NONE, seed=0, threads=1)
    found: NDArray[np.int64] = head.logits(image(seed, *types).embeddings).argmax(axis=1)
    return found


def test_each_type_is_found_where_it_is() -> None:
    found = answers(999, "stain", "hole")

    assert (found[:6] == 2).mean() > 0.8
    assert (found[6:12] == 1).mean() > 0.8
    assert (found[12:] == 0).mean() > 0.95


def test_the_head_does_not_depend_on_threads() -> None:
    one, two = (fit_segmentation(images(), TYPES, unmasked=NONE, seed=0, threads=n) for n in (1, 2))

    assert (one.hidden_weights == two.hidden_weights).all()
    assert (one.bias == two.bias).all()


def test_one_mask_cannot_be_held_out_and_is_enough_for_a_head() -> None:
    only = [*images()[:6], image(100, "hole")]

    head = fit_segmentation(only, ["hole"], unmasked=NONE, seed=0, threads=1)

    assert (head.logits(only[-1].embeddings).argmax(axis=1)[:6] == 1).all()


def test_a_logit_is_lowered_until_the_areas_agree_best() -> None:
    margins = np.array([3, 2.1, 1.2, 0.6, 0.4, -1], np.float32)
    logits = np.stack([np.zeros_like(margins), margins], axis=1)
    stain = np.array([1, 0.9, 0.9, 0, 0, 0], np.float32)
    shares = np.stack([1 - stain, stain], axis=1)

    offsets = best_offsets(logits, shares, np.ones(6, np.float32))

    assert offsets.tolist() == [0, 0.75]  # of those between 0.6 and 1.2 the nearest to none


def test_a_patch_counts_for_all_that_it_stands_for() -> None:
    logits = np.array([[0, 2], [0, 1], [0, -1]], np.float32)
    shares = np.array([[0, 1], [0, 1], [1, 0]], np.float32)
    shares[1] = [0.6, 0.4]

    light = best_offsets(logits, shares, np.array([1, 0.1, 1], np.float32))
    heavy = best_offsets(logits, shares, np.array([0.1, 9, 1], np.float32))

    assert light.tolist() == [0, 1]
    assert heavy.tolist() == [0, 0]


def test_a_type_that_is_not_found_in_held_out_images_is_not_shifted() -> None:
    logits = np.array([[9, 0, 0], [9, 0, 5]], np.float32)
    shares = np.array([[0, 1, 0], [0, 0, 1]], np.float32)

    offsets = best_offsets(logits, shares, np.ones(2, np.float32))

    assert offsets[1] == 0


def test_a_type_that_no_patch_shows_and_none_is_answered_for_is_not_shifted() -> None:
    logits = np.array([[9, 0], [8, 0]], np.float32)
    shares = np.array([[1, 0], [1, 0]], np.float32)

    offsets = best_offsets(logits, shares, np.ones(2, np.float32))

    assert offsets.tolist() == [0, 0]


def test_types_are_dealt_out_evenly_and_identical_images_together() -> None:
    holes = [image(seed, "hole") for seed in range(6)]
    stains = [image(50 + seed, "stain") for seed in range(6)]
    normal = [image(seed) for seed in range(100, 106)]
    together = [*normal, *holes, *stains, holes[2]]

    folds = assign_mask_folds(together)

    for part in (folds[:6], folds[6:12], folds[12:18]):
        assert sorted(part.tolist()) == [0, 0, 1, 1, 2, 2]
    assert folds[18] == folds[8]
    assert assign_mask_folds(together[::-1]).tolist() == folds[::-1].tolist()


@pytest.mark.parametrize(("masks", "folds"), [(0, 1), (1, 1), (2, 2), (9, 3)])
def test_there_are_no_more_folds_than_masks(masks: int, folds: int) -> None:
    dealt = [*(image(seed) for seed in range(20)), *(image(90 + k, "hole") for k in range(masks))]

    assert len(set(assign_mask_folds(dealt).tolist())) == folds


def test_a_quarter_of_the_least_anomaly_is_a_speck() -> None:
    small, large = image(1, "hole"), image(2, "hole", "stain")
    small.weights[:3] = 0.5

    area = speck_area(join_patches([image(0), small, large], TYPES))

    assert area == pytest.approx((3 * 0.5 + 3) / 4)


def test_of_large_anomalies_no_more_than_the_most_is_a_speck() -> None:
    large = image(1, "hole")
    large.weights[:] = 100

    assert speck_area(join_patches([large], TYPES)) == MAX_SPECK_AREA


def test_a_fitted_head_knows_what_a_speck_is() -> None:
    head = fit_segmentation(images(), TYPES, unmasked=NONE, seed=0, threads=1)

    assert head.speck_area == pytest.approx(12 / 4)


def test_images_without_a_mask_are_learned_from() -> None:
    far = np.zeros(8, np.float32)
    far[0], far[7] = 2.5, 9  # more or less a hole, beside something that no mask shows
    generator = np.random.default_rng(3)
    guessed = generator.normal(0, 1, (400, 8)).astype(np.float32) + far
    fresh = generator.normal(0, 1, (200, 8)).astype(np.float32) + far

    without = fit_segmentation(images(), TYPES, unmasked=NONE, seed=0, threads=1)
    learned = fit_segmentation(images(), TYPES, unmasked=guessed, seed=0, threads=1)

    def doubt(head: PatchClassifier) -> float:
        probabilities = head.probabilities(fresh)
        return float((-probabilities * np.log(probabilities + 1e-9)).sum(axis=1).mean())

    assert doubt(learned) != pytest.approx(doubt(without), abs=1e-3)
    assert (learned.logits(image(100, "hole").embeddings).argmax(axis=1)[:6] == 1).mean() > 0.8
