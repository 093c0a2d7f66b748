"""Pascal VOC XML: boxes, one file for each image; also the polygons that some tools add.

Source: The PASCAL Visual Object Classes Challenge 2012, development kit, section 2.2: the first
pixel is 1, and the edges of a box belong to it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from blemish.domain.entities import Label
from blemish.interchange.files import DatasetFiles
from blemish.interchange.label_names import label_in_path, label_named, set_in_path
from blemish.interchange.labelled import InterchangeError, LabelledImage, ReadingNotes, Region
from blemish.interchange.regions import Box, Polygon
from blemish.interchange.values import image_size, number, outline
from blemish.interchange.xml_files import child_text, parse_xml_file

LABEL = "blemish_label"
"""An element that Blemish writes: a label that no object says."""


def recognises_voc(files: DatasetFiles) -> bool:
    """Return whether there is an XML file of one image."""
    return any(_is_voc(files, path) for path in files.ending(".xml"))


def read_voc(files: DatasetFiles, notes: ReadingNotes) -> Iterator[LabelledImage]:
    """Yield the images that XML files describe, then those without one."""
    known = set()
    sets = _sets(files)
    for path in files.ending(".xml"):
        if not _is_voc(files, path):
            notes.unused["XML file of another kind"] += 1
            continue
        try:
            image = _image(files, notes, path, sets)
        except (ValueError, InterchangeError) as error:
            notes.problem(path, str(error))
        else:
            known.add(image.path)
            yield image
    for path in files.product_images:
        if path not in known:
            notes.remarks["Images without an XML file"] += 1
            yield LabelledImage(path=path, set_name=set_in_path(path), label=label_in_path(path))


def _is_voc(files: DatasetFiles, path: str) -> bool:
    return re.search(rb"<annotation\b", files.head(path)) is not None


def _sets(files: DatasetFiles) -> dict[str, str]:
    """Return the set of each image that `ImageSets/Main/train.txt` and the like list."""
    sets: dict[str, str] = {}
    for name in ("train", "val", "test"):
        for path in files.ending(f"imagesets/main/{name}.txt"):
            for line in files.read_text(path).splitlines():
                if line.split():
                    sets[line.split()[0]] = name
    return sets


def _image(
    files: DatasetFiles, notes: ReadingNotes, source: str, sets: dict[str, str]
) -> LabelledImage:
    root = parse_xml_file(files.read_bytes(source))
    stem = posixpath.splitext(posixpath.basename(source))[0]
    name = child_text(root, "filename") or stem
    path = files.image_named(name, near=source)
    if path is None:
        raise ValueError(f"there is no image {name!r:.300}")
    size = root.find("size")
    regions, is_normal = list[Region](), False
    for element in root.iterfind("object"):
        region = _region(element, notes)
        is_normal |= region is None
        regions += [region] if region else []
    label: Label | None = Label.ANOMALY
    if not regions:
        stored = child_text(root, LABEL)
        label = label_named(stored) if stored else label_in_path(path) or Label.NORMAL
    return LabelledImage(
        path=path,
        set_name=set_in_path(path) or sets.get(stem),
        label=label,
        regions=regions,
        size=None if size is None else _size(size),
        source=source,
    )


def _size(element: Element) -> tuple[int, int] | None:
    width, height = child_text(element, "width"), child_text(element, "height")
    return None if width in {None, "0"} else image_size(width, height)


def _region(element: Element, notes: ReadingNotes) -> Region | None:
    name = child_text(element, "name")
    if name is None:
        raise ValueError("an object has no name")
    if label_named(name) is Label.NORMAL:
        return None
    polygon = element.find("polygon")
    if polygon is not None:
        points = outline([child.text for child in polygon], f"polygon of {name!r:.80}")
        return Region(anomaly_type=name, shape=Polygon(rings=[points - 1]))
    box = element.find("bndbox")
    if box is None:
        raise ValueError(f"the object {name!r:.80} has no bndbox")
    left, top, right, bottom = (
        number(child_text(box, edge), f"{edge} of {name!r:.80}")
        for edge in ("xmin", "ymin", "xmax", "ymax")
    )
    notes.remarks["Boxes, whose whole area becomes the mask"] += 1
    notes.unused["part of an object"] += len(element.findall("part"))
    return Region(
        anomaly_type=name, shape=Box(left=left - 1, top=top - 1, right=right, bottom=bottom)
    )
