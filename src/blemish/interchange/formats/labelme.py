"""LabelMe JSON: one file for each image.

Source: labelme, `shape.py` (shape_to_mask) and `label_file.py`.
"""

from __future__ import annotations

import base64
import binascii
import io
import posixpath
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from blemish.domain.entities import Label
from blemish.interchange.ellipses import ellipse_outline
from blemish.interchange.files import DatasetFiles, JsonKind
from blemish.interchange.label_names import label_in_path, label_named, set_in_path
from blemish.interchange.labelled import InterchangeError, LabelledImage, ReadingNotes, Region
from blemish.interchange.regions import Box, Polygon, Runs, Shape
from blemish.interchange.run_lengths import encode_runs
from blemish.interchange.values import image_size, listing, mapping, number, outline, word

MAX_MASK_PIXELS = 100_000_000
"""Of a mask inside a JSON file."""


def recognises_labelme(files: DatasetFiles) -> bool:
    """Return whether there is a JSON file with shapes."""
    return any(kind is JsonKind.SHAPES for kind in files.json_kinds.values())


def read_labelme(files: DatasetFiles, notes: ReadingNotes) -> Iterator[LabelledImage]:
    """Yield the images that JSON files describe, then those without one."""
    known = set()
    for path, kind in files.json_kinds.items():
        if kind is not JsonKind.SHAPES:
            notes.unused["JSON file without shapes"] += 1
            continue
        try:
            image = _image(files, notes, path, mapping(files.read_json(path), "the file"))
        except (ValueError, InterchangeError) as error:
            notes.problem(path, str(error))
        else:
            known.add(image.path)
            yield image
    for path in files.product_images:
        if path not in known:
            notes.remarks["Images without a JSON file"] += 1
            yield LabelledImage(path=path, set_name=set_in_path(path), label=label_in_path(path))


def _image(
    files: DatasetFiles, notes: ReadingNotes, source: str, content: dict[str, Any]
) -> LabelledImage:
    name = word(content.get("imagePath"), "imagePath")
    path = files.image_named(name, near=source)
    if path is None:
        embedded = (
            " It is inside the file: let labelme export it." if content.get("imageData") else ""
        )
        raise ValueError(f"there is no image {name!r:.300}.{embedded}")
    regions, is_normal = list[Region](), False
    for index, value in enumerate(listing(content.get("shapes"), "shapes"), start=1):
        fields = mapping(value, f"shape {index}")
        label = word(fields.get("label"), f"the label of shape {index}")
        if label_named(label) is Label.NORMAL:
            is_normal = True
        elif shape := _shape(fields, f"shape {index} ({label:.80})", notes):
            regions.append(Region(anomaly_type=label, shape=shape))
    size = None
    if content.get("imageWidth"):
        size = image_size(content["imageWidth"], content.get("imageHeight"))
    image_label: Label | None = Label.ANOMALY
    if not regions:
        image_label = _flagged(content) or label_in_path(path)
        if image_label is None and not _says_unlabelled(content):
            image_label = Label.NORMAL
    return LabelledImage(
        path=path,
        set_name=set_in_path(path),
        label=Label.NORMAL if is_normal and not regions else image_label,
        regions=regions,
        size=size,
        source=source,
    )


def _shape(fields: dict[str, Any], where: str, notes: ReadingNotes) -> Shape | None:
    kind = fields.get("shape_type") or "polygon"
    match kind:
        case "polygon":
            return Polygon(rings=[outline(fields.get("points"), f"points of {where}")])
        case "rectangle":
            (left, top), (right, bottom) = _corners(fields, where)
            return Box(left=left, top=top, right=right, bottom=bottom)
        case "circle":
            (x, y), edge = _corners(fields, where)
            radius = float(np.hypot(edge[0] - x, edge[1] - y))
            return Polygon(rings=[ellipse_outline((x, y), (radius, radius))])
        case "mask":
            return _embedded_mask(fields, where)
    notes.unused[f"shape of type {kind!r:.40}"] += 1
    return None


def _corners(fields: dict[str, Any], where: str) -> list[tuple[float, float]]:
    points = listing(fields.get("points"), f"points of {where}")
    if len(points) != 2 or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise ValueError(f"points of {where} must be two pairs of numbers, not {points!r:.80}")
    what = f"points of {where}"
    return [(number(x, what), number(y, what)) for x, y in points]


def _embedded_mask(fields: dict[str, Any], where: str) -> Shape:
    """Return a mask that is a PNG inside the file; its points are the first and the last pixel."""
    (left, top), _ = _corners(fields, where)
    try:
        data = base64.b64decode(word(fields.get("mask"), f"mask of {where}"), validate=True)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > MAX_MASK_PIXELS:
                raise ValueError(
                    f"the mask of {where} has {image.width:,} x {image.height:,} pixels"
                )
            pixels = np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError) as error:
        raise ValueError(f"the mask of {where} is no PNG image ({error})") from None
    height, width = pixels.shape
    return Runs(counts=encode_runs(pixels), window=(round(left), round(top), width, height))


def _flagged(content: dict[str, Any]) -> Label | None:
    """Return the label that a flag of the image says."""
    flags = content.get("flags") or {}
    names = [name for name, value in flags.items() if value] if isinstance(flags, dict) else []
    return next((label for label in map(label_named, names) if label), None)


def _says_unlabelled(content: dict[str, Any]) -> bool:
    flags = content.get("flags") or {}
    return isinstance(flags, dict) and flags.get("unlabelled") is True


def json_beside(path: str) -> str:
    """Return the path of the JSON file that labelme writes beside an image."""
    return f"{posixpath.splitext(path)[0]}.json"
