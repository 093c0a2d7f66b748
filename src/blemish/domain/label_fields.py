"""The field that counts where a JSON Line has several labels, or several masks.

Label adjustment jobs and chained jobs of Ground Truth leave the first field in the line and add
another one under their own name. Source: SageMaker developer guide, "Label verification and
adjustment", "Chaining labeling jobs".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blemish.domain.creation_dates import date_of

_ANNOTATED = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class LabelField:
    """A label or a mask that a person gave."""

    name: str
    metadata: Mapping[str, Any]
    #: where the field stands among those of the line
    position: int

    @property
    def kind(self) -> str | None:
        """The type of the field without regard to case, if the metadata name one."""
        kind = self.metadata.get("type")
        return kind.strip().casefold() if isinstance(kind, str) else None

    @property
    def created_at(self) -> datetime | None:
        """When a person annotated the image, if the line says so in a readable form."""
        return date_of(self.metadata.get("creation-date"))

    @property
    def is_adjusted(self) -> bool:
        """Whether an adjustment job wrote the field."""
        return bool(self.metadata.get("adjustment-status"))


class UndecidedFieldsError(Exception):
    """Two fields contradict each other, and nothing says which one counts."""

    def __init__(self, first: LabelField, second: LabelField) -> None:
        super().__init__(f"nothing says whether {first.name} or {second.name} counts")
        self.names = (first.name, second.name)


def deciding_field(
    fields: Sequence[LabelField], *, unusable: Sequence[LabelField] = ()
) -> LabelField | None:
    """Return the field that counts: the newest one that no adjustment job replaced.

    Where dates are equal or absent, the later field in the line is the newer one. An adjusted field
    replaces the newest of the fields before it, whatever their dates if there is only one.

    Args:
        fields: that can count.
        unusable: other fields of the same kind, such as a machine's. They cannot count, but an
            adjusted field may have replaced one of them.

    Raises:
        UndecidedFieldsError: two fields contradict each other.
    """
    originals = [field for field in fields if not field.is_adjusted]
    replaced = {
        _adjusted_by(field, originals).position
        for field in fields
        if field.is_adjusted and originals and not _adjusts_any(field, unusable, originals)
    }
    return _newest([field for field in fields if field.position not in replaced])


def is_human_annotated(metadata: Mapping[str, Any]) -> bool | None:
    """Return whether a person annotated the image; None if the value cannot be understood.

    Manifests may leave `human-annotated` out, and write it as a word, a boolean, 1 or 0.
    """
    value = metadata.get("human-annotated")
    if value is None:
        return True
    known = isinstance(value, str | int)
    return _ANNOTATED.get(str(value).strip().casefold()) if known else None


def has_failed(metadata: Mapping[str, Any]) -> bool:
    """Return whether Ground Truth could not label the image."""
    return bool(metadata.get("failure-reason"))


def _adjusts_any(
    adjusted: LabelField, unusable: Sequence[LabelField], originals: Sequence[LabelField]
) -> bool:
    """Return whether the newest of the fields before an adjusted one is unusable."""
    older = [field for field in originals if _is_newer(adjusted, field)]
    return any(
        _is_newer(adjusted, field) and all(_is_newer(field, other) for other in older)
        for field in unusable
        if not field.is_adjusted
    )


def _adjusted_by(adjusted: LabelField, originals: Sequence[LabelField]) -> LabelField:
    """Return the field that an adjustment job replaced."""
    if len(originals) == 1:
        return originals[0]
    older = [field for field in originals if _is_newer(adjusted, field)]
    if not older:
        raise UndecidedFieldsError(originals[-1], adjusted)
    newest = _newest(older)
    assert newest is not None
    return newest


def _newest(fields: Sequence[LabelField]) -> LabelField | None:
    if not fields:
        return None
    newest = fields[0]
    for field in fields[1:]:
        if _is_newer(field, newest):
            newest = field
    for field in fields:  # dates and positions together may go round in a circle
        if field is not newest and not _is_newer(newest, field):
            raise UndecidedFieldsError(newest, field)
    return newest


def _is_newer(field: LabelField, other: LabelField) -> bool:
    dates = field.created_at, other.created_at
    if dates[0] is None or dates[1] is None or dates[0] == dates[1]:
        return field.position > other.position
    return dates[0] > dates[1]
