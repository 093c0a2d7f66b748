import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.bundle import Bundle
from blemish.engine.errors import BackboneError, TrainingError
from blemish.engine.runtime import Detector
from blemish.engine.training.labeled_images import LabeledImage, Progress, TrainingMask
from blemish.engine.training.train import TrainingReport, train
from tests.products import (
    COLORS,
    LIMITS,
    anomalous_images,
    draw,
    labeled,
    mask_png,
    normal_images,
    options,
    png,
    write_patch_backbone,
)


def trained(
    images: list[LabeledImage], backbone: Path, *, mixed_sizes: bool = False
) -> TrainingReport:
    return train(
        images,
        options=options(backbone, mixed_sizes=mixed_sizes),
        progress=lambda _: None,
    )


def large_jpeg(seed: int) -> LabeledImage:
    """Draw a normal image that is decoded at half its size."""
    buffer = io.BytesIO()
    Image.fromarray(draw(seed, size=(1_200, 800)).pixels).save(buffer, "JPEG", quality=95)
    return replace(labeled(seed), read=buffer.getvalue)


def large_png(seed: int, *, speck: bool = False) -> LabeledImage:
    """Draw an image whose defect is a few pixels large."""
    pixels = draw(seed, size=(1_200, 800)).pixels
    if speck:
        pixels[400:404, 600:604] = 0
    data = png(pixels)
    return replace(labeled(seed, *(["stain"] if speck else [])), read=lambda: data)


def test_masks_enough_make_a_segmentation_model(bundle: Path) -> None:
    document = json.loads((bundle / "bundle.json").read_text())

    assert document["anomaly_types"] == [
        {"name": "hole", "color": "#14A3B3"},
        {"name": "stain", "color": "#23A436"},
    ]
    assert document["graph"]["width"], document["graph"]["height"] == (256, 160)
    assert document["history"]["held_out_images"]["normal"] == 6
    assert document["history"]["held_out_images"]["f1"] == 1


def test_a_type_with_too_few_masks_is_left_out_and_said(backbone_file: Path) -> None:
    images = [
        *normal_images(4),
        *anomalous_images(3, "stain", masked=True),
        *anomalous_images(2, "hole", first=2_000, masked=True),
    ]

    report = trained(images, backbone_file)

    assert report.anomaly_types == ("stain",)
    assert any("'hole' is left out of segmentation" in note for note in report.notes)
    assert Detector.load(report.bundle, threads=1).names == ("background", "stain")


def test_masks_of_which_no_type_has_enough_fail_the_training_before_its_work(
    backbone_file: Path,
) -> None:
    images = normal_images(3) + anomalous_images(2, "hole", masked=True)
    steps: list[str] = []

    with pytest.raises(TrainingError, match=r"at least 3 training images .* 'hole' in 2"):
        train(
            images,
            options=options(backbone_file),
            progress=lambda progress: steps.append(progress.step),
        )

    assert set(steps) == {"reading images"}


def test_masks_of_normal_images_alone_make_a_classification_model(backbone_file: Path) -> None:
    empty = TrainingMask(read=lambda: mask_png(draw(0)), colors=COLORS)
    images = [replace(image, mask=empty) for image in normal_images(8)]

    assert trained(images, backbone_file).anomaly_types == ()


def test_images_come_in_whole_patches_of_the_backbone(tmp_path: Path) -> None:
    backbone = write_patch_backbone(tmp_path / "patches.onnx", step="14")

    report = trained(normal_images(3), backbone)

    assert report.bundle.info.graph_size == (252, 168)
    found = Detector.load(report.bundle, threads=1).detect(
        labeled(900, "hole").read(), limits=LIMITS, mixed_sizes=False
    )
    assert found.is_anomalous


def test_few_normal_images_say_how_sure_the_rate_of_false_alarms_is(backbone_file: Path) -> None:
    report = trained(normal_images(3), backbone_file)

    assert len(report.notes) == 1
    assert "set for 5% false alarms, estimated from 3 normal images" in report.notes[0]
    assert report.bundle.info.history["notes"] == report.notes


def test_many_copies_of_one_image_count_once(backbone_file: Path) -> None:
    (copied, *others) = normal_images(6)

    report = trained([copied] * 260 + others + anomalous_images(2, "stain"), backbone_file)

    counted = report.bundle.info.history["held_out_images"]
    assert (counted["normal"], counted["anomaly"]) == (6, 2)
    assert report.bundle.info.threshold > 0


def test_steps_are_told_in_order(backbone_file: Path) -> None:
    steps: list[Progress] = []

    train(
        normal_images(2) + anomalous_images(3, "stain", masked=True),
        options=options(backbone_file),
        progress=steps.append,
    )

    assert list(dict.fromkeys(step.step for step in steps)) == [
        "reading images",
        "computing features",
        "cross-validation",
        "fitting to all images",
        "segmentation head",
        "writing the bundle",
    ]
    assert all(0 <= step.done <= step.total for step in steps)


def test_a_defect_too_small_to_see_is_looked_for_at_a_higher_resolution(
    backbone_file: Path,
) -> None:
    specks = [large_png(seed, speck=True) for seed in range(100, 110)]
    steps: list[Progress] = []

    bundle = train(
        [*(large_png(seed) for seed in range(10)), *specks],
        options=options(backbone_file),
        progress=steps.append,
    ).bundle

    assert bundle.info.graph_size == (512, 352)
    assert bundle.info.history["selection"]["graph_size"] == [512, 352]
    assert "512 x 352 pixels" in bundle.info.history["selection"]["chosen"]
    told = {step.step for step in steps}
    assert {f"cross-validation, resolution {k} of 2" for k in (1, 2)} <= told
    detector = Detector.load(bundle, threads=1)
    new = large_png(200, speck=True)
    assert detector.detect(new.read(), limits=LIMITS, mixed_sizes=False).is_anomalous


def test_a_detection_sees_a_large_jpeg_as_the_training_did(backbone_file: Path) -> None:
    images = [large_jpeg(seed) for seed in range(3)]
    bundle = trained(images, backbone_file).bundle
    in_full = replace(bundle, info=replace(bundle.info, decoded_at_least=None))

    def score(trained: Bundle) -> float:
        detector = Detector.load(trained, threads=1)
        return detector.detect(images[0].read(), limits=LIMITS, mixed_sizes=False).score

    assert bundle.info.decoded_at_least == (512, 320)
    assert score(bundle) < 1  # the average of images that were held out
    assert score(in_full) > 1.3


def deep(image: LabeledImage) -> LabeledImage:
    """Return a grey image as an unscaled 12-bit one."""
    with Image.open(io.BytesIO(image.read())) as file:
        grey = np.asarray(file.convert("L"))
    data = png_of((grey.astype(np.uint16) << 4).astype(np.uint16))
    return replace(image, read=lambda: data)


def png_of(samples: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_range_of_12_bit_images_is_part_of_the_bundle(backbone_file: Path) -> None:
    images = [deep(image) for image in normal_images(8)]

    report = train(images, options=options(backbone_file), progress=lambda _: None)

    detector = Detector.load(report.bundle, threads=1)
    with Image.open(io.BytesIO(labeled(70).read())) as file:
        shallow = png_of(np.asarray(file.convert("L")))
    scores = [
        detector.detect(data, limits=LIMITS, mixed_sizes=False).score
        for data in (deep(labeled(70)).read(), shallow)
    ]
    assert report.bundle.info.sample_bits == 12
    assert scores[0] == scores[1]
    assert report.notes[0].startswith("8 training images have more than 8 bits per sample.")


def test_a_problem_with_a_image_is_told_with_its_name(backbone_file: Path) -> None:
    broken = replace(labeled(901), name="broken", read=lambda: b"GIF89a")

    with pytest.raises(TrainingError, match="broken"):
        trained([*normal_images(3), broken], backbone_file)


def test_a_backbone_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="cannot be read"):
        trained(normal_images(2), tmp_path / "none.onnx")


def test_a_set_resolution_above_the_usual_ones_is_seen_in_tiles(backbone_file: Path) -> None:
    images = [large_png(seed) for seed in range(2)]

    bundle = train(
        images,
        options=replace(options(backbone_file), resolution=1_184),
        progress=lambda _: None,
    ).bundle

    assert bundle.info.graph_size == (1_184, 800)
    detector = Detector.load(bundle, threads=1)
    speck = large_png(200, speck=True)
    detection = detector.detect(speck.read(), limits=LIMITS, mixed_sizes=False)
    assert detection.anomaly_map.shape == (800, 1_184)
    assert detection.is_anomalous
