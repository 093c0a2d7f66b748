"""Folders by label, and as those of MVTec: the folder says label and type."""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image

from blemish.domain.entities import DatasetType, Label
from blemish.interchange.archives import DatasetArchive, ExportImage

COMBINED = "combined"
"""The folder of images with several types, as in MVTec AD."""

_UNSAFE = re.compile(r"[^\w.\- ]")


class FoldersWriter:
    """Writes train/normal, train/TYPE and masks/train/TYPE."""

    def image_path(self, image: ExportImage) -> str | None:
        if image.label is None:
            return None
        return f"{image.kind}/{_type_folder(image, normal='normal')}/{image.name}"

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        _note_types(image, archive)
        if image.masks:
            folder = f"masks/{image.kind}/{_type_folder(image, normal='normal')}"
            archive.write(f"{folder}/{image.stem}.png", _grey_png(image))

    def finish(self, archive: DatasetArchive) -> None:
        del archive  # the folders say everything


class MvtecWriter:
    """Writes train/good, test/good, test/TYPE and ground_truth/TYPE."""

    def image_path(self, image: ExportImage) -> str | None:
        if image.label is None:
            return None
        folder = _type_folder(image, normal="good")
        kind = DatasetType.TEST if image.label is Label.ANOMALY else image.kind
        return f"{kind}/{folder}/{image.name}"

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        _note_types(image, archive)
        if image.label is Label.ANOMALY and image.kind is DatasetType.TRAIN:
            archive.notes.remarks["Anomalies of the training set, which MVTec has in test"] += 1
        if image.masks:
            folder = f"ground_truth/{_type_folder(image, normal='good')}"
            archive.write(f"{folder}/{image.stem}_mask.png", _grey_png(image))

    def finish(self, archive: DatasetArchive) -> None:
        del archive  # the folders say everything


def _type_folder(image: ExportImage, *, normal: str) -> str:
    if image.label is not Label.ANOMALY:
        return normal
    if len(image.masks) > 1:
        return COMBINED
    name = next(iter(image.masks), str(Label.ANOMALY))
    return _UNSAFE.sub("_", name).strip(" .") or str(Label.ANOMALY)


def _note_types(image: ExportImage, archive: DatasetArchive) -> None:
    if len(image.masks) > 1:
        text = f"Images with several types, which are in the folder {COMBINED}"
        archive.notes.remarks[text] += 1


def _grey_png(image: ExportImage) -> bytes:
    mask = np.zeros(image.stored_size[::-1], dtype=np.bool_)
    for pixels in image.masks.values():
        mask |= pixels
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, "PNG")
    return stream.getvalue()
