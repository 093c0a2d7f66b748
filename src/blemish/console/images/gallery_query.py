"""What the gallery shows of a data set, and what labelling does to its entries: pure functions."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from blemish.console.images.dataset_entries import Entry, entry_line
from blemish.domain.entities import ImageStats, Label
from blemish.domain.errors import ValidationError
from blemish.service.training.trainable import Need

_DIGITS = re.compile(r"(\d+)")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Shown(StrEnum):
    """Which entries of a data set are shown."""

    ALL = "all"
    UNLABELLED = "unlabelled"
    LABELLED = "labelled"
    NORMAL = "normal"
    ANOMALY = "anomaly"


class Sort(StrEnum):
    """In which order: by name; the newest label first; the most anomalous first."""

    NAME = "name"
    DATE = "date"
    SCORE = "score"


@dataclass(frozen=True, kw_only=True)
class Query:
    """What somebody wants to see."""

    shown: Shown = Shown.ALL
    #: an anomaly type that the mask has; empty for any
    anomaly_type: str = ""
    #: a part of the name, in any case
    text: str = ""
    sort: Sort = Sort.NAME


def query_of(parameters: Mapping[str, str]) -> Query:
    """Read a query from those of a URL.

    Raises:
        ValidationError: there is no such filter or order.
    """
    try:
        return Query(
            shown=Shown(parameters.get("filter") or Shown.ALL),
            anomaly_type=parameters.get("type", ""),
            text=parameters.get("q", "").strip(),
            sort=Sort(parameters.get("sort") or Sort.NAME),
        )
    except ValueError as error:
        raise ValidationError(f"The gallery cannot show that: {error}.") from None


def selected(entries: Iterable[Entry], query: Query, scores: Mapping[str, float]) -> list[Entry]:
    """Return the entries that a query wants, in its order.

    Args:
        entries: of the data set.
        query: what is wanted.
        scores: address -> how anomalous a model found the image, 0 to 1.
    """
    found = [entry for entry in entries if _matches(entry, query)]
    found.sort(key=lambda entry: (natural(entry.name), entry.ref))
    if query.sort is Sort.DATE:
        found.sort(key=lambda entry: entry.created_at or _LONG_AGO, reverse=True)
    elif query.sort is Sort.SCORE:
        found.sort(key=lambda entry: scores.get(entry.ref, -1.0), reverse=True)
    return found


def _matches(entry: Entry, query: Query) -> bool:
    if query.anomaly_type and query.anomaly_type not in entry.types:
        return False
    if query.text.casefold() not in entry.name.casefold():
        return False
    match query.shown:
        case Shown.ALL:
            return True
        case Shown.UNLABELLED:
            return entry.label is None
        case Shown.LABELLED:
            return entry.label is not None
        case _:
            return entry.label == query.shown.value


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a sort key by which `img2` comes before `img10`."""
    return tuple(
        (False, int(part), "") if part.isdecimal() and part.isascii() else (True, 0, part)
        for part in _DIGITS.split(name.casefold())
        if part
    )


def counts(entries: Iterable[Entry]) -> dict[str, Any]:
    """Count the entries that each filter shows, by the names of the filters, and of each type."""
    labels: Counter[Label | None] = Counter()
    types: Counter[str] = Counter()
    for entry in entries:
        labels[entry.label] += 1
        types.update(entry.types)
    labelled = labels[Label.NORMAL] + labels[Label.ANOMALY]
    return {
        Shown.ALL: labels.total(),
        Shown.UNLABELLED: labels[None],
        Shown.LABELLED: labelled,
        Shown.NORMAL: labels[Label.NORMAL],
        Shown.ANOMALY: labels[Label.ANOMALY],
        "types": dict(sorted(types.items())),
    }


def relabelled(entry: Entry, label: Label | None, *, now: datetime) -> Entry:
    """Return an entry with another label; only that of an anomaly keeps its mask."""
    if label == entry.label:
        return entry
    kept = label is Label.ANOMALY
    mask_ref, colors = (entry.mask_ref, entry.colors) if kept else (None, {})
    line = entry_line(entry.ref, label=label, mask_ref=mask_ref, colors=colors, now=now)
    return replace(
        entry,
        label=label,
        mask_ref=mask_ref,
        colors=colors,
        created_at=now if label else None,
        line=line,
    )


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change that a browser sends: a label for images of a view, or what is undone."""

    #: name of what is undone; None for a label, or a removal
    undo: str | None = None
    view: str = ""
    #: first and last position in the view
    ranges: Sequence[tuple[int, int]] = ()
    label: Label | None = None


def step_of(members: Mapping[str, Any]) -> Step:
    """Read a change.

    Raises:
        ValidationError: it is none.
    """
    try:
        if "undo" in members:
            return Step(undo=str(members["undo"]))
        return Step(
            view=str(members["view"]),
            ranges=[(int(first), int(last)) for first, last in members["ranges"]],
            label=Label(members["label"]) if members.get("label") else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValidationError(f"The change is malformed: {error!r:.100}.") from None


def of_ranges(refs: Sequence[str], ranges: Iterable[tuple[int, int]]) -> list[str]:
    """Return the addresses at positions from the first to the last of each range, inclusive."""
    return [ref for first, last in ranges for ref in refs[max(0, first) : last + 1]]


def scores_of(manifest: bytes) -> dict[str, float]:
    """Read from an evaluation manifest how anomalous each image was found to be, 0 to 1."""
    scores = {}
    for text in manifest.splitlines():
        line = json.loads(text)
        confidence = float(line["anomaly-label-detected-metadata"]["confidence"])
        is_anomalous = bool(line["anomaly-label-detected"])
        scores[str(line["source-ref"])] = confidence if is_anomalous else 1 - confidence
    return scores


def stats_of(members: Mapping[str, int]) -> ImageStats:
    """Read the counts of a data set that DescribeDataset tells."""
    return ImageStats(
        total=members["Total"],
        labeled=members["Labeled"],
        normal=members["Normal"],
        anomaly=members["Anomaly"],
    )


def told(needs: Iterable[Need]) -> list[str]:
    """Say what is missing before a training, a sentence each; nothing when nothing is."""
    return [
        f"{need.missing} more {need.label} in the {need.dataset} set"
        for need in needs
        if need.missing
    ]
