"""YOLO polygons and boxes: `data.yaml` or `classes.txt`, and a text file for each image.

Source: docs.ultralytics.com, "Instance Segmentation Datasets": `class x1 y1 x2 y2 ...`, in shares
of the image's size; an image without a file, or with an empty one, is background.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

import yaml

from blemish.domain.color_maps import short_json
from blemish.domain.entities import Label
from blemish.interchange.files import DatasetFiles
from blemish.interchange.label_names import label_in_path, label_named, set_in_path
from blemish.interchange.labelled import InterchangeError, LabelledImage, ReadingNotes, Region
from blemish.interchange.regions import Box, Polygon, Shape
from blemish.interchange.values import number, outline, word

MAX_YAML_BYTES = 1_000_000
"""Of `data.yaml`, which holds some names."""

IMAGES, LABELS = "images", "labels"


def recognises_yolo(files: DatasetFiles) -> bool:
    """Return whether there are names of classes in YAML, and text files of labels."""
    has_labels = any(LABELS in path.split("/") for path in files.ending(".txt"))
    return has_labels and _names_file(files) is not None


def read_yolo(files: DatasetFiles, notes: ReadingNotes) -> Iterator[LabelledImage]:
    """Yield the images, each with what the text file of its name says."""
    path = _names_file(files)
    if path is None:
        notes.problem(files.name, "there is no YAML file with the names of the classes")
        return
    try:
        content = {} if path.endswith(".txt") else _content(files, path)
        names = _class_names(content.get("names") or files.read_text(path).split("\n"))
        listed = _listed_images(files, path, content)
    except ValueError as error:
        notes.problem(path, str(error))
        return
    used = set()
    for image in files.product_images:
        if listed and image not in listed:
            continue
        source = label_file(image)
        used.add(source)
        try:
            yield _image(files, notes, image, source, names)
        except (ValueError, InterchangeError) as error:
            notes.problem(source, str(error))
    for source in files.ending(".txt"):
        if LABELS in source.split("/") and source not in used:
            notes.problem(source, "there is no image of this name")


def label_file(image: str) -> str:
    """Return the path of the text file of an image: `labels` in place of the last `images`."""
    folders = image.split("/")
    for index in range(len(folders) - 2, -1, -1):
        if folders[index] == IMAGES:
            folders[index] = LABELS
            break
    return f"{posixpath.splitext('/'.join(folders))[0]}.txt"


def _names_file(files: DatasetFiles) -> str | None:
    for path in files.ending(".yaml", ".yml"):
        try:
            if "names" in _content(files, path):
                return path
        except ValueError:
            continue
    return next(iter(path for path in files.ending("classes.txt")), None)


def _content(files: DatasetFiles, path: str) -> dict[str, Any]:
    data = files.read_bytes(path)
    if len(data) > MAX_YAML_BYTES:
        raise ValueError(f"it has {len(data):,} bytes; at most {MAX_YAML_BYTES:,} are read")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(data)):
            raise ValueError("it has aliases, which may stand for endless lists")
        content = yaml.safe_load(data)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"it is not YAML ({error!s:.200})") from None
    return content if isinstance(content, dict) else {}


def _listed_images(files: DatasetFiles, source: str, content: dict[str, Any]) -> frozenset[str]:
    """Return the images in the text files that `train`, `val` and `test` name, if they do."""
    images = set()
    for name in ("train", "val", "test"):
        path = posixpath.join(posixpath.dirname(source), str(content.get(name, "")))
        if path.endswith(".txt") and path in files.known:
            for line in files.read_text(path).split("\n"):
                image = files.image_named(line.strip(), near=path) if line.strip() else None
                if line.strip() and image is None:
                    raise ValueError(f"{path} names {line.strip()!r:.300}, which is not there")
                images |= {image} if image else set()
    return frozenset(images)


def _class_names(names: object) -> dict[int, str]:
    pairs = (
        enumerate(names)
        if isinstance(names, list)
        else names.items()
        if isinstance(names, dict)
        else None
    )
    if pairs is None:
        raise ValueError(f"names must be a list or an object, not {short_json(names)}")
    return {int(number(index, "a class")): word(name, "a name") for index, name in pairs if name}


def _image(
    files: DatasetFiles, notes: ReadingNotes, path: str, source: str, names: dict[int, str]
) -> LabelledImage:
    regions, is_normal = list[Region](), False
    text = files.read_text(source) if source in files.known else ""
    for row, line in enumerate(text.splitlines(), start=1):
        if not line.split():
            continue
        try:
            name, shape = _area(line.split(), names, notes)
        except ValueError as error:
            raise ValueError(f"line {row}: {error}") from None
        if label_named(name) is Label.NORMAL:
            is_normal = True
        else:
            regions.append(Region(anomaly_type=name, shape=shape))
    label = Label.ANOMALY if regions else Label.NORMAL
    if not regions and not is_normal:
        label = label_in_path(path) or Label.NORMAL
    return LabelledImage(
        path=path, set_name=set_in_path(path), label=label, regions=regions, source=source
    )


def _area(cells: list[str], names: dict[int, str], notes: ReadingNotes) -> tuple[str, Shape]:
    index = number(cells[0], "the class")
    name = names.get(int(index))
    if name is None:
        raise ValueError(f"the class {cells[0]} has no name; {len(names)} are listed")
    if len(cells) == 5:
        x, y, width, height = (number(cell, "a position") for cell in cells[1:])
        notes.remarks["Boxes without an outline, whose whole area becomes the mask"] += 1
        box = Box(
            left=x - width / 2,
            top=y - height / 2,
            right=x + width / 2,
            bottom=y + height / 2,
            is_relative=True,
        )
        return name, box
    points = outline(list(cells[1:]), "the polygon")
    if abs(points).max() > 2:
        raise ValueError(f"the position {abs(points).max():g} is no share of the image's size")
    return name, Polygon(rings=[points], is_relative=True)
