from __future__ import annotations

import io
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blemish.domain.entities import Model, ModelStatus, ObjectRef
from blemish.domain.errors import ConflictError
from blemish.engine.errors import BundleError
from blemish.engine.images.decode import ImageError, ImageLimits
from blemish.engine.runtime import Detection, Detector
from blemish.service.detection import previews
from blemish.service.detection.preview_drawing import SIDE, draw_preview
from blemish.service.detection.previews import LOADED, Previews
from tests.unit.house import House
from tests.unit.manifests import BUCKET
from tests.unit.service.models.test_thresholds import BUNDLE, trained

LIMITS = ImageLimits(min_side=1, max_side=10_000, max_pixels=50_000_000)
REF = ObjectRef(bucket=BUCKET, key="a.png")
ORIENTATION = 0x0112


class FixedDetector:
    """Says of each image that the left half, as it is stored, is hot and stained."""

    def __init__(self, *, masks: bool = True) -> None:
        self.masks = masks
        self.judged = 0

    def detect(self, data: bytes, *, limits: ImageLimits, mixed_sizes: bool) -> Detection:
        assert limits is LIMITS
        assert mixed_sizes
        self.judged += 1
        try:
            width, height = Image.open(io.BytesIO(data)).size
        except OSError as error:
            raise ImageError("no image") from error
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[:, : width // 2] = 1
        return Detection(
            score=2.0,
            threshold=1.0,
            is_anomalous=True,
            confidence=0.9,
            anomaly_map=np.array([[2, 0]], dtype=np.float32),
            stored_size=(width, height),
            anomalies=None,
            classes=mask if self.masks else None,
            colors=("#FFFFFF", "#23A436"),
        )


def encoded_image(width: int, height: int, *, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    output = io.BytesIO()
    Image.new("RGB", (width, height)).save(output, "PNG", exif=exif)
    return output.getvalue()


def alphas(image: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGBA"))[:, :, 3]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[FixedDetector]:
    """What is loaded in place of detectors."""
    detectors: list[FixedDetector] = []

    def load(*_: object, **__: object) -> FixedDetector:
        detectors.append(FixedDetector())
        return detectors[-1]

    monkeypatch.setattr(Detector, "load", load)
    return detectors


@pytest.fixture
def looked_at(trainable: House) -> Previews:
    trainable.objects.write(REF, encoded_image(40, 20))
    return previews_of(trainable)


def previews_of(house: House) -> Previews:
    return Previews(
        house.database,
        bundles=house.bundles,
        objects=house.objects,
        limits=LIMITS,
        max_bytes=house.limits.detect_body_bytes,
        arns=house.arns,
    )


def version(model: Model) -> tuple[str, str]:
    return model.project, str(model.version)


@pytest.mark.parametrize(
    ("orientation", "size", "hot"),
    [(1, (40, 20), (0, 0)), (3, (40, 20), (19, 39)), (6, (20, 40), (0, 0)), (8, (20, 40), (39, 0))],
)
def test_what_is_drawn_lies_over_the_upright_image(
    orientation: int, size: tuple[int, int], hot: tuple[int, int]
) -> None:
    data = encoded_image(40, 20, orientation=orientation)
    detector: Any = FixedDetector()

    drawn = draw_preview(detector, data, limits=LIMITS)

    assert drawn.mask is not None
    for image in (drawn.heat_map, drawn.mask):
        assert Image.open(io.BytesIO(image)).size == size
        found = alphas(image)
        opposite = (size[1] - 1 - hot[0], size[0] - 1 - hot[1])
        assert found[hot] > 0
        assert found[opposite] == 0
    assert (drawn.score, drawn.is_anomalous, drawn.confidence) == (2.0, True, 0.9)


def test_of_a_large_image_no_more_is_drawn_than_a_screen_shows() -> None:
    detector: Any = FixedDetector(masks=False)

    drawn = draw_preview(detector, encoded_image(3_000, 1_500), limits=LIMITS)

    assert Image.open(io.BytesIO(drawn.heat_map)).size == (SIDE, SIDE // 2)
    assert drawn.mask is None


def test_a_image_is_judged_once_until_it_or_the_model_is_another(
    trainable: House, looked_at: Previews, loaded: list[FixedDetector]
) -> None:
    model = trained(trainable)

    first = looked_at.of(*version(model), REF)
    assert looked_at.of(*version(model), REF) is first
    assert [each.judged for each in loaded] == [1]
    trainable.objects.write(REF, encoded_image(60, 20))
    assert looked_at.of(*version(model), REF).heat_map != first.heat_map
    trainable.thresholds.move(*version(model), threshold=3.5)
    looked_at.of(*version(model), REF)

    assert [each.judged for each in loaded] == [2, 1]


def test_two_models_stay_loaded(
    trainable: House, looked_at: Previews, loaded: list[FixedDetector]
) -> None:
    models = [trained(trainable) for _ in range(LOADED + 1)]

    for model in (*models, models[-1], models[-2]):
        trainable.objects.write(REF, encoded_image(40 + len(loaded), 20))
        looked_at.of(*version(model), REF)
    assert len(loaded) == LOADED + 1
    trainable.objects.write(REF, encoded_image(90, 20))
    looked_at.of(*version(models[0]), REF)

    assert len(loaded) == LOADED + 2


def test_what_was_drawn_is_forgotten_when_it_is_too_much(
    trainable: House,
    looked_at: Previews,
    loaded: list[FixedDetector],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = trained(trainable)
    other = replace(REF, key="b.png")
    trainable.objects.write(other, encoded_image(40, 20))
    drawn = looked_at.of(*version(model), REF)
    room = len(drawn.heat_map) + len(drawn.mask or b"")
    monkeypatch.setattr(previews, "MAX_BYTES", room)

    looked_at.of(*version(model), other)
    looked_at.of(*version(model), REF)

    assert loaded[0].judged == 3


def test_a_bundle_that_is_replaced_while_it_is_read_is_read_anew(
    trainable: House, looked_at: Previews, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained(trainable)
    info = trainable.bundles.info

    def moved_before(name: str) -> Any:
        monkeypatch.setattr(trainable.bundles, "info", info)
        trainable.thresholds.move(*version(model), threshold=3.5)
        return info(name)

    monkeypatch.setattr(trainable.bundles, "info", moved_before)

    assert looked_at.info(*version(model)).threshold == 3.5


def test_a_damaged_bundle_is_told(trainable: House, looked_at: Previews) -> None:
    model = trained(trainable)
    assert looked_at.bundle(*version(model)) == BUNDLE
    assert model.bundle is not None
    shutil.rmtree(trainable.directory.bundles / model.bundle)

    with pytest.raises(BundleError, match="cannot be read"):
        looked_at.info(*version(model))


def test_a_model_in_training_has_no_detector(trainable: House, looked_at: Previews) -> None:
    model = trainable.model(ModelStatus.TRAINING)

    with pytest.raises(ConflictError, match="is TRAINING: it has no detector"):
        looked_at.of(*version(model), REF)
