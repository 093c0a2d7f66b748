"""CVAT XML for images: polygons, boxes, ellipses, masks and tags.

Source: docs.cvat.ai, "XML annotation format".
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

import numpy as np

from blemish.domain.entities import Label
from blemish.interchange.ellipses import ellipse_outline, turned_points
from blemish.interchange.files import DatasetFiles
from blemish.interchange.label_names import (
    label_in_path,
    label_named,
    set_in_path,
    set_in_words,
)
from blemish.interchange.labelled import InterchangeError, LabelledImage, ReadingNotes, Region
from blemish.interchange.regions import Box, Points, Polygon, Runs, Shape
from blemish.interchange.values import image_size, number, outline, whole, word
from blemish.interchange.xml_files import parse_xml_file

UNLABELLED = "unlabelled"
"""A tag that Blemish writes for an image that nobody has labelled."""


def cvat_files(files: DatasetFiles) -> Iterator[str]:
    """Yield the XML files that are CVAT's."""
    for path in files.ending(".xml"):
        if b"<annotations" in files.head(path):
            yield path


def recognises_cvat(files: DatasetFiles) -> bool:
    """Return whether there is an XML file of CVAT."""
    return any(True for _ in cvat_files(files))


def read_cvat(files: DatasetFiles, notes: ReadingNotes) -> Iterator[LabelledImage]:
    """Yield the images of all CVAT files."""
    for path in list(cvat_files(files)):
        try:
            root = parse_xml_file(files.read_bytes(path))
        except (ValueError, InterchangeError) as error:
            notes.problem(path, str(error))
            continue
        for name in ("track", "skeleton"):
            notes.unused[f"element <{name}>"] += len(root.findall(f".//{name}"))
        for element in root.iterfind("image"):
            try:
                yield _image(files, notes, path, element)
            except ValueError as error:
                notes.problem(path, f"image {element.get('name')!r:.300}: {error}")


def _image(
    files: DatasetFiles, notes: ReadingNotes, source: str, element: Element
) -> LabelledImage:
    name = word(element.get("name"), "name")
    path = files.image_named(name, near=source)
    if path is None:
        raise ValueError("there is no such image")
    size = image_size(element.get("width"), element.get("height"))
    regions, labels, is_unlabelled = list[Region](), set[Label](), False
    for child in element:
        label = word(child.get("label"), f"label of <{child.tag}>")
        notes.unused["attribute of a shape"] += len(child.findall("attribute"))
        if child.tag == "tag" and label == UNLABELLED:
            is_unlabelled = True
        elif child.tag == "tag" or label_named(label) is Label.NORMAL:
            labels.add(label_named(label) or Label.ANOMALY)
        elif shape := _shape(child, notes):
            regions.append(Region(anomaly_type=label, shape=shape))
    image_label: Label | None
    if regions or Label.ANOMALY in labels:
        image_label = Label.ANOMALY
    else:
        image_label = None if is_unlabelled else label_in_path(path) or Label.NORMAL
    return LabelledImage(
        path=path,
        set_name=set_in_path(path) or set_in_words(element.get("subset") or ""),
        label=image_label,
        regions=regions,
        size=size,
        source=source,
    )


def _shape(element: Element, notes: ReadingNotes) -> Shape | None:
    match element.tag:
        case "polygon":
            return Polygon(rings=[_points(element)])
        case "box":
            return _box(element)
        case "ellipse":
            cx, cy, rx, ry = _numbers(element, "cx", "cy", "rx", "ry")
            turn = number(element.get("rotation", 0), "rotation of <ellipse>")
            return Polygon(rings=[ellipse_outline((cx, cy), (rx, ry), degrees=turn)])
        case "mask":
            counts = [
                whole(text, "rle of <mask>") for text in (element.get("rle") or "").split(",")
            ]
            names = ("left", "top", "width", "height")
            left, top, width, height = (
                whole(element.get(name), f"{name} of <mask>") for name in names
            )
            return Runs(counts=counts, window=(left, top, width, height))
    notes.unused[f"element <{element.tag:.40}>"] += 1
    return None


def _box(element: Element) -> Shape:
    left, top, right, bottom = _numbers(element, "xtl", "ytl", "xbr", "ybr")
    turn = number(element.get("rotation", 0), "rotation of <box>")
    if not turn:
        return Box(left=left, top=top, right=right, bottom=bottom)
    center = np.array([(left + right) / 2, (top + bottom) / 2])
    corners: Points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return Polygon(rings=[turned_points(corners - center, turn) + center])


def _points(element: Element) -> Points:
    pairs = [pair.split(",") for pair in (element.get("points") or "").split(";")]
    return outline(pairs, f"points of <{element.tag:.40}>")


def _numbers(element: Element, *names: str) -> list[float]:
    return [number(element.get(name), f"{name} of <{element.tag:.40}>") for name in names]
