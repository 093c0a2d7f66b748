"""Regions: the parts of the images of a product that count, or those that do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from blemish.domain.errors import ValidationError

REGION_TYPE = "blemish/regions"
"""`type` in the metadata of a JSON Line's field that names a region mask."""

_METADATA = "-metadata"


class RegionKind(StrEnum):
    """What the painted pixels of a region mask mean."""

    IGNORED = "ignored"
    OF_INTEREST = "of-interest"


@dataclass(frozen=True, kw_only=True)
class RegionMask:
    """A PNG, in the coordinates of the stored images; all but white and transparent is painted."""

    kind: RegionKind
    #: s3://bucket/key
    url: str

    def __str__(self) -> str:
        return f"{self.url} ({self.kind})"

    def document(self) -> dict[str, str]:
        """Return the region mask as JSON stores it."""
        return {"kind": self.kind.value, "url": self.url}

    @classmethod
    def of_document(cls, document: Mapping[str, str]) -> RegionMask:
        """Return the region mask that `document` describes."""
        return cls(kind=RegionKind(document["kind"]), url=document["url"])


def region_mask_of_line(line: str) -> RegionMask | None:
    """Return the region mask that a valid JSON Line names, if it names one.

    Raises:
        ValidationError: the field does not say what is painted, or names no object.
    """
    if REGION_TYPE not in line:  # lines are many, and few have one
        return None
    fields = json.loads(line)
    for name, metadata in fields.items():
        if not (isinstance(metadata, dict) and metadata.get("type") == REGION_TYPE):
            continue
        field, kind = name.removesuffix(_METADATA), metadata.get("regions")
        url = fields.get(field)
        if kind not in list(RegionKind) or not str(url).startswith("s3://"):
            raise ValidationError(
                f"The field '{field}' of {fields.get('source-ref')} must be the s3:// address of a "
                f"region mask, and 'regions' in its metadata one of {', '.join(RegionKind)}."
            )
        return RegionMask(kind=RegionKind(kind), url=url)
    return None
