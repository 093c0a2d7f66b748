"""The public benchmarks of anomaly detection, in the folders in which they are distributed.

MVTec AD, MPDD  CATEGORY/{train/good,test/TYPE}/IMAGE, CATEGORY/ground_truth/TYPE/STEM_mask.png
BTAD            CATEGORY/{train/ok,test/ok,test/ko}/IMAGE, CATEGORY/ground_truth/ko/STEM.{png,bmp}
VisA            split_csv/1cls.csv, and CATEGORY/Data/{Images/LABEL/IMAGE,Masks/Anomaly/STEM.png}
KolektorSDD     kosNN/PartN.jpg and kosNN/PartN_label.bmp

KolektorSDD has no split of its own: the normal images of the first half of the items are for
training, all images of the others for the test. Training images are all normal. A mask shows an
anomaly where it is not black.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.entities import Label
from blemish.engine.training.labeled_images import LabeledImage, TrainingMask

ANOMALY = "anomaly"
COLORS = {"#FFFFFF": ANOMALY, "#000000": "background"}
IMAGES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})
VISA_SPLIT = Path("split_csv/1cls.csv")

Parts = tuple[list[LabeledImage], list[LabeledImage]]


@dataclass(frozen=True, kw_only=True)
class FolderNames:
    """How a benchmark names the folders of a category."""

    train: str
    normal: str
    #: after the stem of an image
    mask_suffixes: tuple[str, ...]


GOOD = FolderNames(train="train/good", normal="good", mask_suffixes=("_mask.png", ".png"))
OK = FolderNames(train="train/ok", normal="ok", mask_suffixes=(".png", ".bmp"))


def find_categories(folder: Path) -> list[Path]:
    """Return the categories in a folder of a public benchmark, or the folder if it is one."""
    if reader_of(folder):
        return [folder]
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and reader_of(path)]


def reader_of(category: Path) -> Callable[[Path], Parts] | None:
    """Return what reads this category; None if it is not in the layout of a public benchmark."""
    for names in (GOOD, OK):
        if (category / names.train).is_dir():
            return partial(_read_folders, names=names)
    if (category.parent / VISA_SPLIT).is_file() and (category / "Data" / "Images").is_dir():
        return _read_visa
    if (category / "kos01").is_dir():
        return _read_kolektor
    return None


def _read_folders(category: Path, *, names: FolderNames) -> Parts:
    train = [_image(category, path, Label.NORMAL) for path in _files(category / names.train)]
    test = []
    for folder in sorted(path for path in (category / "test").iterdir() if path.is_dir()):
        label = Label.NORMAL if folder.name == names.normal else Label.ANOMALY
        truth = category / "ground_truth" / folder.name
        for path in _files(folder):
            masks = [truth / f"{path.stem}{suffix}" for suffix in names.mask_suffixes]
            test.append(_image(category, path, label, mask=next(filter(Path.is_file, masks), None)))
    return train, test


def _read_visa(category: Path) -> Parts:
    root = category.parent
    parts: dict[str, list[LabeledImage]] = {"train": [], "test": []}
    with (root / VISA_SPLIT).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["object"] != category.name:
                continue
            label = Label.NORMAL if row["label"] == "normal" else Label.ANOMALY
            mask = root / row["mask"] if row["mask"] else None
            parts[row["split"]].append(_image(category, root / row["image"], label, mask=mask))
    return parts["train"], parts["test"]


def _read_kolektor(folder: Path) -> Parts:
    items = sorted(path for path in folder.iterdir() if path.is_dir())
    train: list[LabeledImage] = []
    test: list[LabeledImage] = []
    for number, item in enumerate(items):
        for path in _files(item):
            if path.stem.endswith("_label"):
                continue
            mask = item / f"{path.stem}_label.bmp"
            label = Label.ANOMALY if _binary(mask).any() else Label.NORMAL
            image = _image(folder, path, label, mask=mask)
            if 2 * number >= len(items):
                test.append(image)
            elif label is Label.NORMAL:
                train.append(image)
    return train, test


def _image(category: Path, path: Path, label: Label, *, mask: Path | None = None) -> LabeledImage:
    return LabeledImage(
        name=str(path.relative_to(category)),
        label=label,
        read=path.read_bytes,
        mask=TrainingMask(read=partial(_mask_png, mask), colors=COLORS)
        if mask and label is Label.ANOMALY
        else None,
    )


def _mask_png(path: Path) -> bytes:
    """Return a mask as a PNG of black and white."""
    buffer = io.BytesIO()
    Image.fromarray(_binary(path).astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def _binary(path: Path) -> NDArray[np.bool_]:
    with Image.open(path) as image:
        values = np.atleast_3d(np.asarray(image))
    anomalous: NDArray[np.bool_] = np.not_equal(values[..., :3].max(axis=-1), 0)
    return anomalous


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGES)
