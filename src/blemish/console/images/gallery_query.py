"""Which images the gallery shows, and in which order: pure functions."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from blemish.console.images.entry import Entry
from blemish.console.language.messages import say
from blemish.domain.entities import Label
from blemish.domain.errors import ValidationError
from blemish.service.training.trainable import Need

_DIGITS = re.compile(r"(\d+)")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class LabelFilter(StrEnum):
    """Which entries of a data set are shown."""

    ALL = "all"
    UNLABELLED = "unlabelled"
    LABELLED = "labelled"
    NORMAL = "normal"
    ANOMALY = "anomaly"


class SortOrder(StrEnum):
    """In which order: by name, newest label first, most anomalous or likely wrong label first.

    TEACHING has images without a label first, those whose labels would teach most before others.
    """

    NAME = "name"
    DATE = "date"
    SCORE = "score"
    SUSPECT = "suspect"
    TEACHING = "teaching"


BY_MODEL = frozenset({SortOrder.SCORE, SortOrder.SUSPECT, SortOrder.TEACHING})
"""Orders that need a model's judgement of the images."""


@dataclass(frozen=True, kw_only=True)
class GalleryQuery:
    """What somebody wants to see."""

    label_filter: LabelFilter = LabelFilter.ALL
    #: an anomaly type that the mask has; empty for any
    anomaly_type: str = ""
    #: a part of the name, in any case
    text: str = ""
    order: SortOrder = SortOrder.NAME


def query_of(parameters: Mapping[str, str]) -> GalleryQuery:
    """Read a query from those of a URL.

    Raises:
        ValidationError: there is no such filter or order.
    """
    try:
        return GalleryQuery(
            label_filter=LabelFilter(parameters.get("filter") or LabelFilter.ALL),
            anomaly_type=parameters.get("type", ""),
            text=parameters.get("q", "").strip(),
            order=SortOrder(parameters.get("sort") or SortOrder.NAME),
        )
    except ValueError as error:
        raise ValidationError(f"The gallery cannot show that: {error}.") from None


def matching_entries(
    entries: Iterable[Entry],
    query: GalleryQuery,
    scores: Mapping[str, float],
    teaching: Sequence[str] = (),
) -> list[Entry]:
    """Return the entries that a query wants, in its order.

    Args:
        entries: of the data set.
        query: what is wanted.
        scores: address -> how anomalous a model found the image, 0 to 1.
        teaching: addresses, those first whose labels would teach most.
    """
    matching = [entry for entry in entries if _matches(entry, query)]
    matching.sort(key=lambda entry: (natural_key(entry.name), entry.ref))
    if query.order is SortOrder.DATE:
        matching.sort(key=lambda entry: entry.created_at or _LONG_AGO, reverse=True)
    elif query.order is SortOrder.SCORE:
        matching.sort(key=lambda entry: scores.get(entry.ref, -1.0), reverse=True)
    elif query.order is SortOrder.SUSPECT:
        matching.sort(key=lambda entry: _suspicion(entry, scores), reverse=True)
    elif query.order is SortOrder.TEACHING:  # then wrong labels: to mend them teaches, too
        rows = {ref: row for row, ref in enumerate(teaching)}
        matching.sort(key=lambda entry: _suspicion(entry, scores), reverse=True)
        matching.sort(key=lambda entry: rows.get(entry.ref, len(rows)))
    return matching


def _suspicion(entry: Entry, scores: Mapping[str, float]) -> float:
    """Return how strongly a model contradicts a label, 0 to 1; -1 if it judged no such image."""
    score = scores.get(entry.ref)
    if score is None or entry.label is None:
        return -1.0
    return 1 - score if entry.label is Label.ANOMALY else score


def _matches(entry: Entry, query: GalleryQuery) -> bool:
    if query.anomaly_type and query.anomaly_type not in entry.types:
        return False
    if query.text.casefold() not in entry.name.casefold():
        return False
    match query.label_filter:
        case LabelFilter.ALL:
            return True
        case LabelFilter.UNLABELLED:
            return entry.label is None
        case LabelFilter.LABELLED:
            return entry.label is not None
        case _:
            return entry.label == query.label_filter.value


def natural_key(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a sort key by which `img2` comes before `img10`."""
    return tuple(
        (False, int(part), "") if part.isdecimal() and part.isascii() else (True, 0, part)
        for part in _DIGITS.split(name.casefold())
        if part
    )


def filter_counts(entries: Iterable[Entry]) -> dict[str, Any]:
    """Count the entries that each filter shows, by the names of the filters, and of each type."""
    labels: Counter[Label | None] = Counter()
    types: Counter[str] = Counter()
    for entry in entries:
        labels[entry.label] += 1
        types.update(entry.types)
    labelled = labels[Label.NORMAL] + labels[Label.ANOMALY]
    return {
        LabelFilter.ALL: labels.total(),
        LabelFilter.UNLABELLED: labels[None],
        LabelFilter.LABELLED: labelled,
        LabelFilter.NORMAL: labels[Label.NORMAL],
        LabelFilter.ANOMALY: labels[Label.ANOMALY],
        "types": dict(sorted(types.items())),
    }


def scores_of(manifest: bytes) -> dict[str, float]:
    """Read from an evaluation manifest how anomalous each image was found to be, 0 to 1."""
    scores = {}
    for text in manifest.splitlines():
        line = json.loads(text)
        confidence = float(line["anomaly-label-detected-metadata"]["confidence"])
        is_anomalous = bool(line["anomaly-label-detected"])
        scores[str(line["source-ref"])] = confidence if is_anomalous else 1 - confidence
    return scores


def need_texts(needs: Iterable[Need]) -> list[str]:
    """Say what is missing before a training, a sentence each; nothing when nothing is."""
    return [
        say(
            "{missing} more {label} in the {set}",
            missing=need.missing,
            label=need.label,
            set=say(f"{need.dataset} set"),
        )
        for need in needs
        if need.missing
    ]
