from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from blemish.console.images.dataset_entries import Entry
from blemish.console.images.gallery_query import (
    Query,
    Shown,
    Sort,
    Step,
    counts,
    of_ranges,
    query_of,
    relabelled,
    scores_of,
    selected,
    step_of,
    told,
)
from blemish.domain.entities import ImageStats, Label
from blemish.domain.errors import ValidationError
from blemish.domain.limits import ORIGINAL, OURS
from blemish.domain.manifest import parse_line
from blemish.service.training.trainable import image_needs

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
COLORS = {"#2CA02C": "scratch"}


def entry(
    name: str, label: Label | None = None, *, masked: bool = False, age_days: int | None = None
) -> Entry:
    return Entry(
        ref=f"s3://images/folder/{name}",
        label=label,
        mask_ref="s3://images/mask.png" if masked else None,
        colors=COLORS if masked else {},
        created_at=None if age_days is None else NOW - timedelta(days=age_days),
        line="{}",
    )


ENTRIES = [
    entry("img10.jpg", Label.NORMAL, age_days=2),
    entry("img2.jpg", Label.ANOMALY, masked=True, age_days=3),
    entry("IMG1.jpg"),
    entry("other.jpg", Label.ANOMALY, age_days=1),
]


def names(query: Query, **scores: float) -> list[str]:
    by_ref = {f"s3://images/folder/{name}.jpg": score for name, score in scores.items()}
    return [found.name for found in selected(ENTRIES, query, by_ref)]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (Shown.ALL, ["IMG1.jpg", "img2.jpg", "img10.jpg", "other.jpg"]),
        (Shown.UNLABELLED, ["IMG1.jpg"]),
        (Shown.LABELLED, ["img2.jpg", "img10.jpg", "other.jpg"]),
        (Shown.NORMAL, ["img10.jpg"]),
        (Shown.ANOMALY, ["img2.jpg", "other.jpg"]),
    ],
)
def test_a_filter_shows_what_it_says(shown: Shown, expected: list[str]) -> None:
    assert names(Query(shown=shown)) == expected


def test_search_knows_no_case_and_no_folders() -> None:
    assert names(Query(text="iMg")) == ["IMG1.jpg", "img2.jpg", "img10.jpg"]
    assert names(Query(text="folder")) == []


def test_one_anomaly_type_is_shown_alone() -> None:
    assert names(Query(anomaly_type="scratch")) == ["img2.jpg"]


def test_the_newest_label_comes_first_and_the_unlabelled_last() -> None:
    assert names(Query(sort=Sort.DATE)) == ["other.jpg", "img10.jpg", "img2.jpg", "IMG1.jpg"]


def test_the_most_anomalous_come_first_and_those_without_a_score_last() -> None:
    found = names(Query(sort=Sort.SCORE), img10=0.2, other=0.9)
    assert found == ["other.jpg", "img10.jpg", "IMG1.jpg", "img2.jpg"]


def test_counts_are_those_of_the_filters() -> None:
    assert counts(ENTRIES) == {
        "all": 4,
        "unlabelled": 1,
        "labelled": 3,
        "normal": 1,
        "anomaly": 2,
        "types": {"scratch": 1},
    }


def test_a_query_is_read_from_a_url() -> None:
    assert query_of({}) == Query()
    found = query_of({"filter": "normal", "type": "dent", "q": " a ", "sort": "date"})
    expected = Query(shown=Shown.NORMAL, anomaly_type="dent", text="a", sort=Sort.DATE)
    assert found == expected
    with pytest.raises(ValidationError, match="cannot show"):
        query_of({"filter": "pretty"})


@pytest.mark.parametrize("label", [Label.NORMAL, None])
def test_what_is_no_anomaly_loses_its_mask(label: Label | None) -> None:
    changed = relabelled(ENTRIES[1], label, now=NOW)
    read = parse_line(changed.line)
    assert (changed.label, changed.mask_ref, changed.types) == (label, None, frozenset())
    assert (read.label, read.mask) == (label, None)


def test_an_anomaly_keeps_its_mask() -> None:
    masked = entry("a.jpg", None, masked=True)
    read = parse_line(relabelled(masked, Label.ANOMALY, now=NOW).line)
    assert read.label is Label.ANOMALY
    assert read.mask is not None
    assert str(read.mask.ref) == "s3://images/mask.png"


def test_the_same_label_changes_nothing() -> None:
    assert relabelled(ENTRIES[0], Label.NORMAL, now=NOW) is ENTRIES[0]


def test_ranges_are_inclusive_and_end_with_the_view() -> None:
    assert of_ranges(["a", "b", "c", "d"], [(0, 0), (2, 9)]) == ["a", "c", "d"]


def test_a_change_is_read_or_refused() -> None:
    labelled = step_of({"view": "v", "ranges": [[1, 2]], "label": "normal"})
    assert labelled == Step(view="v", ranges=[(1, 2)], label=Label.NORMAL)
    assert step_of({"undo": "name"}) == Step(undo="name")
    for wrong in ({}, {"view": "v", "ranges": [[1]]}, {"view": "v", "ranges": [], "label": "no"}):
        with pytest.raises(ValidationError, match="malformed"):
            step_of(wrong)


def test_a_score_is_the_probability_of_an_anomaly() -> None:
    lines = [
        {
            "source-ref": f"s3://b/{row}",
            "anomaly-label-detected": anomalous,
            "anomaly-label-detected-metadata": {"confidence": 0.75},
        }
        for row, anomalous in enumerate((1, 0))
    ]
    manifest = "\n".join(map(json.dumps, lines)).encode()
    assert scores_of(manifest) == {"s3://b/0": 0.75, "s3://b/1": 0.25}


def test_what_is_missing_is_told_by_the_rule_of_the_training() -> None:
    few = ImageStats(total=9, labeled=9, normal=4, anomaly=5)
    assert told(image_needs([few], OURS)) == ["11 more normal in the training set"]
    assert told(image_needs([few, few], ORIGINAL)) == [
        "6 more normal in the training set",
        "6 more normal in the test set",
        "5 more anomaly in the test set",
        "11 more labelled in the test set",
    ]
