from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from blemish.console.images.entry import Entry, entry_of
from blemish.console.images.gallery_labels import (
    GalleryChange,
    gallery_change_of,
    refs_in_ranges,
    relabelled,
)
from blemish.domain.entities import Label
from blemish.domain.errors import ValidationError
from blemish.domain.manifest import parse_line

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
NORMAL = Entry(
    ref="s3://images/a.jpg",
    label=Label.NORMAL,
    mask_ref=None,
    colors={},
    created_at=NOW,
    line="{}",
)
MASKED = replace(
    NORMAL,
    label=Label.ANOMALY,
    mask_ref="s3://images/mask.png",
    colors={"#2CA02C": "scratch"},
)


@pytest.mark.parametrize("label", [Label.NORMAL, None])
def test_an_image_that_is_no_anomaly_has_no_mask_that_counts(label: Label | None) -> None:
    changed = relabelled(MASKED, label, now=NOW)

    read = parse_line(changed.line)
    assert (changed.label, changed.mask_ref, changed.types) == (label, None, frozenset())
    assert (read.label, read.mask) == (label, None)


@pytest.mark.parametrize("between", [[Label.NORMAL], [None], [Label.NORMAL, None, Label.NORMAL]])
def test_a_mask_survives_relabelling(between: list[Label | None]) -> None:
    changed = MASKED
    for label in between:
        changed = entry_of(relabelled(changed, label, now=NOW).line)

    again = relabelled(changed, Label.ANOMALY, now=NOW)

    read = parse_line(again.line)
    assert read.mask is not None
    assert str(read.mask.ref) == "s3://images/mask.png"
    assert again.colors == MASKED.colors
    assert again.set_aside is None


def test_an_unlabelled_image_keeps_its_mask_when_it_becomes_an_anomaly() -> None:
    read = parse_line(relabelled(replace(MASKED, label=None), Label.ANOMALY, now=NOW).line)

    assert read.label is Label.ANOMALY
    assert read.mask is not None


def test_the_same_label_changes_nothing() -> None:
    assert relabelled(NORMAL, Label.NORMAL, now=NOW) is NORMAL


def test_ranges_are_inclusive_and_end_with_the_view() -> None:
    assert refs_in_ranges(["a", "b", "c", "d"], [(0, 0), (2, 9)]) == ["a", "c", "d"]


def test_a_change_is_read_or_refused() -> None:
    labelled = gallery_change_of({"view": "v", "ranges": [[1, 2]], "label": "normal"})
    assert labelled == GalleryChange(view="v", ranges=[(1, 2)], label=Label.NORMAL)
    assert gallery_change_of({"undo": "name"}) == GalleryChange(undo="name")
    named = gallery_change_of({"labels": {"s3://b/a": "normal", "s3://b/c": None}})
    assert named == GalleryChange(labels={"s3://b/a": Label.NORMAL, "s3://b/c": None})
    for wrong in (
        {},
        {"labels": ["a"]},
        {"view": "v", "ranges": [[1]]},
        {"view": "v", "ranges": [], "label": "no"},
    ):
        with pytest.raises(ValidationError, match="malformed"):
            gallery_change_of(wrong)
