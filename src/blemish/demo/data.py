"""What the demo learns from: images and manifests, written into a bucket's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blemish.demo.sample_product import COLORS, SampleImage, draw_sample_set, jpeg
from blemish.domain.entities import DatasetType, Label
from blemish.domain.file_managers import is_file_manager_file
from blemish.domain.manifest import CLASSIFICATION, SEGMENTATION
from blemish.domain.palette import BACKGROUND, PALETTE
from blemish.engine.images.formats import SUFFIXES
from blemish.engine.images.masks import encode_mask

BUCKET = "demo"
SEED = 7

Advance = Callable[[int, int], None]


class DemoDataError(Exception):
    """The folder of images is laid out in another way; the message says how it must be."""


Manifests = Mapping[DatasetType, str]
"""Dataset -> key of its manifest in `BUCKET`."""

NAMED_FILES = 3
"""Names of unused files that a note has."""


@dataclass(frozen=True, kw_only=True)
class DemoData:
    """What the demo trains on."""

    manifests: Manifests
    #: which files of the user are not used, and why
    notes: tuple[str, ...] = ()


def write_sample_data(bucket: Path, *, advance: Advance) -> DemoData:
    """Draw the sample product into `bucket`: a train and a test dataset, with masks."""
    sample = draw_sample_set(SEED, advance=advance)
    images = {DatasetType.TRAIN: sample.train, DatasetType.TEST: sample.test}
    manifests = {
        kind: _write_manifest(bucket, kind, [_write_sample(bucket, kind, image) for image in part])
        for kind, part in images.items()
    }
    return DemoData(manifests=manifests)


def copy_user_data(folder: Path, bucket: Path, *, advance: Advance) -> DemoData:
    """Copy a user's images into `bucket`.

    Args:
        folder: `normal` and `anomaly` in it, or these two in each of `train` and `test`.
        bucket: the bucket's folder.
        advance: called with the number of copied images, and of all.

    Raises:
        DemoDataError: the folder is laid out otherwise, or holds no images.
    """
    images = list(_user_images(folder))
    if not images:
        raise DemoDataError(
            f"{folder} holds no images. Put image files into {folder}/normal and "
            f"{folder}/anomaly, or into these two folders in {folder}/train and {folder}/test."
        )
    lines: dict[DatasetType, list[dict[str, Any]]] = {}
    for number, (kind, label, path) in enumerate(images, start=1):
        key = f"images/{kind}/{label}/{path.name}"
        target = bucket / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        lines.setdefault(kind, []).append(_line(key, label))
        advance(number, len(images))
    return DemoData(
        manifests={kind: _write_manifest(bucket, kind, part) for kind, part in lines.items()},
        notes=tuple(_notes(folder, used={path for _, _, path in images})),
    )


def _user_images(folder: Path) -> Iterator[tuple[DatasetType, Label, Path]]:
    if not folder.is_dir():
        raise DemoDataError(f"{folder} is not a folder.")
    split = {kind: folder / kind for kind in DatasetType if (folder / kind).is_dir()}
    for kind, part in (split or {DatasetType.TRAIN: folder}).items():
        for label in Label:
            if (part / label).is_dir():
                for path in sorted((part / label).iterdir()):
                    if _is_image_file(path):
                        yield kind, label, path


def _is_image_file(path: Path) -> bool:
    return (
        path.suffix.lower() in SUFFIXES and path.is_file() and not is_file_manager_file(path.name)
    )


def _notes(folder: Path, *, used: Collection[Path]) -> Iterator[str]:
    """Say which files of a folder are not used, and why."""
    reasons: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in used:
            name = path.relative_to(folder).as_posix()
            reasons.setdefault(_reason(name), []).append(name)
    for reason, names in reasons.items():
        rest = len(names) - NAMED_FILES
        shown = [*names[:NAMED_FILES], *([f"{rest} more"] if rest > 0 else [])]
        files = "file" if len(names) == 1 else "files"
        yield f"{len(names)} {files} not used, {reason}: {', '.join(shown)}"


def _reason(name: str) -> str:
    if is_file_manager_file(name):
        return "left by a file manager"
    if Path(name).suffix.lower() not in SUFFIXES:
        return "no images"
    return "not in a folder normal or anomaly"


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
