"""The built-in backbone: what each channel answers to, at the border as elsewhere."""

from __future__ import annotations

import hashlib
from itertools import product

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.backbones.scattering import (
    CONTRAST,
    DIRECTIONS,
    FLOOR,
    PIXEL_FLOOR,
    STRIDE,
    morlet,
    scattering,
)
from blemish.engine.graph.sessions import open_session
from blemish.engine.images.resize import IMAGENET_DEVIATION, IMAGENET_MEAN
from blemish.engine.scorers.positions import border_weights

SHA256 = "c0efe6abe8ee780cc201defde0589b7c64bba57371faf661881117c8d5cc59de"
"""Of the network: one that is another is a change of every model that is trained with it."""

Images = NDArray[np.float32]


def maps(rgb: Images) -> dict[str, Images]:
    """Return the feature maps of one image, (H, W, 3) from 0 to 1."""
    scaled = ((rgb - IMAGENET_MEAN) / IMAGENET_DEVIATION).astype(np.float32)
    session = open_session(scattering().SerializeToString(), threads=1)
    values = session.run(["layer2", "layer3"], {"image": scaled.transpose(2, 0, 1)[np.newaxis]})
    return {"layer2": values[0][0], "layer3": values[1][0]}


def noise(seed: int, *, side: int = 128) -> NDArray[np.uint8]:
    """Draw a texture without a place that differs from the others."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_it_is_the_same_bit_for_bit_wherever_it_is_written() -> None:
    first, second = (
        scattering().SerializeToString(deterministic=True),
        scattering().SerializeToString(deterministic=True),
    )

    assert first == second
    assert hashlib.sha256(first).hexdigest() == load_backbone("scattering").sha256 == SHA256


@pytest.mark.parametrize("direction", range(DIRECTIONS))
def test_each_direction_answers_most_to_its_own_grating(direction: int) -> None:
    y, x = np.mgrid[:64, :64]
    angle = direction * np.pi / DIRECTIONS
    grating = 0.5 + 0.3 * np.cos(2 * np.pi / 4 * (x * np.cos(angle) + y * np.sin(angle)))

    found = maps(np.repeat(grating[:, :, np.newaxis], 3, axis=2).astype(np.float32))

    answers = found["layer2"][:DIRECTIONS, 2:-2, 2:-2].mean(axis=(1, 2))
    assert answers.argmax() == direction


def test_waves_have_no_mean_and_one_weight() -> None:
    waves = morlet(DIRECTIONS)

    np.testing.assert_allclose(waves.sum(axis=(1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(np.abs(waves).sum(axis=(1, 2)), 2)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_image_of_one_colour_has_the_same_features_everywhere(level: float) -> None:
    found = maps(np.full((64, 96, 3), level, dtype=np.float32))

    for layer in found.values():
        assert np.isfinite(layer).all()
        np.testing.assert_allclose(layer, layer[:, :1, :1] + 0 * layer, atol=0.01)


def test_more_light_changes_the_mean_colours_alone() -> None:
    dark = 0.2 + 0.3 * np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    light = 1.6 * (dark + np.float32(PIXEL_FLOOR)) - np.float32(PIXEL_FLOOR)

    found, lit = maps(dark), maps(light)

    assert np.abs(found["layer2"] - lit["layer2"]).max() < 0.01
    changed = np.abs(found["layer3"] - lit["layer3"]).max(axis=(1, 2)) > 0.01
    assert changed.sum() == 1  # the mean of luma


def test_the_border_does_not_score_above_the_middle() -> None:
    embedder = Embedder(load_backbone("scattering"), width=128, height=128, threads=1)
    known = np.concatenate([embedder.embed(noise(seed)) for seed in range(8)])
    center, deviation = known.mean(axis=0), known.std(axis=0)

    distances = np.mean(
        [
            np.linalg.norm((embedder.embed(noise(seed)) - center) / deviation, axis=1)
            for seed in range(8, 16)
        ],
        axis=0,
    ).reshape(embedder.grid)

    scores = distances * border_weights(embedder.grid).reshape(embedder.grid)
    middle = scores[2:-2, 2:-2].mean()
    assert max(scores[0].mean(), scores[-1].mean(), *scores.T[[0, -1]].mean(axis=1)) < middle


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 96), (96, 160), (224, 32)])
def test_images_of_every_allowed_size_have_a_grid(height: int, width: int) -> None:
    embedder = Embedder(load_backbone("scattering"), width=width, height=height, threads=1)

    embeddings = embedder.embed(noise(0, side=256)[:height, :width])

    assert embedder.grid == (height // STRIDE, width // STRIDE)
    assert embeddings.shape == (height * width // STRIDE**2, 179)
    assert np.isfinite(embeddings).all()


@pytest.mark.parametrize("direction", [0, 3])
def test_a_channel_is_what_numpy_makes_of_it(direction: int) -> None:
    rgb = np.random.default_rng(1).random((64, 96, 3), dtype=np.float32)
    luma = (CONTRAST * np.log(rgb.astype(np.float64) + PIXEL_FLOOR)).mean(axis=2)
    windows = sliding_window_view(np.pad(luma, 3, mode="reflect"), (7, 7))
    moduli = np.abs(np.einsum("yxij,ij->yx", windows, morlet(DIRECTIONS)[direction]))

    expected = np.log(averaged(averaged(moduli, size=16, step=8), size=3, step=1) + FLOOR)

    np.testing.assert_allclose(maps(rgb)["layer2"][direction], expected, atol=1e-4)


def averaged(values: NDArray[np.float64], *, size: int, step: int) -> NDArray[np.float64]:
    """Average windows, of which only what lies inside counts."""
    before = (size - step) // 2
    rows, columns = (range(-before, side - before, step) for side in values.shape)
    result = np.zeros((len(rows), len(columns)))
    for (i, y), (j, x) in product(enumerate(rows), enumerate(columns)):
        result[i, j] = values[max(y, 0) : y + size, max(x, 0) : x + size].mean()
    return result
