"""Label Studio JSON: polygons, rectangles, ellipses, brushes and choices.

Source: labelstud.io, "Label Studio JSON format"; positions are per cent of the image's size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from blemish.domain.entities import Label
from blemish.engine.images.formats import SUFFIXES
from blemish.interchange.ellipses import ellipse_outline, turned_points
from blemish.interchange.files import DatasetFiles, JsonKind
from blemish.interchange.label_names import label_in_path, label_named, set_in_path
from blemish.interchange.labelled import LabelledImage, ReadingNotes, Region
from blemish.interchange.regions import Box, Brush, Points, Polygon, Shape
from blemish.interchange.values import image_size, listing, mapping, number, outline, word

AREAS = frozenset({"brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels"})
"""Types of results that are areas."""

SET = "set"
"""A member of a task's data that Blemish writes: train or test."""

_ANNOTATIONS = {"annotations", "completions"}

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


def label_studio_files(files: DatasetFiles) -> Iterator[str]:
    """Yield the JSON files that are lists of tasks."""
    for path, kind in files.json_kinds.items():
        if kind is JsonKind.LIST:
            first = next(iter(files.read_json(path)), None)
            if isinstance(first, dict) and "data" in first and _ANNOTATIONS & first.keys():
                yield path


def recognises_label_studio(files: DatasetFiles) -> bool:
    """Return whether there is a JSON file of tasks."""
    return any(True for _ in label_studio_files(files))


def read_label_studio(files: DatasetFiles, notes: ReadingNotes) -> Iterator[LabelledImage]:
    """Yield the images of all tasks."""
    for path in list(label_studio_files(files)):
        for index, task in enumerate(files.read_json(path), start=1):
            try:
                yield _image(files, notes, path, mapping(task, "a task"))
            except ValueError as error:
                notes.problem(path, f"task {index:,}: {error}")


def _image(
    files: DatasetFiles, notes: ReadingNotes, source: str, task: dict[str, Any]
) -> LabelledImage:
    data = mapping(task.get("data"), "data")
    path, address = _path(files, source, data)
    if path is None:
        raise ValueError(f"there is no image {address!r:.300}")
    notes.unused["prediction of a model"] += len(task.get("predictions") or [])
    stored_set = data.get(SET)
    set_name = stored_set if isinstance(stored_set, str) else set_in_path(path)
    annotation = _deciding_annotation(task, notes)
    if annotation is None:
        notes.remarks["Tasks that nobody has labelled"] += 1
        return LabelledImage(path=path, set_name=set_name, label=label_in_path(path), source=source)
    results = _Results(notes)
    for result in listing(annotation.get("result") or [], "result"):
        results.add(mapping(result, "a result"))
    label = Label.ANOMALY if results.regions else results.label
    return LabelledImage(
        path=path,
        set_name=set_name,
        label=label or label_in_path(path) or Label.NORMAL,
        regions=results.regions,
        size=results.size,
        source=source,
    )


class _Results:
    """What the results of one annotation say together."""

    def __init__(self, notes: ReadingNotes) -> None:
        self._notes = notes
        self.regions: list[Region] = []
        self.label: Label | None = None
        self.size: tuple[int, int] | None = None

    def add(self, result: dict[str, Any]) -> None:
        """Add one result."""
        kind, value = result.get("type"), result.get("value")
        if kind == "choices":
            self._choose(mapping(value, "value"))
        elif isinstance(kind, str) and kind in AREAS:
            self._draw(result, kind, mapping(value, "value"))
        else:
            self._notes.unused[f"result of type {kind!r:.40}"] += 1

    def _choose(self, value: dict[str, Any]) -> None:
        for choice in listing(value.get("choices"), "choices"):
            label = label_named(word(choice, "a choice"))
            if label is None:
                self._notes.remarks[
                    f"Images of the choice {choice!r:.80}, which are anomalies"
                ] += 1
            self.label = Label.ANOMALY if self.label is Label.ANOMALY else label or Label.ANOMALY

    def _draw(self, result: dict[str, Any], kind: str, value: dict[str, Any]) -> None:
        names = listing(value.get(kind), kind)
        if len(names) != 1:
            raise ValueError(f"a result of type {kind} has {len(names)} labels: {names!r:.80}")
        if result.get("image_rotation"):
            raise ValueError(f"image_rotation is {result['image_rotation']!r:.20}; only 0 is read")
        name = word(names[0], kind)
        self.size = image_size(result.get("original_width"), result.get("original_height"))
        if label_named(name) is Label.NORMAL:
            self.label = self.label or Label.NORMAL
            return
        shape = _shape(kind, value, self.size)
        self.regions.append(Region(anomaly_type=name, shape=shape))


def _shape(kind: str, value: dict[str, Any], size: tuple[int, int]) -> Shape:
    match kind:
        case "brushlabels":
            return _brush(value)
        case "polygonlabels":
            points = outline(value.get("points"), "points") / 100
            return Polygon(rings=[points], is_relative=True)
    degrees = number(value.get("rotation", 0), "rotation")
    x, y = number(value.get("x"), "x"), number(value.get("y"), "y")
    if kind == "ellipselabels":
        radii = number(value.get("radiusX"), "radiusX"), number(value.get("radiusY"), "radiusY")
        center = _pixels((x, y), size)
        return Polygon(rings=[ellipse_outline(center, _pixels(radii, size), degrees=degrees)])
    width, height = number(value.get("width"), "width"), number(value.get("height"), "height")
    if not degrees:
        left, top, right, bottom = (edge / 100 for edge in (x, y, x + width, y + height))
        return Box(left=left, top=top, right=right, bottom=bottom, is_relative=True)
    w, h = _pixels((width, height), size)
    corners: Points = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float64)
    return Polygon(rings=[turned_points(corners, degrees) + _pixels((x, y), size)])


def _brush(value: dict[str, Any]) -> Brush:
    if value.get("format") != "rle":
        raise ValueError(f"the format of a brush must be rle, not {value.get('format')!r:.40}")
    codes = listing(value.get("rle"), "rle")
    try:
        return Brush(codes=bytes(codes))
    except (TypeError, ValueError):
        raise ValueError("rle must be numbers from 0 to 255") from None


def _pixels(shares: tuple[float, float], size: tuple[int, int]) -> tuple[float, float]:
    return shares[0] / 100 * size[0], shares[1] / 100 * size[1]


def _deciding_annotation(task: dict[str, Any], notes: ReadingNotes) -> dict[str, Any] | None:
    """Return the newest annotation that was not cancelled."""
    annotations = listing(task.get("annotations") or task.get("completions") or [], "annotations")
    counting = [
        annotation
        for annotation in annotations
        if isinstance(annotation, dict) and not annotation.get("was_cancelled")
    ]
    cancelled = len(annotations) - len(counting)
    notes.unused["cancelled annotation"] += cancelled
    notes.unused["annotation of a task that has a later one"] += max(0, len(counting) - 1)
    return counting[-1] if counting else None


def _path(files: DatasetFiles, source: str, data: dict[str, Any]) -> tuple[str | None, str]:
    """Return the path of the image of a task, and what the task calls it."""
    addresses = [value for value in data.values() if isinstance(value, str)]
    address = next((text for text in addresses if _name(text).lower().endswith(SUFFIXES)), "")
    if not address:
        raise ValueError(f"its data name no image: {data!r:.200}")
    name = _name(address)
    folder, slash, base = name.rpartition("/")
    path = files.image_named(name, near=source)
    if path is None and _UPLOAD.match(base):
        path = files.image_named(folder + slash + _UPLOAD.sub("", base), near=source)
    return path, address


def _name(address: str) -> str:
    """Return the path in an address: a URL, `s3://bucket/key`, or a local file of Label Studio."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    local = parse_qs(parts.query).get("d")
    return local[0] if local else unquote(parts.path).lstrip("/")
