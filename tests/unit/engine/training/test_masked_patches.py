import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.engine.images.decode import DecodedImage, ImageError
from blemish.engine.images.orientation import turn
from blemish.engine.training.labeled_images import TrainingMask
from blemish.engine.training.masked_patches import (
    MaskedPatches,
    join_patches,
    mask_shares,
    sample_patches,
)
from tests.products import COLORS, draw, mask_png

WIDTH, HEIGHT = 96, 64


def image(orientation: int = 1) -> DecodedImage:
    stored = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    return DecodedImage(
        pixels=turn(stored, orientation), stored_size=(WIDTH, HEIGHT), orientation=orientation
    )


@given(seed=st.integers(0, 1_000), orientation=st.integers(1, 8))
def test_shares_are_the_covered_areas_upright(seed: int, orientation: int) -> None:
    drawing = draw(seed, "stain", "hole")
    mask = TrainingMask(read=lambda: mask_png(drawing), colors=COLORS)
    upright = {name: turn(where, orientation) for name, where in drawing.defects.items()}
    height, width = upright["stain"].shape
    h, w = height // 8, width // 8

    shares = mask_shares(mask, image(orientation), grid=(h, w))

    for name, where in upright.items():
        areas = where.reshape(h, 8, w, 8).mean(axis=(1, 3))
        np.testing.assert_allclose(shares[name], areas.ravel(), atol=1e-5)


def test_a_mask_of_another_size_is_refused() -> None:
    mask = TrainingMask(read=lambda: mask_png(draw(0, size=(100, 64))), colors=COLORS)

    with pytest.raises(ImageError, match="100 x 64"):
        mask_shares(mask, image(), grid=(8, 12))


@given(background=st.integers(0, 60), anomalous=st.integers(0, 60), seed=st.integers(0, 2**31))
def test_at_most_so_many_patches_of_each_kind_are_kept(
    background: int, anomalous: int, seed: int
) -> None:
    embeddings = np.arange(100, dtype=np.float32).reshape(100, 1)
    share = np.where(np.arange(100) < 30, 0.5, 0).astype(np.float32)

    patches = sample_patches(
        embeddings,
        {"stain": share},
        digest=b"one",
        background=background,
        anomalous=anomalous,
        generator=np.random.default_rng(seed),
    )

    kept = patches.embeddings[:, 0].astype(int)
    assert (kept < 30).sum() == min(30, anomalous)
    assert (kept >= 30).sum() == min(70, background)
    assert (patches.shares["stain"] == share[kept]).all()
    assert patches.weights[kept < 30].sum() == pytest.approx(30 if anomalous else 0)
    assert patches.weights[kept >= 30].sum() == pytest.approx(70 if background else 0)


def masked(value: float, **shares: list[float]) -> MaskedPatches:
    """Make patches that are all alike; each stands for as many as `value` says."""
    n = len(next(iter(shares.values())))
    return MaskedPatches(
        digest=bytes([int(value)]),
        embeddings=np.full((n, 3), value, np.float32),
        shares={name: np.array(share, np.float32) for name, share in shares.items()},
        weights=np.full(n, value, np.float32),
    )


def test_joined_patches_name_the_share_of_background_and_of_each_type() -> None:
    first, second = masked(1, stain=[0.25, 0]), masked(2, hole=[0.5], stain=[0.5])

    patches = join_patches([first, second], ["hole", "stain"])

    assert patches.embeddings[:, 0].tolist() == [1, 1, 2]
    assert patches.shares.tolist() == [[0.75, 0, 0.25], [1, 0, 0], [0, 0.5, 0.5]]
    assert patches.weights.tolist() == [1, 1, 2]
    assert patches.images.tolist() == [0, 0, 1]


def test_patches_of_a_type_that_is_left_out_are_no_background() -> None:
    patches = join_patches([masked(1, hole=[0, 0.1, 0], stain=[0, 0, 1])], ["stain"])

    assert patches.shares.tolist() == [[1, 0], [0, 1]]


def test_some_rows_of_joined_patches_stay_together() -> None:
    patches = join_patches([masked(1, stain=[0.25, 0]), masked(2, stain=[0.5])], ["stain"])

    rows = patches.rows(np.array([True, False, True]))

    assert rows.embeddings[:, 0].tolist() == [1, 2]
    assert rows.shares.tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert rows.weights.tolist() == [1, 2]
    assert rows.images.tolist() == [0, 1]
