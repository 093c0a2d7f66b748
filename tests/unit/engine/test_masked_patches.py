import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.engine.images import ImageError, Picture, turn
from blemish.engine.labeled import TrainingMask
from blemish.engine.masked_patches import MaskedPatches, join_patches, mask_shares, sample_patches
from tests.products import COLORS, draw, mask_png

WIDTH, HEIGHT = 96, 64


def picture(orientation: int = 1) -> Picture:
    stored = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Picture(
        pixels=turn(stored, orientation), stored_size=(WIDTH, HEIGHT), orientation=orientation
    )


@given(seed=st.integers(0, 1_000), orientation=st.integers(1, 8))
def test_shares_are_the_covered_areas_upright(seed: int, orientation: int) -> None:
    drawing = draw(seed, "stain", "hole")
    mask = TrainingMask(read=lambda: mask_png(drawing), colors=COLORS)
    upright = {name: turn(where, orientation) for name, where in drawing.defects.items()}
    height, width = upright["stain"].shape
    h, w = height // 8, width // 8

    shares = mask_shares(mask, picture(orientation), grid=(h, w))

    for name, where in upright.items():
        areas = where.reshape(h, 8, w, 8).mean(axis=(1, 3))
        np.testing.assert_allclose(shares[name], areas.ravel(), atol=1e-5)


def test_a_mask_of_another_size_is_refused() -> None:
    mask = TrainingMask(read=lambda: mask_png(draw(0, size=(100, 64))), colors=COLORS)

    with pytest.raises(ImageError, match="100 x 64"):
        mask_shares(mask, picture(), grid=(8, 12))


@given(background=st.integers(0, 60), anomalous=st.integers(0, 60), seed=st.integers(0, 2**31))
def test_at_most_so_many_patches_of_each_kind_are_kept(
    background: int, anomalous: int, seed: int
) -> None:
    embeddings = np.arange(100, dtype=np.float32).reshape(100, 1)
    share = np.where(np.arange(100) < 30, 0.5, 0).astype(np.float32)

    patches = sample_patches(
        embeddings,
        {"stain": share},
        background=background,
        anomalous=anomalous,
        generator=np.random.default_rng(seed),
    )

    kept = patches.embeddings[:, 0].astype(int)
    assert (kept < 30).sum() == min(30, anomalous)
    assert (kept >= 30).sum() == min(70, background)
    assert (patches.shares["stain"] == share[kept]).all()


def test_joined_patches_name_the_share_of_background_and_of_each_type() -> None:
    first = MaskedPatches(
        embeddings=np.full((2, 3), 1, np.float32),
        shares={"stain": np.array([0.25, 0.0], np.float32)},
    )
    second = MaskedPatches(
        embeddings=np.full((1, 3), 2, np.float32),
        shares={"hole": np.array([0.5], np.float32), "stain": np.array([0.5], np.float32)},
    )

    embeddings, shares = join_patches([first, second], ["hole", "stain"])

    assert embeddings[:, 0].tolist() == [1, 1, 2]
    assert shares.tolist() == [[0.75, 0, 0.25], [1, 0, 0], [0, 0.5, 0.5]]


def test_patches_of_a_type_that_is_left_out_are_no_background() -> None:
    patches = MaskedPatches(
        embeddings=np.arange(3, dtype=np.float32).reshape(3, 1),
        shares={
            "hole": np.array([0, 0.1, 0], np.float32),
            "stain": np.array([0, 0, 1], np.float32),
        },
    )

    embeddings, shares = join_patches([patches], ["stain"])

    assert embeddings[:, 0].tolist() == [0, 2]
    assert shares.tolist() == [[1, 0], [0, 1]]
