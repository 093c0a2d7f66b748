"""Tiny folders in the layouts of the public benchmarks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.folders import read_folder
from benchmarks.public_sets import find_categories, reader_of
from benchmarks.quality_plan import NORMALS, QUICK, expanded, plan
from blemish.domain.entities import Label
from blemish.engine.images.masks import decode_mask
from blemish.engine.training.labeled_images import LabeledImage

SIDE = 8


def write(path: Path, value: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((SIDE, SIDE), value, dtype=np.uint8)).save(path)


def write_mask(path: Path, *, value: int = 255, pixels: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    mask[0, :pixels] = value
    Image.fromarray(mask).save(path)


def mvtec(root: Path) -> Path:
    for number in range(3):
        write(root / f"bottle/train/good/{number:03}.png", number)
    write(root / "bottle/test/good/000.png", 3)
    write(root / "bottle/test/broken/000.png", 4)
    write_mask(root / "bottle/ground_truth/broken/000_mask.png")
    return root


def btad(root: Path) -> Path:
    for number in range(3):
        write(root / f"01/train/ok/{number:04}.bmp", number)
    write(root / "01/test/ok/0003.bmp", 3)
    write(root / "01/test/ko/0000.bmp", 4)
    write_mask(root / "01/ground_truth/ko/0000.png")
    return root


def visa(root: Path) -> Path:
    rows = [("candle", "train", "normal", f"Normal/{number}.JPG", "") for number in range(3)]
    rows += [("candle", "test", "normal", "Normal/3.JPG", "")]
    rows += [("candle", "test", "anomaly", "Anomaly/000.JPG", "candle/Data/Masks/Anomaly/000.png")]
    rows += [("pcb1", "train", "normal", "Normal/0.JPG", "")]
    (root / "split_csv").mkdir(parents=True)
    with (root / "split_csv/1cls.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("object", "split", "label", "image", "mask"))
        for number, (category, part, label, image, mask) in enumerate(rows):
            path = f"{category}/Data/Images/{image}"
            write(root / path, 10 * number)
            table.writerow((category, part, label, path, mask))
    write_mask(root / "candle/Data/Masks/Anomaly/000.png", value=2)
    return root


def kolektor(root: Path) -> Path:
    for item in range(1, 7):
        for part in range(2):
            path = root / f"kos{item:02}/Part{part}.jpg"
            write(path, 20 * item + part)
            defect = part == 1 and item % 2 == 0
            write_mask(path.with_name(f"Part{part}_label.bmp"), pixels=3 if defect else 0)
    return root


LAYOUTS = {"mvtec": mvtec, "btad": btad, "visa": visa, "kolektor": kolektor}


def labels(images: list[LabeledImage]) -> dict[str, Label]:
    return {image.name: image.label for image in images}


@pytest.mark.parametrize(
    ("layout", "category", "test"),
    [
        ("mvtec", "bottle", {"test/good/000.png": "normal", "test/broken/000.png": "anomaly"}),
        ("btad", "01", {"test/ok/0003.bmp": "normal", "test/ko/0000.bmp": "anomaly"}),
        (
            "visa",
            "candle",
            {"Data/Images/Normal/3.JPG": "normal", "Data/Images/Anomaly/000.JPG": "anomaly"},
        ),
    ],
)
def test_a_category_is_read_with_its_own_split_and_masks(
    layout: str, category: str, test: dict[str, str], tmp_path: Path
) -> None:
    root = LAYOUTS[layout](tmp_path / "root")

    train_part, test_part = read_folder(root / category)

    assert root / category in find_categories(root)
    assert len(train_part) == 3
    assert {image.label for image in train_part} == {Label.NORMAL}
    assert labels(test_part) == test
    (anomaly,) = (image for image in test_part if image.label is Label.ANOMALY)
    assert marked_pixels(anomaly) == 3
    assert all(image.mask is None for image in test_part if image.label is Label.NORMAL)


def test_kolektor_is_split_by_item_and_its_normal_images_teach(tmp_path: Path) -> None:
    root = kolektor(tmp_path / "kolektor")

    train_part, test_part = read_folder(root)

    assert find_categories(root) == [root]
    assert {image.label for image in train_part} == {Label.NORMAL}
    assert {image.name[:5] for image in train_part} == {"kos01", "kos02", "kos03"}
    anomalies = [image for image in test_part if image.label is Label.ANOMALY]
    assert [image.name for image in anomalies] == ["kos04/Part1.jpg", "kos06/Part1.jpg"]
    assert [marked_pixels(image) for image in anomalies] == [3, 3]


def marked_pixels(image: LabeledImage) -> int:
    assert image.mask is not None
    masks = decode_mask(image.mask.read(), colors=image.mask.colors, size=(SIDE, SIDE))
    return int(sum(mask.sum() for mask in masks.values()))


def test_a_public_benchmark_is_measured_on_its_own_split_alone(tmp_path: Path) -> None:
    folders = expanded([mvtec(tmp_path / "mvtec")])

    trials = plan(folders, ["joined"], ["anomalib patchcore"], QUICK)

    assert [(trial.detector, trial.arm, trial.split) for trial in trials] == [
        ("joined", NORMALS, "given"),
        ("anomalib patchcore", NORMALS, "given"),
    ]
    assert {trial.set_name for trial in trials} == {"mvtec/bottle"}
    assert len(trials[0].train) == 3


def test_other_folders_are_no_public_benchmark(tmp_path: Path) -> None:
    (tmp_path / "train/normal").mkdir(parents=True)

    assert reader_of(tmp_path) is None
    assert expanded([tmp_path]) == [tmp_path]
