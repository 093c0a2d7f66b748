from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.line_notes import NO_NOTES, LineNotes, note_sentences, notes_of_json

NAMES = st.lists(st.text(max_size=5), max_size=3).map(tuple)
NOTES = st.builds(
    LineNotes,
    unknown_classes=NAMES,
    unused_types=NAMES,
    replaced_fields=st.integers(0, 3),
    machine_fields=st.integers(0, 3),
    failed_fields=st.integers(0, 3),
    unreadable_dates=st.integers(0, 3),
    undecided_fields=NAMES,
    unlabelled_mask=st.booleans(),
)


@given(NOTES)
def test_notes_and_their_json_say_the_same(notes: LineNotes) -> None:
    text = notes.to_json()

    assert (text is None) == (notes == NO_NOTES)
    assert text is None or notes_of_json(text) == notes


@pytest.mark.parametrize(
    ("notes", "sentence"),
    [
        (
            LineNotes(replaced_fields=2),
            "label or mask fields that a newer or adjusted field replaces.",
        ),
        (
            LineNotes(machine_fields=1),
            "label or mask fields that no person annotated, which are not used.",
        ),
        (
            LineNotes(failed_fields=1),
            "fields with a 'failure-reason', which count as unlabelled.",
        ),
        (
            LineNotes(unreadable_dates=1),
            "a 'creation-date' that cannot be read, which counts as none.",
        ),
        (LineNotes(unlabelled_mask=True), "a mask but no label, so the mask is not used."),
        (
            LineNotes(undecided_fields=("a", "b")),
            "several label or mask fields and nothing that says which one is the newest, "
            "so none of them is used.",
        ),
        (
            LineNotes(unused_types=("groundtruth/label-verification",)),
            'a field of a type that is not used: "groundtruth/label-verification" (LINES).',
        ),
    ],
)
@pytest.mark.parametrize(("lines", "start"), [(1, "1 line has"), (70, "70 lines have")])
def test_lines_are_counted_by_what_is_not_used(
    notes: LineNotes, sentence: str, lines: int, start: str
) -> None:
    sentences = note_sentences([(notes, lines), (NO_NOTES, 5)])

    assert sentences == [f"{start} {sentence}".replace("LINES", str(lines))]


def test_unknown_classes_are_named_the_most_frequent_first() -> None:
    counts = [
        (LineNotes(unknown_classes=("good",)), 2),
        (LineNotes(unknown_classes=("defect",)), 40),
        (LineNotes(unknown_classes=("defect", "good")), 1),
    ]

    assert note_sentences(counts) == [
        "43 lines have a class that is neither normal nor anomaly, which is no label: "
        '"defect" (41), "good" (3).'
    ]


@pytest.mark.parametrize(("classes", "rest"), [(6, "1 more class."), (8, "3 more classes.")])
def test_five_unknown_classes_are_named_and_the_others_counted(classes: int, rest: str) -> None:
    counts = [(LineNotes(unknown_classes=(f"type {i}",)), 10 - i) for i in range(classes)]

    (sentence,) = note_sentences(counts)

    assert sentence.endswith(f'"type 3" (7), "type 4" (6), {rest}')


def test_nothing_is_said_of_lines_that_are_used_whole() -> None:
    assert note_sentences([(NO_NOTES, 100_000)]) == []
