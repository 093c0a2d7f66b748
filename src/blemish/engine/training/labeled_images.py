"""Labelled images, the input of a training or an evaluation; files are read when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from blemish.domain.entities import Label, MaskOrientation


@dataclass(frozen=True, kw_only=True)
class TrainingMask:
    """The anomaly mask of one image; `read` returns the file, like that of an image."""

    read: Callable[[], bytes]
    #: "#RRGGBB" -> anomaly type
    colors: Mapping[str, str]
    #: of an image that EXIF turns; None where nothing says how the mask is drawn
    orientation: MaskOrientation | None = None
    #: the mask's name in messages
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class LabeledImage:
    """One image with its label.

    `read` may be called more than once; it returns the same bytes, or raises `ImageError`.
    """

    #: the image's name in messages
    name: str
    label: Label
    read: Callable[[], bytes]
    mask: TrainingMask | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of one step."""

    #: a phrase for people
    step: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]
