import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.bundle import read_bundle
from blemish.engine.graph.sessions import open_session
from blemish.engine.images.decode import ImageError
from blemish.engine.images.orientation import turn
from blemish.engine.images.resize import resize
from blemish.engine.runtime import Detection, Detector, _likeliest
from tests.products import COLORS, LIMITS, SIZE, draw, png

ORIENTATION = 0x0112


def detect(detector: Detector, data: bytes, *, mixed_sizes: bool = False) -> Detection:
    return detector.detect(data, limits=LIMITS, mixed_sizes=mixed_sizes)


def stored_turned(pixels: NDArray[np.uint8], orientation: int) -> bytes:
    """Encode pixels so that they are upright only after the EXIF turn."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = next(
        np.ascontiguousarray(candidate)
        for turns in range(4)
        for candidate in (np.rot90(pixels, turns), np.rot90(pixels[:, ::-1], turns))
        if np.array_equal(turn(candidate, orientation), pixels)
    )
    return png(stored, exif=exif)


def test_a_defect_is_found_named_and_placed(detector: Detector) -> None:
    drawing = draw(77, "stain")

    found = detect(detector, png(drawing.pixels))

    assert found.is_anomalous
    assert found.score >= found.threshold
    assert found.confidence > 0.5
    assert found.anomalies is not None
    assert [area.name for area in found.anomalies] == ["background", "stain"]
    assert sum(area.share for area in found.anomalies) == pytest.approx(1)
    assert found.mask is not None
    overlap = (found.mask > 0) & drawing.defects["stain"]
    assert overlap.sum() > 0.9 * drawing.defects["stain"].sum()


def test_areas_and_mask_speak_of_the_same_pixels(detector: Detector) -> None:
    found = detect(detector, png(draw(78, "stain", "hole").pixels))

    assert found.mask is not None
    assert found.anomalies is not None
    assert found.mask.shape == (SIZE[1], SIZE[0])
    colors = dict(zip(detector.names, detector.colors, strict=True))
    for area in found.anomalies:
        value = detector.names.index(area.name)
        assert area.share == pytest.approx((found.mask == value).mean())
        assert area.color == colors[area.name]
    assert colors == {"background": "#FFFFFF"} | {name: color for color, name in COLORS.items()}


def test_a_normal_image_is_background_alone(detector: Detector) -> None:
    found = detect(detector, png(draw(79).pixels))

    assert not found.is_anomalous
    assert found.anomalies is not None
    assert [(area.name, area.share) for area in found.anomalies] == [("background", 1.0)]


def test_a_classification_model_has_no_mask(classifying_bundle: Path) -> None:
    found = detect(
        Detector.load(read_bundle(classifying_bundle), threads=1), png(draw(80, "hole").pixels)
    )

    assert found.is_anomalous
    assert found.mask is None
    assert found.anomalies is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_answers_lie_as_the_image_is_stored(detector: Detector, orientation: int) -> None:
    drawing = draw(81, "stain")
    upright = detect(detector, png(drawing.pixels))

    turned = detect(detector, stored_turned(drawing.pixels, orientation))

    assert turned.score == upright.score
    assert upright.mask is not None
    assert turned.mask is not None
    assert turned.mask.shape == turned.stored_size[::-1]
    assert (turn(turned.mask, orientation) == upright.mask).all()
    assert (turn(turned.anomaly_map, orientation) == upright.anomaly_map).all()


def test_a_image_of_another_size_is_refused(detector: Detector) -> None:
    data = png(draw(82, size=(100, 64)).pixels)

    with pytest.raises(ImageError, match=r"has 100 x 64 pixels; it must have 96 x 64 pixels"):
        detect(detector, data)


def test_the_size_is_compared_before_a_pixel_is_decoded(detector: Detector) -> None:
    flat = png(draw(82, size=(100, 64)).pixels)
    damaged = flat.replace(b"IDAT", b"tEXt")

    with pytest.raises(ImageError, match="it must have"):
        detect(detector, damaged)


def test_mixed_sizes_are_brought_to_the_graph_and_masks_come_back_in_the_images_own(
    detector: Detector,
) -> None:
    drawing = draw(83, "stain")
    twice = np.repeat(np.repeat(drawing.pixels, 2, axis=0), 2, axis=1)

    found = detect(detector, png(twice), mixed_sizes=True)

    assert found.is_anomalous
    assert found.stored_size == (2 * SIZE[0], 2 * SIZE[1])
    assert found.mask is not None
    assert found.mask.shape == (2 * SIZE[1], 2 * SIZE[0])


def test_a_mask_is_enlarged_as_pillow_does_by_nearest(bundle: Path, detector: Detector) -> None:
    data = png(draw(84, "stain", "hole").pixels)
    session = open_session((bundle / "model.onnx").read_bytes(), threads=1)
    pixels = resize(
        np.asarray(Image.open(io.BytesIO(data))),
        width=detector.info.graph_size[0],
        height=detector.info.graph_size[1],
    )
    classes = session.run(["class_probabilities"], {"pixels": pixels[np.newaxis]})[0]

    found = detect(detector, data)

    small = Image.fromarray(classes.argmax(axis=0).astype(np.uint8))
    assert found.mask is not None
    assert (found.mask == np.asarray(small.resize(SIZE, Image.Resampling.NEAREST))).all()


def test_the_threshold_may_be_given_and_turns_verdict_and_confidence(bundle: Path) -> None:
    session = open_session((bundle / "model.onnx").read_bytes(), threads=1)
    pixels = resize(draw(85, "stain").pixels, width=256, height=160)[np.newaxis]
    outputs = ["score", "is_anomalous", "confidence"]

    score, verdict, confidence = session.run(outputs, {"pixels": pixels})
    above = np.array(score + 1, dtype=np.float32)
    _, moved, opposite = session.run(outputs, {"pixels": pixels, "threshold": above})

    assert verdict
    assert not moved
    assert opposite == pytest.approx(1 - confidence, abs=1e-6)


def test_a_score_at_the_threshold_is_anomalous(bundle: Path) -> None:
    session = open_session((bundle / "model.onnx").read_bytes(), threads=1)
    pixels = resize(draw(86).pixels, width=256, height=160)[np.newaxis]
    score = session.run(["score"], {"pixels": pixels})[0]

    verdict = session.run(["is_anomalous"], {"pixels": pixels, "threshold": score})[0]

    assert verdict


def test_probabilities_sum_to_one_at_every_pixel(bundle: Path) -> None:
    session = open_session((bundle / "model.onnx").read_bytes(), threads=1)
    pixels = resize(draw(87, "hole").pixels, width=256, height=160)[np.newaxis]

    classes = session.run(["class_probabilities"], {"pixels": pixels})[0]

    assert classes.shape == (3, 160, 256)
    assert (classes >= 0).all()
    np.testing.assert_allclose(classes.sum(axis=0), 1, atol=1e-5)


def test_detection_loads_neither_onnx_nor_scipy() -> None:
    heavy = "{'onnx', 'scipy', 'threadpoolctl'}"
    program = f"import sys, blemish.engine.runtime; print({heavy} & set(sys.modules))"

    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "set()"


@given(seed=st.integers(0, 2**31), classes=st.integers(2, 5))
def test_the_first_likeliest_class_of_a_pixel_counts(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.integers(0, 3, (classes, 6, 7)).astype(np.float32)  # mostly ties

    assert (_likeliest(probabilities) == probabilities.argmax(axis=0)).all()
