"""COCO JSON: polygons, runs of pixels, compressed or not, and boxes.

Sources: cocodataset.org, "Data format"; pycocotools, `coco.py` (annToRLE).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from blemish.domain.color_maps import short_json
from blemish.domain.entities import Label
from blemish.interchange.files import DatasetFiles, JsonKind
from blemish.interchange.label_names import label_in_path, label_named, set_in_path, set_in_words
from blemish.interchange.labelled import LabelledImage, ReadingNotes, Region
from blemish.interchange.regions import Box, Polygon, Runs, Shape
from blemish.interchange.run_lengths import decode_coco_text
from blemish.interchange.values import (
    identity,
    image_size,
    listing,
    mapping,
    number,
    outline,
    whole,
    word,
)

LABEL = "blemish_label"
"""A member of an image that Blemish writes: a label that no annotation says."""

UNLABELLED = "unlabelled"

_MEMBERS = {"images", "annotations", "categories"}


def coco_files(files: DatasetFiles) -> Iterator[str]:
    """Yield the JSON files that are COCO's."""
    for path, kind in files.json_kinds.items():
        if kind is JsonKind.OBJECT and files.read_json(path).keys() >= _MEMBERS:
            yield path


def recognises_coco(files: DatasetFiles) -> bool:
    """Return whether there is a JSON file of COCO."""
    return any(True for _ in coco_files(files))


def read_coco(files: DatasetFiles, notes: ReadingNotes) -> Iterator[LabelledImage]:
    """Yield the images of all COCO files."""
    for path in list(coco_files(files)):
        yield from _CocoFile(files, notes, path).images()


class _CocoFile:
    """One JSON file."""

    def __init__(self, files: DatasetFiles, notes: ReadingNotes, path: str) -> None:
        self._files = files
        self._notes = notes
        self._path = path
        self._content = files.read_json(path)
        self._categories: dict[int | str, str] = {}

    def images(self) -> Iterator[LabelledImage]:
        """Yield the images with their regions."""
        try:
            images = _by_id(self._content["images"], "an image")
            annotations = listing(self._content["annotations"], "annotations")
            self._categories = {
                category_id: word(category.get("name"), "a name")
                for category_id, category in _by_id(self._content["categories"], "a category")
            }
        except ValueError as error:
            self._notes.problem(self._path, str(error))
            return
        by_image = defaultdict[Any, list[dict[str, Any]]](list)
        for annotation in annotations:
            if isinstance(annotation, dict) and isinstance(annotation.get("image_id"), int | str):
                by_image[annotation["image_id"]].append(annotation)
            else:
                self._notes.problem(
                    self._path, f"an annotation has no image_id: {annotation!r:.80}"
                )
        for image_id, fields in images:
            try:
                yield self._image(fields, by_image.pop(image_id, []))
            except ValueError as error:
                self._notes.problem(self._path, str(error))
        for image_id, orphans in by_image.items():
            self._notes.problem(
                self._path,
                f"{len(orphans):,} annotations are of an image {image_id!r:.80} that it lacks",
            )

    def _image(self, fields: dict[str, Any], annotations: list[dict[str, Any]]) -> LabelledImage:
        name = word(fields.get("file_name"), "the file_name of an image")
        path = self._files.image_named(name, near=self._path)
        if path is None:
            raise ValueError(f"there is no image {name!r:.300}")
        size = image_size(fields.get("width"), fields.get("height"))
        regions, is_normal = list[Region](), False
        for annotation in annotations:
            region = self._region(annotation, size)
            is_normal |= region is None
            regions += [region] if region else []
        label = Label.ANOMALY if regions else _label(fields, path, is_normal=is_normal)
        return LabelledImage(
            path=path,
            set_name=set_in_path(path) or set_in_words(self._path.rpartition("/")[2]),
            label=label,
            regions=regions,
            size=size,
            source=self._path,
        )

    def _region(self, annotation: dict[str, Any], size: tuple[int, int]) -> Region | None:
        """Return the area of an annotation; None if its category says normal."""
        where = f"annotation {annotation.get('id')!r:.40}"
        name = self._categories.get(identity(annotation.get("category_id"), f"category of {where}"))
        if name is None:
            raise ValueError(
                f"{where} has an unlisted category: {annotation.get('category_id')!r:.40}"
            )
        if label_named(name) is Label.NORMAL:
            return None
        for member in ("keypoints", "attributes"):
            if annotation.get(member):
                self._notes.unused[f"{member} of an annotation"] += 1
        return Region(anomaly_type=name, shape=self._shape(annotation, where, size))

    def _shape(self, annotation: dict[str, Any], where: str, size: tuple[int, int]) -> Shape:
        segmentation = annotation.get("segmentation")
        if isinstance(segmentation, dict):
            counts, runs_size = segmentation.get("counts"), segmentation.get("size")
            if runs_size not in (None, [size[1], size[0]]):
                raise ValueError(
                    f"the runs of {where} have the height and width {short_json(runs_size)}, "
                    f"its image [{size[1]}, {size[0]}]"
                )
            if isinstance(counts, str):
                return Runs(counts=decode_coco_text(counts), by_columns=True)
            numbers = listing(counts, f"counts of {where}")
            return Runs(
                counts=[whole(count, f"a count of {where}") for count in numbers], by_columns=True
            )
        if segmentation:
            rings = listing(segmentation, f"segmentation of {where}")
            return Polygon(rings=[outline(ring, f"segmentation of {where}") for ring in rings])
        box = listing(annotation.get("bbox"), f"bbox of {where}")
        if len(box) != 4:
            raise ValueError(f"bbox of {where} must have 4 numbers, not {len(box)}")
        left, top, width, height = (number(value, f"bbox of {where}") for value in box)
        self._notes.remarks["Boxes without an outline, whose whole area becomes the mask"] += 1
        return Box(left=left, top=top, right=left + width, bottom=top + height)


def _by_id(values: object, what: str) -> list[tuple[int | str, dict[str, Any]]]:
    """Return the objects of a list with their ids.

    Raises:
        ValueError: one has no id, or the id of another.
    """
    objects = dict[int | str, dict[str, Any]]()
    for value in listing(values, f"the list with {what}"):
        fields = mapping(value, what)
        value_id = identity(fields.get("id"), f"the id of {what}")
        if objects.setdefault(value_id, fields) is not fields:
            raise ValueError(f"{what} has the id {value_id!r:.80}, as another one has")
    return list(objects.items())


def _label(fields: dict[str, Any], path: str, *, is_normal: bool) -> Label | None:
    """Return the label of an image without an area of an anomaly."""
    stored = fields.get(LABEL)
    if isinstance(stored, str):
        return None if stored == UNLABELLED else label_named(stored)
    return Label.NORMAL if is_normal else label_in_path(path) or Label.NORMAL
