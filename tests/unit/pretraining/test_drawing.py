"""What the backbone is trained on: drawn by code, from a seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from pretraining.defects import spoil
from pretraining.episodes import DEFECTIVES, NORMALS, PICTURES, REFERENCES, draw_episode
from pretraining.fields import SIDE, draw_field
from pretraining.light import Camera, photograph
from pretraining.products import Pose, draw_product
from pretraining.shapes import blob_mask, stroke_mask

SEEDS = range(6)
FAITHFUL = Camera(gain=0, gradient=0, blur=0, noise=0, quality=0, grey=True)


def test_an_episode_is_the_same_for_its_seed_and_no_other() -> None:
    first, again, other = draw_episode(3), draw_episode(3), draw_episode(4)

    assert np.array_equal(first.pictures, again.pictures)
    assert np.array_equal(first.masks, again.masks)
    assert not np.array_equal(first.pictures, other.pictures)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_picture_of_an_episode_is_another_piece(seed: int) -> None:
    episode = draw_episode(seed)

    assert episode.pictures.shape == (PICTURES, SIDE, SIDE, 3)
    assert PICTURES == REFERENCES + NORMALS + DEFECTIVES
    assert len({picture.tobytes() for picture in episode.pictures}) == PICTURES
    assert (episode.pictures.reshape(PICTURES, -1).std(axis=1) > 0.5).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mask_covers_a_change_that_is_no_more_than_a_part_of_the_picture(seed: int) -> None:
    masks = draw_episode(seed).masks

    shares = masks.reshape(DEFECTIVES, -1).mean(axis=1)
    assert (shares > 0).all()
    assert (shares <= 0.4).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_piece_is_changed_inside_the_mask_more_than_outside(seed: int) -> None:
    random = np.random.default_rng(seed)
    product = draw_product(random)
    sound = np.clip(product.render(seed).image, 0, 1)

    spoiled, mask = spoil(random, product, seed)

    change = np.abs(np.clip(spoiled, 0, 1) - sound).max(axis=2)
    assert change[mask].mean() > 0.012
    assert change[mask].mean() > 4 * change[~mask].mean()


def test_a_missing_part_changes_the_piece_where_the_part_was() -> None:
    products = (draw_product(np.random.default_rng(seed)) for seed in range(50))
    product = next(one for one in products if one.parts and np.abs(one.parts[0].tint).max() > 0.1)

    whole, without = product.render(1), product.render(1, without=0)

    assert not np.array_equal(whole.image, without.image)
    assert np.array_equal(whole.cover, without.cover)


@pytest.mark.parametrize("seed", range(12))
def test_textures_are_standardised_and_each_piece_is_drawn_anew(seed: int) -> None:
    field = draw_field(np.random.default_rng(seed))

    one, two = (field(np.random.default_rng(piece)) for piece in (1, 2))

    assert one.shape == (SIDE, SIDE)
    assert abs(float(one.mean())) < 0.2
    assert 0.5 < float(one.std()) <= 1.01
    assert not np.array_equal(one, two)


def test_a_pose_without_freedom_keeps_every_pixel_where_it_is() -> None:
    x, y = Pose(row=0, column=0, turn=0, scale=1).coordinates()

    assert (x[0, 0], y[0, 0]) == (-(SIDE - 1) / 2, -(SIDE - 1) / 2)
    assert (x[-1, -1], y[-1, -1]) == ((SIDE - 1) / 2, (SIDE - 1) / 2)


def test_a_spot_and_a_stroke_lie_where_they_are_asked_for() -> None:
    random = np.random.default_rng(0)
    spot = blob_mask(random, row=30, column=90, radius=8)
    stroke = stroke_mask(random, row=30, column=90, length=20, width=2)

    for mask in (spot, stroke):
        rows, columns = np.nonzero(mask > 0.5)
        assert abs(rows.mean() - 30) < 10
        assert abs(columns.mean() - 90) < 10


def test_a_faithful_camera_changes_nothing_but_rounding() -> None:
    image = np.random.default_rng(0).random((SIDE, SIDE, 3)).astype(np.float32)

    taken = photograph(image, FAITHFUL, np.random.default_rng(1))

    assert np.abs(taken / 255 - image).max() < 0.003
