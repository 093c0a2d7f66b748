"""Labelled images in folders, as `../shared/data` and most users have them.

FOLDER/{train,test}/{normal,anomaly}/IMAGE, and FOLDER/masks/{train,test}/STEM.png (0 and 255)
FOLDER/manifests/template.manifest with paths below FOLDER, and FOLDER/test/{normal,anomaly}

`public_sets` reads the folders of public benchmarks.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.public_sets import reader_of
from blemish.domain.entities import Label
from blemish.engine.training.labeled_images import LabeledImage, TrainingMask

MANIFEST = "manifests/template.manifest"
ANOMALY = "anomaly"  # the type that a mask of 0 and 255 shows


def read_folder(folder: Path) -> tuple[list[LabeledImage], list[LabeledImage]]:
    """Return the training and the test part of a folder of labelled images."""
    if read := reader_of(folder):
        return read(folder)
    manifest = folder / MANIFEST
    train = _read_manifest(manifest) if manifest.is_file() else _read_part(folder, "train")
    return train, _read_part(folder, "test")


def _read_part(folder: Path, part: str) -> list[LabeledImage]:
    images = []
    for label in Label:
        for path in sorted((folder / part / label).iterdir()):
            mask = folder / "masks" / part / f"{path.stem}.png"
            images.append(
                LabeledImage(
                    name=str(path.relative_to(folder)),
                    label=label,
                    read=path.read_bytes,
                    mask=_mask(mask, {"#FFFFFF": ANOMALY, "#000000": "background"})
                    if label is Label.ANOMALY and mask.is_file()
                    else None,
                )
            )
    return images


def _read_manifest(manifest: Path) -> list[LabeledImage]:
    folder, images = manifest.parent.parent, []
    for line in manifest.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        mask = None
        if path := entry.get("anomaly-mask-ref"):
            named = entry["anomaly-mask-ref-metadata"]["internal-color-map"].values()
            mask = _mask(folder / path, {kind["hex-color"]: kind["class-name"] for kind in named})
        images.append(
            LabeledImage(
                name=entry["source-ref"],
                label=Label(entry["anomaly-label-metadata"]["class-name"]),
                read=(folder / entry["source-ref"]).read_bytes,
                mask=mask,
            )
        )
    return images


def _mask(path: Path, colors: dict[str, str]) -> TrainingMask:
    return TrainingMask(read=path.read_bytes, colors=colors)
