"""Notes on JSON Lines: what a line says that is neither the label nor the mask of its image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

MAX_NAMED = 5
"""Classes, or types of fields, that a sentence names."""


@dataclass(frozen=True, kw_only=True)
class LineNotes:
    """The parts of one line that are not used. Without any of them, it equals `NO_NOTES`."""

    #: classes that are neither normal nor anomaly
    unknown_classes: tuple[str, ...] = ()
    #: types of labels that Blemish does not use, such as groundtruth/object-detection
    unused_types: tuple[str, ...] = ()
    #: label and mask fields that another field of the line replaces
    replaced_fields: int = 0
    #: label and mask fields that no person annotated
    machine_fields: int = 0
    #: fields with a `failure-reason`
    failed_fields: int = 0
    #: the fields of which nothing says which one counts; only lines of earlier versions have any
    undecided_fields: tuple[str, ...] = ()
    #: label and mask fields whose `creation-date` cannot be read
    unreadable_dates: int = 0
    #: whether the image has a mask and no label
    unlabelled_mask: bool = False

    def to_json(self) -> str | None:
        """Return the notes as canonical JSON: equal notes, equal text; None without any."""
        members = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(members, ensure_ascii=False, sort_keys=True) if members else None


NO_NOTES = LineNotes()


def notes_of_json(text: str) -> LineNotes:
    """Return the notes that `LineNotes.to_json` wrote."""
    members: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in json.loads(text).items()
    }
    return LineNotes(**members)


def note_sentences(counts: Iterable[tuple[LineNotes, int]]) -> list[str]:
    """Return sentences that count the lines of a dataset by what of them is not used.

    Args:
        counts: notes, and the number of lines that have them.
    """
    pairs = list(counts)
    sentences = [
        _naming_sentence(
            [(notes.unknown_classes, count) for notes, count in pairs],
            "a class that is neither normal nor anomaly, which is no label",
            ("class", "classes"),
        ),
        _counting_sentence(
            [(notes.replaced_fields, count) for notes, count in pairs],
            "label or mask fields that a newer or adjusted field replaces",
        ),
        _counting_sentence(
            [(notes.machine_fields, count) for notes, count in pairs],
            "label or mask fields that no person annotated, which are not used",
        ),
        _counting_sentence(
            [(notes.failed_fields, count) for notes, count in pairs],
            "fields with a 'failure-reason', which count as unlabelled",
        ),
        _counting_sentence(
            [(notes.unreadable_dates, count) for notes, count in pairs],
            "a 'creation-date' that cannot be read, which counts as none",
        ),
        _counting_sentence(
            [(notes.unlabelled_mask, count) for notes, count in pairs],
            "a mask but no label, so the mask is not used",
        ),
        _counting_sentence(
            [(len(notes.undecided_fields), count) for notes, count in pairs],
            "several label or mask fields and nothing that says which one is the newest, "
            "so none of them is used",
        ),
        _naming_sentence(
            [(notes.unused_types, count) for notes, count in pairs],
            "a field of a type that is not used",
            ("type", "types"),
        ),
    ]
    return [sentence for sentence in sentences if sentence]


def _counting_sentence(pairs: Iterable[tuple[int, int]], text: str) -> str:
    """Say how many lines have any fields of one kind; nothing if none has."""
    lines = sum(count for fields, count in pairs if fields)
    return f"{lines_have(lines)} {text}." if lines else ""


def _naming_sentence(
    pairs: Iterable[tuple[tuple[str, ...], int]], text: str, noun: tuple[str, str]
) -> str:
    """Say how many lines have any names of one kind, and name the most frequent ones.

    Args:
        pairs: names, and the number of lines that have them.
        text: of the sentence.
        noun: for one name, and for several.
    """
    lines = 0
    lines_of: Counter[str] = Counter()
    for names, count in pairs:
        lines += count if names else 0
        lines_of.update(dict.fromkeys(names, count))
    ranked = sorted(lines_of, key=lambda name: (-lines_of[name], name))
    shown = [f'"{name}" ({lines_of[name]})' for name in ranked[:MAX_NAMED]]
    more = len(ranked) - MAX_NAMED
    if more > 0:
        shown.append(f"{more} more {noun[more > 1]}")
    return f"{lines_have(lines)} {text}: {', '.join(shown)}." if lines else ""


def lines_have(count: int) -> str:
    """Return the beginning of a sentence about so many lines."""
    return "1 line has" if count == 1 else f"{count} lines have"
