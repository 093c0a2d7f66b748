"""What a training or an evaluation is given: labelled images, read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from blemish.domain.entities import Label


@dataclass(frozen=True, kw_only=True)
class TrainingMask:
    """The anomaly mask of one image; `read` is that of an image."""

    read: Callable[[], bytes]
    #: "#RRGGBB" -> anomaly type
    colors: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class LabeledImage:
    """One image with its label.

    `read` may be called more than once and gives the same bytes, or raises `ImageError`.
    """

    #: what messages about the image call it
    name: str
    label: Label
    read: Callable[[], bytes]
    mask: TrainingMask | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a step has come."""

    #: in words for people
    step: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]
