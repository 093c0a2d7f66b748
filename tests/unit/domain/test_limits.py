from __future__ import annotations

import pytest

from blemish.domain.limits import ORIGINAL, OURS, PROFILES, Limits, with_longest_side

TABLE = [
    ("max_requests_per_s", None, 5),
    ("detect_body_bytes", 32 * 1024 * 1024, 8 * 1024 * 1024),
    ("image_min_side", 64, 64),
    ("image_max_side", 16_384, 4_096),
    ("image_max_pixels", 100_000_000, 4_096 * 4_096),
    ("max_training_images", 100_000, 16_000),
    ("max_test_images", 100_000, 4_000),
    ("max_masked_training_images", 100_000, 8_000),
    ("max_masked_test_images", 100_000, 800),
    ("single_min_normal", 15, 20),
    ("single_min_anomaly", 0, 10),
    ("train_min_normal", 10, 10),
    ("test_min_normal", 0, 10),
    ("test_min_anomaly", 0, 10),
    ("test_min_labeled", 1, 20),
    ("single_min_masks_per_type", 5, 20),
    ("two_min_masks_per_type", 5, 10),
    ("max_anomaly_types", 100, 100),
    ("max_anomaly_types_per_mask", 20, 20),
    ("max_concurrent_trainings", None, 2),
    ("max_inference_units", 64, 5),
    ("max_projects", 10_000, 100),
    ("max_models_per_project", 1_000, 100),
    ("max_hosted_models", None, 5),
    ("max_manifest_bytes", 1_000_000_000, 1_000_000_000),
    ("max_tags_per_model", 50, 50),
    ("max_trial_images", 2_000, 2_000),
    ("max_batch_images", 100_000, 16_000),
]


@pytest.mark.parametrize(("name", "ours", "original"), TABLE)
def test_a_limit_is_what_was_decided(name: str, ours: int | None, original: int | None) -> None:
    assert (getattr(OURS, name), getattr(ORIGINAL, name)) == (ours, original)


def test_no_limit_is_left_out() -> None:
    assert {name for name, _, _ in TABLE} == set(vars(OURS))


def test_the_profiles_are_chosen_by_name() -> None:
    assert dict(PROFILES) == {"blemish": OURS, "original": ORIGINAL}


@pytest.mark.parametrize("profile", [OURS, ORIGINAL])
@pytest.mark.parametrize(("side", "pixels"), [(64, 4_096), (10_000, 10**8), (10_001, 10**8)])
def test_a_image_of_another_side_may_be_a_square_within_the_memory_there_is(
    profile: Limits, side: int, pixels: int
) -> None:
    limits = with_longest_side(profile, side)

    assert (limits.image_max_side, limits.image_max_pixels) == (side, pixels)


@pytest.mark.parametrize("profile", [OURS, ORIGINAL])
def test_the_profiles_have_the_pixels_of_their_side(profile: Limits) -> None:
    assert with_longest_side(profile, profile.image_max_side) == profile
