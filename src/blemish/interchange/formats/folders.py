"""Folders by label: good, ok, normal, io; every other name is an anomaly of that type."""

from __future__ import annotations

from collections.abc import Iterator

from blemish.domain.entities import Label
from blemish.interchange.files import DatasetFiles, in_mask_folder
from blemish.interchange.label_names import SET_NAMES_OF_TOOLS, label_named, set_in_path
from blemish.interchange.labelled import LabelledImage, ReadingNotes, Region
from blemish.interchange.regions import MaskImage


def recognises_folders(files: DatasetFiles) -> bool:
    """Return whether a folder of images is named by a label."""
    return any(label_named(folder) for path in files.images for folder in path.split("/")[:-1])


def read_folders(files: DatasetFiles, notes: ReadingNotes) -> Iterator[LabelledImage]:
    """Yield the images; the innermost folder that is no set says label and type."""
    masks = dict[str, str]()
    images = list[str]()
    for path in files.images:
        if in_mask_folder(path):
            masks[_stem(path)] = path
        else:
            images.append(path)
    used = set()
    for path in images:
        folder = _label_folder(path)
        if folder is None:
            notes.remarks["Images outside of a folder, which have no label"] += 1
            yield LabelledImage(path=path, set_name=set_in_path(path), label=None)
            continue
        label = label_named(folder) or Label.ANOMALY
        mask = masks.get(_stem(path)) if label is Label.ANOMALY else None
        regions = []
        if mask is not None:
            used.add(mask)
            regions = [Region(anomaly_type=folder, shape=MaskImage(path=mask))]
        if label_named(folder) is None:
            notes.remarks[f"Images of the folder {folder!r:.80}, which are anomalies"] += 1
        yield LabelledImage(
            path=path, set_name=set_in_path(path), label=label, regions=regions, source=path
        )
    notes.unused["mask without an anomalous image of its name"] += len(set(masks.values()) - used)


def _label_folder(path: str) -> str | None:
    """Return the folder that says the label: the innermost that names one, or is no set."""
    folders = path.split("/")[:-1]
    for folder in reversed(folders):
        if label_named(folder):
            return folder
    named = [folder for folder in folders if folder.casefold() not in SET_NAMES_OF_TOOLS]
    return named[-1] if named else None


def _stem(path: str) -> str:
    """Return the set and the plain name, by which an image and its mask belong together."""
    name = path.casefold().rsplit("/", 1)[-1].rsplit(".", 1)[0].removesuffix("_mask")
    return f"{set_in_path(path) or ''}/{name}"
