"""The backbones that are installed with Blemish, with and without EfficientNet-Lite0."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from blemish.engine.backbones import installed_weights, packaged
from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.backbones.catalogue import (
    EFFICIENTNET_LITE0,
    JOINED,
    SCATTERING,
    current_name,
    is_packaged,
)
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.backbones.installed_weights import (
    default_backbone,
    missing_weights,
    packaged_backbones,
    weights_file,
)
from blemish.engine.errors import BackboneError

SIDE = 64


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed_weights, "distribution", missing)


def test_the_default_joins_the_scattering_and_efficientnet_lite0() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    joined, scattering, efficientnet = (
        Embedder(load_backbone(name), width=SIDE, height=SIDE, threads=1)
        for name in (None, SCATTERING, EFFICIENTNET_LITE0)
    )

    embeddings = joined.embed(pixels)

    assert joined.networks == {SCATTERING: slice(0, 179), EFFICIENTNET_LITE0: slice(179, 1091)}
    assert joined.grid == scattering.grid == efficientnet.grid == (8, 8)
    np.testing.assert_allclose(embeddings[:, :179], scattering.embed(pixels), atol=1e-5)
    np.testing.assert_allclose(embeddings[:, 179:], efficientnet.embed(pixels), atol=1e-5)


def test_efficientnet_lite0_is_called_fast_too() -> None:
    assert load_backbone("fast").name == current_name("fast") == EFFICIENTNET_LITE0
    assert is_packaged("fast")
    assert not is_packaged("resnet18")


def test_the_same_weights_give_the_same_networks() -> None:
    digests = {name: load_backbone(name).sha256[:16] for name in (JOINED, EFFICIENTNET_LITE0)}

    assert digests == {JOINED: "aa5850c8b422fef1", EFFICIENTNET_LITE0: "ff4cbd450a4dd747"}


@pytest.mark.usefixtures("without_weights")
def test_without_the_weights_the_scattering_is_the_default() -> None:
    assert weights_file() is None
    assert default_backbone() == SCATTERING
    assert [entry.name for entry in packaged_backbones()] == [SCATTERING]
    with pytest.raises(BackboneError, match="which are not installed"):
        packaged.efficientnet_lite0()
    assert missing_weights("fast").startswith("The backbone fast needs the weights")


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"other weights")
    monkeypatch.setattr(packaged, "weights_file", lambda: path)

    with pytest.raises(
        BackboneError, match=r"weights\.pth is damaged: its SHA-256 is .*, not 5793"
    ):
        packaged.efficientnet_lite0()
