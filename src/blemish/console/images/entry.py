"""One image of a data set as the pages know it, and the JSON Line that says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from blemish.console.language.messages import later, say
from blemish.domain.entities import DatasetType, Label, MaskOrientation, ObjectRef
from blemish.domain.errors import ValidationError
from blemish.domain.manifest import (
    CLASSIFICATION,
    MASK_ORIENTATION,
    SEGMENTATION,
    object_ref,
    parse_line,
)
from blemish.domain.palette import BACKGROUND, BACKGROUND_CLASS

SET_NAMES: Mapping[DatasetType, str] = {
    DatasetType.TRAIN: later("training set"),
    DatasetType.TEST: later("test set"),
}
"""What people call the data sets."""

LABEL_NAMES: Mapping[Label, str] = {Label.NORMAL: later("normal"), Label.ANOMALY: later("anomaly")}
"""What people call the labels."""

SET_ASIDE = "blemish-set-aside-mask"
"""The member of a JSON Line that names a mask that does not count; nothing else reads it."""


@dataclass(frozen=True, kw_only=True)
class DatasetKey:
    """Which data set of which project."""

    project: str
    type: DatasetType

    @property
    def names(self) -> dict[str, str]:
        """The members that name it in calls of the API."""
        return {"ProjectName": self.project, "DatasetType": self.type}

    @property
    def title(self) -> str:
        """What people call it."""
        return say(SET_NAMES[self.type])


@dataclass(frozen=True, kw_only=True)
class SetAsideMask:
    """A mask that does not count, because its image is not labelled as an anomaly."""

    #: `s3://bucket/key`
    ref: str
    #: "#RRGGBB" -> anomaly type
    colors: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of a data set, with its label and its mask."""

    #: `s3://bucket/key`
    ref: str
    label: Label | None
    #: address of its anomaly mask; None without one
    mask_ref: str | None
    #: "#RRGGBB" -> anomaly type, of the mask, the background left out
    colors: Mapping[str, str]
    created_at: datetime | None
    #: the JSON Line
    line: str
    #: the mask of an image that is no anomaly now; it counts again when it is one
    set_aside: SetAsideMask | None = None

    @property
    def types(self) -> frozenset[str]:
        """The anomaly types that its mask may show."""
        return frozenset(self.colors.values())

    @property
    def name(self) -> str:
        """What people call it: the end of its key."""
        return self.ref.rsplit("/", 1)[-1]

    @property
    def version(self) -> str:
        """A text that is another one after every change of the entry."""
        return hashlib.sha256(self.line.encode()).hexdigest()[:16]


def entry_of(line: str) -> Entry:
    """Return the entry that a JSON Line describes."""
    entry = parse_line(line)
    colors = entry.mask.colors if entry.mask else {}
    return Entry(
        ref=str(entry.image),
        label=entry.label,
        mask_ref=str(entry.mask.ref) if entry.mask else None,
        colors={color: name for color, name in colors.items() if name != BACKGROUND_CLASS},
        created_at=entry.created_at,
        line=line,
        set_aside=_set_aside_of(line),
    )


def entry_line(
    ref: str,
    *,
    now: datetime,
    label: Label | str | None = None,
    mask_ref: str | None = None,
    colors: Mapping[str, str] | None = None,
    mask_orientation: MaskOrientation | None = None,
    set_aside: SetAsideMask | None = None,
) -> str:
    """Return the JSON Line of an image.

    Args:
        ref: address of the image.
        now: when it is labelled.
        label: normal, anomaly or none.
        mask_ref: address of its anomaly mask.
        colors: "#RRGGBB" -> anomaly type, of the mask.
        mask_orientation: how the mask lies on an image that EXIF turns.
        set_aside: a mask that does not count.
    """
    line: dict[str, object] = {"source-ref": ref}
    if label is not None:
        line["anomaly-label"] = int(label == Label.ANOMALY)
        line["anomaly-label-metadata"] = {
            "class-name": str(label),
            "confidence": 1.0,
            "type": CLASSIFICATION,
            **_annotation(now),
        }
    if mask_ref is not None:
        line["anomaly-mask-ref"] = mask_ref
        line["anomaly-mask-ref-metadata"] = {
            "internal-color-map": _color_map(colors or {}),
            "type": SEGMENTATION,
            **({MASK_ORIENTATION: str(mask_orientation)} if mask_orientation else {}),
            **_annotation(now),
        }
    if set_aside is not None:
        line[SET_ASIDE] = {"ref": set_aside.ref, "colors": dict(set_aside.colors)}
    return json.dumps(line, ensure_ascii=False)


def _annotation(now: datetime) -> dict[str, str]:
    """Return who annotated an image, and when."""
    return {
        "job-name": "labeling-job/console",
        "human-annotated": "yes",
        "creation-date": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _color_map(colors: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Return the colours of a mask in the form of a manifest, the background first."""
    classes = [(BACKGROUND, BACKGROUND_CLASS), *colors.items()]
    return {
        str(index): {"class-name": name, "hex-color": color, "confidence": 0.0}
        for index, (color, name) in enumerate(classes)
    }


def object_address(ref: str) -> ObjectRef:
    """Return the object that `s3://bucket/key` names.

    Raises:
        ValidationError: it names none.
    """
    address = object_ref(ref)
    if address is None:
        raise ValidationError(
            say("{ref} is not an address such as s3://bucket/key.", ref=repr(f"{ref:.300}"))
        )
    return address


def _set_aside_of(line: str) -> SetAsideMask | None:
    if SET_ASIDE not in line:  # nearly every line: it is not parsed twice
        return None
    members = json.loads(line).get(SET_ASIDE)
    try:
        colors = {str(color): str(name) for color, name in members["colors"].items()}
        return SetAsideMask(ref=str(object_address(str(members["ref"]))), colors=colors)
    except (TypeError, KeyError, AttributeError, ValidationError):
        return None  # somebody else wrote a member of this name
