"""Folders as those of MVTec AD: train/good, test/TYPE, and ground_truth/TYPE for masks.

Source: mvtec.com, "MVTec AD", readme; also VisA and BTAD in that layout.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from blemish.domain.entities import Label
from blemish.interchange.files import DatasetFiles, in_mask_folder
from blemish.interchange.label_names import label_named
from blemish.interchange.labelled import LabelledImage, ReadingNotes, Region
from blemish.interchange.regions import MaskImage

MASKS = "ground_truth"
_SETS = ("train", "test", "validation")


def recognises_mvtec(files: DatasetFiles) -> bool:
    """Return whether there is train/good, and ground_truth, or a type of anomaly in test."""
    pairs = {tuple(path.casefold().split("/")[-3:-1]) for path in files.images}
    names = {pair for pair in pairs if len(pair) == 2}
    has_train = any(set_name == "train" and _is_normal(name) for set_name, name in names)
    has_masks = any(set_name == MASKS for set_name, _ in names)
    has_types = any(set_name == "test" and label_named(name) is None for set_name, name in names)
    has_others = any(map(in_mask_folder, files.images))
    return has_train and (has_masks or (has_types and not has_others))


def read_mvtec(files: DatasetFiles, notes: ReadingNotes) -> Iterator[LabelledImage]:
    """Yield the images of train and test; the folder below these names the type."""
    masks = {path.casefold(): path for path in files.images if MASKS in _folders(path)}
    used = set()
    for path in files.images:
        folders = _folders(path)
        if MASKS in folders:
            continue
        set_index = max((folders.index(name) for name in _SETS if name in folders), default=None)
        if set_index is None or set_index + 1 >= len(folders):
            continue
        anomaly_type = path.split("/")[set_index + 1]
        set_name = "val" if folders[set_index] == "validation" else folders[set_index]
        if _is_normal(anomaly_type):
            yield LabelledImage(path=path, set_name=set_name, label=Label.NORMAL)
            continue
        mask = _mask_of(path, set_index, masks)
        regions = []
        if mask is not None:
            used.add(mask)
            regions = [Region(anomaly_type=anomaly_type, shape=MaskImage(path=mask))]
        yield LabelledImage(
            path=path, set_name=set_name, label=Label.ANOMALY, regions=regions, source=path
        )
    notes.unused["mask without an image"] += len(set(masks.values()) - used)


def _mask_of(path: str, set_index: int, masks: dict[str, str]) -> str | None:
    """Return the mask of an image: `000_mask.png`, `000.png`, or with the image's suffix."""
    folders = path.split("/")[:-1]
    folders[set_index] = MASKS
    stem, suffix = posixpath.splitext(posixpath.basename(path))
    for name in (f"{stem}_mask.png", f"{stem}.png", f"{stem}_mask{suffix}", f"{stem}{suffix}"):
        mask = masks.get("/".join([*folders, name]).casefold())
        if mask is not None:
            return mask
    return None


def _folders(path: str) -> list[str]:
    return path.casefold().split("/")[:-1]


def _is_normal(name: str) -> bool:
    return label_named(name) is Label.NORMAL
