"""What the demo learns from: images and manifests, written into a bucket's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from blemish.demo.sample_product import COLORS, SampleImage, draw_sample_set, jpeg
from blemish.domain.entities import DatasetType, Label
from blemish.domain.manifest import CLASSIFICATION, SEGMENTATION
from blemish.domain.palette import BACKGROUND, PALETTE
from blemish.engine.images.masks import encode_mask

BUCKET = "demo"
SEED = 7
ENDINGS = frozenset({".jpg", ".jpeg", ".png"})

Advance = Callable[[int, int], None]


class DemoDataError(Exception):
    """The folder of images is not as it must be; the message says how it should be."""


Manifests = Mapping[DatasetType, str]
"""Dataset -> key of its manifest in `BUCKET`."""


def write_sample_data(bucket: Path, *, advance: Advance) -> Manifests:
    """Draw the sample product into `bucket`: a train and a test dataset, with masks."""
    sample = draw_sample_set(SEED, advance=advance)
    parts = {DatasetType.TRAIN: sample.train, DatasetType.TEST: sample.test}
    return {
        kind: _write_manifest(bucket, kind, [_write_sample(bucket, kind, each) for each in part])
        for kind, part in parts.items()
    }


def copy_user_data(folder: Path, bucket: Path, *, advance: Advance) -> Manifests:
    """Copy a user's images into `bucket`.

    Args:
        folder: `normal` and `anomaly` in it, or these two in each of `train` and `test`.
        bucket: the bucket's folder.
        advance: told how many images of how many are there.

    Raises:
        DemoDataError: the folder is laid out otherwise, or holds no images.
    """
    found = list(_user_images(folder))
    if not found:
        raise DemoDataError(
            f"{folder} holds no images. Put JPEG or PNG files into {folder}/normal and "
            f"{folder}/anomaly, or into these two folders in {folder}/train and {folder}/test."
        )
    lines: dict[DatasetType, list[dict[str, Any]]] = {}
    for done, (kind, label, path) in enumerate(found, start=1):
        key = f"images/{kind}/{label}/{path.name}"
        target = bucket / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        lines.setdefault(kind, []).append(_line(key, label))
        advance(done, len(found))
    return {kind: _write_manifest(bucket, kind, part) for kind, part in lines.items()}


def _user_images(folder: Path) -> Iterator[tuple[DatasetType, Label, Path]]:
    if not folder.is_dir():
        raise DemoDataError(f"{folder} is not a folder.")
    split = {kind: folder / kind for kind in DatasetType if (folder / kind).is_dir()}
    for kind, part in (split or {DatasetType.TRAIN: folder}).items():
        for label in Label:
            if (part / label).is_dir():
                for path in sorted((part / label).iterdir()):
                    if path.suffix.lower() in ENDINGS and path.is_file():
                        yield kind, label, path


def _write_sample(bucket: Path, kind: DatasetType, image: SampleImage) -> dict[str, Any]:
    key = f"images/{kind}/{image.name}.jpg"
    _write(bucket / key, jpeg(image.image))
    line = _line(key, image.label)
    if image.mask is not None and image.anomaly_type is not None:
        mask_key = f"masks/{kind}/{image.name}.png"
        _write(bucket / mask_key, encode_mask(image.mask, colors=PALETTE))
        color = COLORS[image.anomaly_type]
        line["anomaly-mask-ref"] = f"s3://{BUCKET}/{mask_key}"
        line["anomaly-mask-ref-metadata"] = {
            "internal-color-map": {
                "0": {"class-name": "BACKGROUND", "hex-color": BACKGROUND},
                "1": {"class-name": image.anomaly_type, "hex-color": color},
            },
            "type": SEGMENTATION,
            "human-annotated": "yes",
        }
    return line


def _line(key: str, label: Label) -> dict[str, Any]:
    return {
        "source-ref": f"s3://{BUCKET}/{key}",
        "anomaly-label": int(label is Label.ANOMALY),
        "anomaly-label-metadata": {
            "class-name": label,
            "confidence": 1,
            "type": CLASSIFICATION,
            "human-annotated": "yes",
        },
    }


def _write_manifest(bucket: Path, kind: DatasetType, lines: list[dict[str, Any]]) -> str:
    key = f"manifests/{kind}.manifest"
    _write(bucket / key, "".join(json.dumps(line) + "\n" for line in lines).encode())
    return key


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
