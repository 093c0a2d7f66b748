"""The region mask of a project or of a model, as pages read and change it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.console.images.entry import object_address
from blemish.console.language.messages import say
from blemish.console.masks.mask_files import PaintedMask, encode_png, key_beside
from blemish.console.visitor import Visitor
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import ValidationError
from blemish.domain.regions import RegionKind
from blemish.engine.images.headers import ImageHeader
from blemish.engine.images.regions import check_aspect, decode_regions

KINDS: Mapping[str, RegionKind] = {
    "Ignored": RegionKind.IGNORED,
    "OfInterest": RegionKind.OF_INTEREST,
}
"""Member of `Regions` in the API -> what its painted pixels mean."""

COLORS: Mapping[str, str] = {"Ignored": "#F76902", "OfInterest": "#14A3B3"}
"""Member of `Regions` -> colour of its paint."""


@dataclass(frozen=True, kw_only=True)
class RegionOwner:
    """A project, or one of its models."""

    project: str
    #: of a model; empty for the project's next models
    version: str = ""

    @property
    def change(self) -> str:
        """The operation that changes the region mask."""
        return "UpdateModelRegions" if self.version else "UpdateDetectorSettings"

    @property
    def names(self) -> dict[str, str]:
        """The members that name the owner in calls of the API."""
        names = {"ProjectName": self.project}
        return names | ({"ModelVersion": self.version} if self.version else {})


async def present_regions(visitor: Visitor, owner: RegionOwner) -> Mapping[str, str]:
    """Return `Regions` of the owner as in the API; empty if everything counts."""
    if owner.version:
        answer = await visitor.call("DescribeModel", **owner.names)
        description = answer["ModelDescription"]
    else:
        answer = await visitor.call("DescribeProject", **owner.names)
        description = answer["ProjectDescription"]
    regions: Mapping[str, str] = (description.get("DetectorSettings") or {}).get("Regions") or {}
    return regions


async def put_regions(visitor: Visitor, owner: RegionOwner, regions: Mapping[str, str]) -> None:
    """Put other regions in force.

    Raises:
        ValidationError: a model must have regions, or the mask cannot be used.
        ServiceError: as a client of the API gets it.
    """
    if owner.version:
        if not regions:
            raise ValidationError(
                say(
                    "A model that was trained with regions needs some. Paint what is ignored, or "
                    "train a model without regions."
                )
            )
        await visitor.call(owner.change, Regions=regions, **owner.names)
        return
    settings: dict[str, Any] = {"Regions": regions}
    await visitor.call(owner.change, DetectorSettings=settings, **owner.names)


def version_of(regions: Mapping[str, str]) -> str:
    """Return a text that is another one for other regions."""
    return hashlib.sha256(repr(sorted(regions.items())).encode()).hexdigest()[:16]


def read_painted(
    visitor: Visitor, regions: Mapping[str, str], header: ImageHeader
) -> tuple[str, NDArray[np.bool_]]:
    """Return what a region mask paints on an image: the member of `Regions`, and (H, W) as stored.

    Raises:
        AccessDeniedError: the visitor may not read the mask.
        ImageError, StorageError, ValidationError: it cannot be read, or is of another proportion.
    """
    ((member, url),) = regions.items()
    kind = KINDS[member]
    mask = decode_regions(visitor.read_image_blocking(object_address(url)), kind)
    check_aspect(header.size, mask=mask.size)
    inspected = mask.at(header.size)
    return member, ~inspected if kind is RegionKind.IGNORED else inspected


def write_painted(visitor: Visitor, painted: PaintedMask, image: ObjectRef) -> dict[str, str]:
    """Write what is painted as a PNG beside an image; return `Regions` that name it.

    Raises:
        ValidationError: the paint means two things, or none that the API knows.
        ImageError: everything is painted.
        AccessDeniedError, ObjectError: it cannot be written.
    """
    members = list(painted.colors.values())
    if not members:
        return {}
    if len(members) > 1 or members[0] not in KINDS:
        raise ValidationError(f"Regions are either {' or '.join(KINDS)}, not {members!r:.80}.")
    png = encode_png(painted)
    decode_regions(png, KINDS[members[0]])
    folder = image.key.rpartition("/")[0]
    key = key_beside(f"{folder}/regions.png" if folder else "regions.png", png)
    ref = ObjectRef(bucket=image.bucket, key=key)
    visitor.write_object_blocking(ref, png)
    return {members[0]: str(ref)}
