"""Labelled images made ready for a bucket and a manifest: checked, and with masks drawn.

Everything is checked before anything is stored, and all problems are noted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import DatasetType, Label, MaskOrientation
from blemish.domain.limits import OURS
from blemish.domain.manifest import (
    CLASSIFICATION,
    MASK_ORIENTATION,
    MAX_TYPES_PER_MASK,
    SEGMENTATION,
)
from blemish.domain.palette import BACKGROUND, BACKGROUND_CLASS, PALETTE
from blemish.engine.images.decode import load_pixels
from blemish.engine.images.formats import ImageError, ImageHeader
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.masks import decode_mask, encode_mask
from blemish.engine.images.orientation import turn_size
from blemish.engine.images.sizes import ImageLimits, pixel_size
from blemish.interchange.files import DatasetFiles
from blemish.interchange.label_names import dataset_of
from blemish.interchange.labelled import InterchangeError, LabelledImage, ReadingNotes
from blemish.interchange.regions import MaskImage, painted
from blemish.interchange.registry import DatasetFormat, format_named, recognised_formats
from blemish.storage.objects.names import refusal

MASK_FOLDER = "masks"
"""Of the masks that are drawn, below the prefix of an import."""

UNREAD_SUFFIXES = (".avif", ".dng", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".pgm", ".ppm")
"""Of images in formats that the service does not read."""

_LIMITS = ImageLimits.of(OURS)


@dataclass(frozen=True, kw_only=True)
class LabelledDataset:
    """The images of a folder, read but not yet checked."""

    format: DatasetFormat
    #: other formats that fit the folder
    others: Sequence[DatasetFormat]
    images: Sequence[LabelledImage]
    notes: ReadingNotes


@dataclass(frozen=True, kw_only=True)
class DraftEntry:
    """An image that can become an entry of a dataset."""

    #: path of the image in its folder
    path: str
    kind: DatasetType
    label: Label | None
    #: file of the mask that was drawn; None without one
    mask: Path | None = None
    #: "#RRGGBB" -> anomaly type, of the mask
    colors: Mapping[str, str] = field(default_factory=dict)
    mask_orientation: MaskOrientation | None = None

    @property
    def mask_path(self) -> str:
        """Where the mask goes, below the prefix of an import; another image has another one."""
        return f"{MASK_FOLDER}/{self.path}.png"


def read_dataset(files: DatasetFiles, *, format_name: str | None = None) -> LabelledDataset:
    """Read the labelled images of a folder.

    Args:
        files: of the folder.
        format_name: of its format; None recognises it.

    Raises:
        InterchangeError: the format is unknown, there are no images, or some of the data cannot be
            used; the message names the first problems and counts the others.
    """
    formats = [format_named(format_name)] if format_name else recognised_formats(files)
    notes = ReadingNotes()
    images = list(formats[0].read(files, notes))
    sources = defaultdict[tuple[str, str | None], list[str]](list)
    for image in images:
        sources[image.path, image.set_name].append(image.source)
    for (path, _), names in sources.items():
        if len(names) > 1:
            files_text = ", ".join(sorted(set(names)))
            notes.problem(path, f"it is described {len(names)} times ({files_text:.300})")
        if problem := refusal(path):
            notes.problem(path, f"no object can have this name: {problem}")
    notes.check()
    if not images:
        raise InterchangeError(
            f"{files.name}: there are no images of the format {formats[0].name}."
        )
    _note_unused_images(files, images, notes)
    return LabelledDataset(format=formats[0], others=formats[1:], images=images, notes=notes)


def _note_unused_images(
    files: DatasetFiles, images: Sequence[LabelledImage], notes: ReadingNotes
) -> None:
    """Count the images of a folder that its annotations do not name, or that nothing here reads."""
    used = {image.path for image in images}
    for image in images:
        shapes = (region.shape for region in image.regions)
        used |= {shape.path for shape in shapes if isinstance(shape, MaskImage)}
        used |= {image.color_mask.path} if image.color_mask else set()
    unused = sum(path not in used for path in files.product_images)
    notes.unused["image that no annotation names"] += unused
    for path in files.ending(*UNREAD_SUFFIXES):
        suffix = path.lower().rpartition(".")[2]
        notes.unused[f"file in a format that is not read ({suffix})"] += 1


def anomaly_types(images: Iterable[LabelledImage]) -> dict[str, str]:
    """Return the anomaly types of images, with a colour of the palette for each.

    Raises:
        InterchangeError: there are more than a project can have.
    """
    names = dict[str, None]()
    for image in images:
        colors = image.color_mask.colors if image.color_mask else {}
        names |= dict.fromkeys(region.anomaly_type for region in image.regions)
        names |= dict.fromkeys(name for name in colors.values() if name != BACKGROUND_CLASS)
    if len(names) > OURS.max_anomaly_types:
        raise InterchangeError(
            f"There are {len(names):,} anomaly types; a project has {OURS.max_anomaly_types} at "
            f"most. The first are {', '.join(list(names)[:5])}."
        )
    return dict(zip(names, PALETTE[1:], strict=False))


def draft_entries(
    files: DatasetFiles,
    dataset: LabelledDataset,
    *,
    folder: Path,
    advance: Callable[[], None] = lambda: None,
) -> list[DraftEntry]:
    """Check all images and draw their masks.

    Args:
        files: of the folder.
        dataset: what was read of it; its notes get more.
        folder: gets the masks.
        advance: called after each image.

    Raises:
        InterchangeError: some images or masks cannot be used; the message names the first problems.
    """
    types = anomaly_types(dataset.images)
    has_test = any(image.set_name == "test" for image in dataset.images)
    sizes = Counter[tuple[int, int]]()
    entries = []
    for index, image in enumerate(dataset.images):
        kind = dataset_of(image.set_name, has_test=has_test)
        if image.set_name == "val":
            dataset.notes.remarks[f"Images of the validation set, which go to {kind}"] += 1
        drawing = _Drawing(files, image, types=types, notes=dataset.notes)
        try:
            entries.append(drawing.entry(kind, folder / f"{index}.png"))
            sizes[drawing.header.size] += 1
        except (ValueError, InterchangeError) as error:
            dataset.notes.problem(image.path, str(error).removeprefix(f"{image.path}: "))
        advance()
    dataset.notes.check()
    if len(sizes) > 1:
        (size, count), *_ = sizes.most_common(1)
        text = f"Images of another size than most, which have {pixel_size(size)} pixels"
        dataset.notes.remarks[text] = sizes.total() - count
    return entries


def import_line(
    image_ref: str,
    *,
    label: Label | None,
    mask_ref: str | None,
    colors: Mapping[str, str],
    mask_orientation: MaskOrientation | None,
    now: datetime,
) -> str:
    """Return the JSON Line of an image.

    Args:
        image_ref: address of the image.
        label: None for none.
        mask_ref: address of the mask; None without one.
        colors: "#RRGGBB" -> anomaly type, of the mask.
        mask_orientation: how the mask lies on an image that EXIF turns, if that is known.
        now: when the image was labelled.
    """
    annotation = {
        "job-name": "labeling-job/import",
        "human-annotated": "yes",
        "creation-date": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    line: dict[str, object] = {"source-ref": image_ref}
    if label is not None:
        line["anomaly-label"] = int(label is Label.ANOMALY)
        line["anomaly-label-metadata"] = {
            "class-name": str(label),
            "confidence": 1.0,
            "type": CLASSIFICATION,
            **annotation,
        }
    if mask_ref is not None:
        classes = {BACKGROUND: BACKGROUND_CLASS, **colors}
        line["anomaly-mask-ref"] = mask_ref
        line["anomaly-mask-ref-metadata"] = {
            "internal-color-map": {
                str(index): {"class-name": name, "hex-color": color, "confidence": 0.0}
                for index, (color, name) in enumerate(classes.items())
            },
            "type": SEGMENTATION,
            **({MASK_ORIENTATION: str(mask_orientation)} if mask_orientation else {}),
            **annotation,
        }
    return json.dumps(line, ensure_ascii=False)


class _Drawing:
    """Checks one image, and draws its mask."""

    header: ImageHeader

    def __init__(
        self,
        files: DatasetFiles,
        image: LabelledImage,
        *,
        types: Mapping[str, str],
        notes: ReadingNotes,
    ) -> None:
        self._files = files
        self._image = image
        self._types = types
        self._notes = notes

    def entry(self, kind: DatasetType, mask_file: Path) -> DraftEntry:
        """Return the entry; write its mask if it has one.

        Raises:
            ValueError: the image or its annotations cannot be used.
            InterchangeError: a file cannot be read.
        """
        image = self._image
        self.header = read_image_header(self._files.read_image(image.path))
        _LIMITS.check(self.header.size)
        if image.label is not Label.ANOMALY:
            if image.color_mask or image.regions:
                self._notes.unused["mask of an image that is not labelled as anomaly"] += 1
            self._frame()
            return DraftEntry(path=image.path, kind=kind, label=image.label)
        masks, drawn = self._masks()
        masks = {name: mask for name, mask in masks.items() if mask.any()}
        if not masks:
            if image.color_mask or image.regions:
                self._notes.unused["mask that shows no anomaly"] += 1
            return DraftEntry(path=image.path, kind=kind, label=image.label)
        if len(masks) > MAX_TYPES_PER_MASK:
            raise ValueError(f"{len(masks)} anomaly types; a mask has {MAX_TYPES_PER_MASK} at most")
        colors = [self._types[name] for name in masks]
        pixels = np.zeros(next(iter(masks.values())).shape, dtype=np.uint8)
        for index, mask in enumerate(masks.values(), start=1):
            pixels[mask] = index
        mask_file.write_bytes(encode_mask(pixels, colors=[BACKGROUND, *colors]))
        return DraftEntry(
            path=image.path,
            kind=kind,
            label=image.label,
            mask=mask_file,
            colors=dict(zip(colors, masks, strict=True)),
            mask_orientation=drawn,
        )

    def _masks(self) -> tuple[dict[str, NDArray[np.bool_]], MaskOrientation | None]:
        """Return the pixels of each type, later regions over earlier ones, and how they lie."""
        color_mask = self._image.color_mask
        if color_mask is not None:
            masks = decode_mask(
                self._files.read_image(color_mask.path),
                colors=color_mask.colors,
                size=self.header.size,
                orientation=self.header.orientation,
                drawn=color_mask.orientation,
                name=color_mask.path,
            )
            return masks, MaskOrientation.STORED if self.header.orientation != 1 else None
        size, drawn = self._frame()
        regions: dict[str, NDArray[np.bool_]] = {}
        for region in self._image.regions:
            try:
                mask = painted(region.shape, size=size, read_mask=self._read_mask)
            except ImageError as error:
                raise ValueError(f"{_mask_path(region.shape)}: {error}") from None
            except ValueError as error:
                subject = _mask_path(region.shape) or f"an area of type {region.anomaly_type!r:.80}"
                raise ValueError(f"{subject} {error} ({self._image.source})") from None
            regions = {name: other & ~mask for name, other in regions.items()}
            known = regions.get(region.anomaly_type)
            regions[region.anomaly_type] = mask if known is None else known | mask
        return regions, drawn

    def _frame(self) -> tuple[tuple[int, int], MaskOrientation | None]:
        """Return the size that the annotations are for, and how they lie on a turned image."""
        stored, orientation = self.header.size, self.header.orientation
        upright, size = turn_size(stored, orientation), self._image.size
        if size is not None and size not in {stored, upright}:
            raise ValueError(
                f"the image has {pixel_size(stored)} pixels, and {pixel_size(size)} in "
                f"{self._image.source}; they must be the same"
            )
        if orientation == 1:
            return stored, None
        mask = next((region.shape for region in self._image.regions), None)
        if isinstance(mask, MaskImage):
            mask_size = self._read_mask(mask).shape[::-1]
            return (stored, None) if mask_size == stored else (upright, None)
        if size is None or size == upright:
            return upright, MaskOrientation.UPRIGHT  # as all tools show it
        return stored, MaskOrientation.STORED

    def _read_mask(self, mask: MaskImage) -> NDArray[np.bool_]:
        header = read_image_header(self._files.read_image(mask.path))
        _LIMITS.check(header.size)
        pixels = np.asarray(load_pixels(header, mode="RGB"))
        return np.asarray(pixels.any(axis=2), dtype=np.bool_)


def _mask_path(shape: object) -> str:
    return f"the mask {shape.path}" if isinstance(shape, MaskImage) else ""
