"""One JSON Line of a manifest becomes one `DatasetEntry`, or all of its problems.

Source: developer guide, "Creating a manifest file". Real manifests differ from it. Blemish accepts
any keys in a colour map, no background in it, no confidence, no `human-annotated`, dates in any
form, and several labels or masks in a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blemish.domain.color_maps import read_color_map, short_json
from blemish.domain.creation_dates import is_unreadable_date
from blemish.domain.entities import DatasetEntry, Label, MaskOrientation, MaskRef, ObjectRef
from blemish.domain.label_fields import (
    LabelField,
    UndecidedFieldsError,
    deciding_field,
    has_failed,
    is_human_annotated,
)
from blemish.domain.limits import MAX_LINE_LENGTH
from blemish.domain.line_notes import LineNotes
from blemish.domain.regions import REGION_TYPE

CLASSIFICATION = "groundtruth/image-classification"
SEGMENTATION = "groundtruth/semantic-segmentation"
METADATA = "-metadata"
REF = "-ref"
SOURCE = "source-ref"
_DETECTED = ("anomaly-label-detected", "anomaly-mask-ref-detected")
DETECTED_FIELDS = frozenset({*_DETECTED, *(f"{name}{METADATA}" for name in _DETECTED)})
"""Fields of evaluation and result manifests. They hold the answer of a model, which is no label."""
MASK_ORIENTATION = "mask-orientation"
"""A member of a mask's metadata, of our own: whether it is drawn as stored or upright."""
MAX_TYPES_PER_MASK = 20
"""Anomaly types in one colour map. Source: developer guide, "Quotas"."""

MAX_KEY_BYTES = 1_024
"""Source: Amazon S3 user guide, "Naming Amazon S3 objects"."""

_URL = re.compile(r"s3://(?P<bucket>[0-9A-Za-z.\-_]{3,63})/(?P<key>[^\0]{1,1024})")


@dataclass(frozen=True, kw_only=True)
class LineProblem:
    """One problem of one line, in a sentence without the line's number."""

    number: int
    text: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.text}"


class LineError(Exception):
    """Carries all problems of one line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse_manifest(
    lines: Iterable[str], problems: list[LineProblem]
) -> Iterator[tuple[int, DatasetEntry]]:
    """Yield the number and the entry of every good line; append the problems of all others.

    Lines are read one at a time. Blank lines are skipped.
    """
    for number, text in enumerate(lines, start=1):
        line = text.strip("\r\n\ufeff")
        if not line.strip():
            continue
        try:
            entry = parse_line(line)
            if names := entry.notes.undecided_fields:
                raise LineError([_undecided_text(names)])
        except LineError as error:
            problems.extend(LineProblem(number=number, text=text) for text in error.problems)
        else:
            yield number, entry


def parse_line(line: str) -> DatasetEntry:
    """Read one JSON Line.

    Where nothing says which of several labels counts, the image has none. `parse_manifest` refuses
    such a line, but earlier versions stored some.

    Raises:
        LineError: all problems of the line.
    """
    fields = {
        name: value for name, value in _json_object(line).items() if name not in DETECTED_FIELDS
    }
    problems: list[str] = []
    image = _object_ref(fields, SOURCE, problems)
    annotations = _Annotations(fields, problems)
    label_field = annotations.deciding(annotations.labels, kind=CLASSIFICATION)
    mask_field = annotations.deciding(annotations.masks, kind=SEGMENTATION)
    mask = _mask(fields, mask_field, problems) if mask_field else None
    if problems or image is None:
        raise LineError(problems)
    label = label_of_class(label_field.metadata["class-name"]) if label_field else None
    dated = label_field or next(iter(annotations.others), None)
    return DatasetEntry(
        image=image,
        label=label,
        mask=mask,
        created_at=dated.created_at if dated else None,
        line=line,
        notes=annotations.notes(unlabelled_mask=mask is not None and label is None),
        unusable_mask=None if mask else annotations.unusable_mask(),
    )


def object_ref(url: str) -> ObjectRef | None:
    """Read an `s3://bucket/key`; None if it is not one.

    PostgreSQL takes no NUL character, and no key of more bytes than S3 allows into its indexes.
    """
    match = _URL.fullmatch(url)
    if match is None or len(match["key"].encode(errors="surrogatepass")) > MAX_KEY_BYTES:
        return None
    return ObjectRef(bucket=match["bucket"], key=match["key"])


def label_of_class(class_name: object) -> Label | None:
    """Return the label that a class names, in any case and with any spaces around it."""
    name = class_name.strip().lower() if isinstance(class_name, str) else None
    return next((label for label in Label if label == name), None)


class _Annotations:
    """The label and mask fields of one line, sorted by whether they can count."""

    def __init__(self, fields: Mapping[str, Any], problems: list[str]) -> None:
        """Sort the fields; append what is wrong with them to `problems`."""
        self.labels: list[LabelField] = []
        self.masks: list[LabelField] = []
        #: labels of classes that are neither normal nor anomaly
        self.others: list[LabelField] = []
        #: fields that cannot count, of any type
        self._unusable: list[LabelField] = []
        self._machine = 0
        self._replaced = 0
        self._failed: set[str] = set()
        self._unused_types: set[str] = set()
        self._undecided: tuple[str, ...] = ()
        self._fields = fields
        self._problems = problems
        has_classification = False
        for position, (name, metadata) in enumerate(fields.items()):
            if not (name.endswith(METADATA) and isinstance(metadata, dict)):
                continue
            annotation = LabelField(
                name=name.removesuffix(METADATA), metadata=metadata, position=position
            )
            has_classification |= annotation.kind == CLASSIFICATION
            self._sort(annotation)
        self._check_undescribed(has_classification=has_classification)

    def deciding(self, annotations: list[LabelField], *, kind: str) -> LabelField | None:
        """Return the field that counts, and count those that it replaces."""
        unusable = [field for field in self._unusable if _kind_of(field) == kind]
        try:
            counting = deciding_field(annotations, unusable=unusable)
        except UndecidedFieldsError as error:
            self._undecided += error.names
            return None
        self._replaced += max(0, len(annotations) - 1)
        return counting

    def unusable_mask(self) -> str | None:
        """Return the field of the metadata for which a mask is not used; None without such one."""
        for field in self._unusable:
            if _kind_of(field) == SEGMENTATION:
                return "failure-reason" if has_failed(field.metadata) else "human-annotated"
        return None

    def notes(self, *, unlabelled_mask: bool) -> LineNotes:
        """Return what of the line is not used."""
        classes = {short_json(other.metadata["class-name"]).strip('"') for other in self.others}
        return LineNotes(
            unknown_classes=tuple(sorted(classes)),
            unused_types=tuple(sorted(self._unused_types)),
            replaced_fields=self._replaced,
            machine_fields=self._machine,
            failed_fields=len(self._failed),
            undecided_fields=self._undecided,
            unreadable_dates=sum(
                is_unreadable_date(field.metadata.get("creation-date"))
                for field in (*self.labels, *self.masks, *self.others)
            ),
            unlabelled_mask=unlabelled_mask,
        )

    def _sort(self, annotation: LabelField) -> None:
        kind = annotation.kind
        if has_failed(annotation.metadata):
            self._failed.add(annotation.name)
            self._unusable.append(annotation)
        elif kind not in (CLASSIFICATION, SEGMENTATION):
            if kind not in (None, REGION_TYPE):
                self._unused_types.add(annotation.metadata["type"][:80])
        elif self._is_human(annotation):
            if kind == CLASSIFICATION:
                self._add_label(annotation)
            elif annotation.name.endswith(REF):
                self.masks.append(annotation)
            else:
                self._problems.append(
                    f"'{annotation.name}' names a mask, so it must end in '{REF}'"
                )
        else:
            self._unusable.append(annotation)

    def _is_human(self, annotation: LabelField) -> bool:
        is_human = is_human_annotated(annotation.metadata)
        if is_human is None:
            self._problems.append(
                f"'human-annotated' in '{annotation.name}{METADATA}' must be yes or no, "
                f"not {short_json(annotation.metadata['human-annotated'])}"
            )
            return True
        self._machine += not is_human
        return is_human

    def _add_label(self, annotation: LabelField) -> None:
        name, metadata = annotation.name, annotation.metadata
        if "class-name" not in metadata:
            self._problems.append(f"'class-name' is missing in '{name}{METADATA}'")
        if name not in self._fields:
            self._problems.append(f"'{name}' is missing, though '{name}{METADATA}' is there")
        known = label_of_class(metadata.get("class-name"))
        if known is None:
            self.others.append(annotation)
            self._unusable.append(annotation)
        else:
            self.labels.append(annotation)

    def _check_undescribed(self, *, has_classification: bool) -> None:
        """Find labels and masks whose metadata do not say what they are."""
        for name, value in self._fields.items():
            if name in self._failed:
                continue
            is_mask = name.endswith(REF) and name != SOURCE
            is_number = isinstance(value, int | float) and not name.endswith((METADATA, REF))
            if is_mask or (is_number and not has_classification and not self._failed):
                self._check_described(name)

    def _check_described(self, name: str) -> None:
        metadata = self._fields.get(name + METADATA)
        if metadata is None:
            self._problems.append(f"'{name}{METADATA}' is missing")
        elif not isinstance(metadata, dict):
            self._problems.append(
                f"'{name}{METADATA}' must be a JSON object, not {short_json(metadata)}"
            )
        elif "type" not in metadata:
            self._problems.append(f"'type' is missing in '{name}{METADATA}'")


def _kind_of(field: LabelField) -> str:
    """Return the type of a label or mask; a job that failed may have written none."""
    by_name = SEGMENTATION if field.name.endswith(REF) else CLASSIFICATION
    return field.kind or by_name


def _undecided_text(names: tuple[str, ...]) -> str:
    first, second = names[:2]
    return (
        f"nothing says whether '{first}' or '{second}' counts. "
        f"Remove one of them, or give both a 'creation-date'"
    )


def _mask(fields: Mapping[str, Any], mask_field: LabelField, problems: list[str]) -> MaskRef | None:
    ref = _object_ref(fields, mask_field.name, problems)
    color_map = mask_field.metadata.get("internal-color-map")
    colors = read_color_map(color_map, where=mask_field.name + METADATA, problems=problems)
    orientation = _mask_orientation(mask_field, problems)
    mask = MaskRef(ref=ref, colors=colors, orientation=orientation) if ref else None
    if mask and len(mask.anomaly_types) > MAX_TYPES_PER_MASK:
        problems.append(
            f"the mask has {len(mask.anomaly_types)} anomaly types; "
            f"at most {MAX_TYPES_PER_MASK} are allowed"
        )
    return mask


def _mask_orientation(mask_field: LabelField, problems: list[str]) -> MaskOrientation | None:
    value = mask_field.metadata.get(MASK_ORIENTATION)
    if value is None or value in list(MaskOrientation):
        return None if value is None else MaskOrientation(value)
    where = mask_field.name + METADATA
    problems.append(f"'{MASK_ORIENTATION}' in '{where}' must be stored or upright")
    return None


def _json_object(line: str) -> dict[str, Any]:
    if len(line) > MAX_LINE_LENGTH:
        raise LineError([f"it has {len(line)} characters; at most {MAX_LINE_LENGTH} are allowed"])
    try:
        fields = json.loads(line, parse_constant=_no_constant)
        # JSON can escape half a character, which neither a row nor a file could hold
        json.dumps(fields, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise LineError([f"it is not JSON ({_reason(error)})"]) from None
    if not isinstance(fields, dict):
        raise LineError([f"it must be a JSON object, not a {type(fields).__name__}"])
    return fields


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    if isinstance(error, UnicodeEncodeError):
        return "it escapes one half of a character without the other"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def _object_ref(fields: Mapping[str, Any], name: str, problems: list[str]) -> ObjectRef | None:
    value = fields.get(name)
    if value is None:
        problems.append(f"'{name}' is missing")
        return None
    ref = object_ref(value) if isinstance(value, str) else None
    if ref is None:
        problems.append(f"'{name}' must be s3://bucket/key, not {short_json(value)}")
    return ref
