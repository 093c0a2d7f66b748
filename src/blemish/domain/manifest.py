"""One JSON Line of a manifest <-> one `DatasetEntry`; every problem of a line, collected.

Source: developer guide, "Creating a manifest file"; where real manifests differ from it (the
console's own, Ground Truth's), what they hold is accepted: any keys in a colour map, no background
in it, no confidence, dates in any form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from blemish.domain.entities import DatasetEntry, Label, MaskRef, ObjectRef
from blemish.domain.limits import MAX_LINE_LENGTH
from blemish.domain.palette import BACKGROUND, BACKGROUND_CLASS

CLASSIFICATION = "groundtruth/image-classification"
SEGMENTATION = "groundtruth/semantic-segmentation"
METADATA = "-metadata"
REF = "-ref"
SOURCE = "source-ref"
_DETECTED = ("anomaly-label-detected", "anomaly-mask-ref-detected")
DETECTED_FIELDS = frozenset({*_DETECTED, *(f"{name}{METADATA}" for name in _DETECTED)})
"""Of evaluation and result manifests: what a model found, which is no label."""
MAX_TYPES_PER_MASK = 20
"""Anomaly types in one colour map. Source: developer guide, "Quotas"."""

_URL = re.compile(r"s3://(?P<bucket>[0-9A-Za-z.\-_]{3,63})/(?P<key>.{1,1024})", re.DOTALL)
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True, kw_only=True)
class LineProblem:
    """What is wrong with one line, in a sentence without the line's number."""

    number: int
    text: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.text}"


class _LineError(Exception):
    """Collects what is wrong with one line on its way out."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse_manifest(
    lines: Iterable[str], problems: list[LineProblem]
) -> Iterator[tuple[int, DatasetEntry]]:
    """Yield the number and the entry of every good line; append what is wrong to `problems`.

    Blank lines are passed over.
    """
    for number, text in enumerate(lines, start=1):
        line = text.strip("\r\n\ufeff")
        if not line.strip():
            continue
        try:
            yield number, parse_line(line)
        except _LineError as error:
            problems.extend(LineProblem(number=number, text=text) for text in error.problems)


def parse_line(line: str) -> DatasetEntry:
    """Read one JSON Line.

    Raises:
        _LineError: all that is wrong with it.
    """
    fields = {
        name: value for name, value in _json_object(line).items() if name not in DETECTED_FIELDS
    }
    problems: list[str] = []
    image = _object_ref(fields, SOURCE, problems)
    label, labelled_at = _label(fields, problems)
    mask = _mask(fields, problems)
    if problems or image is None:
        raise _LineError(problems)
    return DatasetEntry(image=image, label=label, mask=mask, created_at=labelled_at, line=line)


def object_ref(url: str) -> ObjectRef | None:
    """Read an `s3://bucket/key`; None if it is not one."""
    match = _URL.fullmatch(url)
    return ObjectRef(bucket=match["bucket"], key=match["key"]) if match else None


def _json_object(line: str) -> dict[str, Any]:
    if len(line) > MAX_LINE_LENGTH:
        raise _LineError([f"it has {len(line)} characters; at most {MAX_LINE_LENGTH} are allowed"])
    try:
        fields = json.loads(line, parse_constant=_no_constant)
        # JSON can escape half a character, which neither a row nor a file could hold
        json.dumps(fields, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _LineError([f"it is not JSON ({_reason(error)})"]) from None
    if not isinstance(fields, dict):
        raise _LineError([f"it must be a JSON object, not a {type(fields).__name__}"])
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
        problems.append(f"'{name}' must be s3://bucket/key, not {_short(value)}")
    return ref


def _label(fields: Mapping[str, Any], problems: list[str]) -> tuple[Label | None, datetime | None]:
    """Find the classification among the fields; what it is called is free."""
    for name in _described(fields, CLASSIFICATION):
        metadata = fields[name + METADATA]
        _require(metadata, name + METADATA, ("class-name", "human-annotated"), problems)
        if name not in fields:
            problems.append(f"'{name}' is missing, though '{name}{METADATA}' is there")
        return _label_of(metadata.get("class-name")), _date(metadata.get("creation-date"))
    for name, value in fields.items():
        if isinstance(value, int | float) and not name.endswith((METADATA, REF)):
            _check_described(fields, name, problems)
    return None, None


def _label_of(class_name: object) -> Label | None:
    """Any other class name leaves the image without a label."""
    return next((label for label in Label if label == class_name), None)


def _mask(fields: Mapping[str, Any], problems: list[str]) -> MaskRef | None:
    for name in fields:
        if name.endswith(REF) and name != SOURCE:
            _check_described(fields, name, problems)
    for name in _described(fields, SEGMENTATION):
        if not name.endswith(REF):
            problems.append(f"'{name}' names a mask, so it must end in '{REF}'")
            continue
        metadata = fields[name + METADATA]
        _require(metadata, name + METADATA, ("human-annotated",), problems)
        ref = _object_ref(fields, name, problems)
        colors = _colors(metadata.get("internal-color-map"), name + METADATA, problems)
        mask = MaskRef(ref=ref, colors=colors) if ref else None
        if mask and len(mask.anomaly_types) > MAX_TYPES_PER_MASK:
            problems.append(
                f"the mask has {len(mask.anomaly_types)} anomaly types; "
                f"at most {MAX_TYPES_PER_MASK} are allowed"
            )
        return mask
    return None


def _colors(color_map: object, where: str, problems: list[str]) -> dict[str, str]:
    if not isinstance(color_map, dict) or not color_map:
        problems.append(f"'internal-color-map' in '{where}' must be an object with classes")
        return {}
    colors: dict[str, str] = {}
    for key, entry in color_map.items():
        name = entry.get("class-name") if isinstance(entry, dict) else None
        color = entry.get("hex-color") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name.strip():
            problems.append(f"class {_short(key)} in 'internal-color-map' has no 'class-name'")
        elif not isinstance(color, str) or not _COLOR.fullmatch(color):
            problems.append(
                f"'hex-color' of class {_short(name)} must be like #23A436, not {_short(color)}"
            )
        else:
            _add_color(colors, color.upper(), name.strip(), problems)
    return colors


def _add_color(colors: dict[str, str], color: str, name: str, problems: list[str]) -> None:
    if name.casefold() == BACKGROUND_CLASS:
        name = BACKGROUND_CLASS
    if color == BACKGROUND and name != BACKGROUND_CLASS:
        problems.append(f"class {_short(name)} has the colour {BACKGROUND} of the background")
    elif colors.setdefault(color, name) != name:
        problems.append(f"{color} is the colour of two classes, {colors[color]} and {name}")


def _check_described(fields: Mapping[str, Any], name: str, problems: list[str]) -> None:
    """Find what keeps the metadata of a label or a mask from saying what it is."""
    metadata = fields.get(name + METADATA)
    if metadata is None:
        problems.append(f"'{name}{METADATA}' is missing")
    elif not isinstance(metadata, dict):
        problems.append(f"'{name}{METADATA}' must be a JSON object, not {_short(metadata)}")
    elif "type" not in metadata:
        problems.append(f"'type' is missing in '{name}{METADATA}'")


def _described(fields: Mapping[str, Any], kind: str) -> list[str]:
    """Names of the fields whose metadata say that they are of a kind."""
    return [
        name.removesuffix(METADATA)
        for name, metadata in fields.items()
        if name.endswith(METADATA) and isinstance(metadata, dict) and metadata.get("type") == kind
    ]


def _require(
    metadata: Mapping[str, Any], where: str, names: Iterable[str], problems: list[str]
) -> None:
    problems.extend(f"'{name}' is missing in '{where}'" for name in names if name not in metadata)
    if metadata.get("human-annotated", "yes") not in ("yes", "no"):  # a list has no hash
        problems.append(
            f"'human-annotated' in '{where}' must be yes or no, "
            f"not {_short(metadata['human-annotated'])}"
        )


def _date(value: object) -> datetime | None:
    """Read an ISO date; a date in another form counts as none."""
    if not isinstance(value, str):
        return None
    try:
        date = datetime.fromisoformat(value)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
