from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from blemish.console.images.entry import Entry
from blemish.console.images.gallery_query import (
    GalleryQuery,
    LabelFilter,
    SortOrder,
    filter_counts,
    matching_entries,
    need_texts,
    query_of,
    scores_of,
)
from blemish.domain.entities import ImageStats, Label
from blemish.domain.errors import ValidationError
from blemish.domain.limits import ORIGINAL, OURS
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


def names(query: GalleryQuery, **scores: float) -> list[str]:
    by_ref = {f"s3://images/folder/{name}.jpg": score for name, score in scores.items()}
    return [entry.name for entry in matching_entries(ENTRIES, query, by_ref)]


@pytest.mark.parametrize(
    ("label_filter", "expected"),
    [
        (LabelFilter.ALL, ["IMG1.jpg", "img2.jpg", "img10.jpg", "other.jpg"]),
        (LabelFilter.UNLABELLED, ["IMG1.jpg"]),
        (LabelFilter.LABELLED, ["img2.jpg", "img10.jpg", "other.jpg"]),
        (LabelFilter.NORMAL, ["img10.jpg"]),
        (LabelFilter.ANOMALY, ["img2.jpg", "other.jpg"]),
    ],
)
def test_a_filter_shows_what_it_says(label_filter: LabelFilter, expected: list[str]) -> None:
    assert names(GalleryQuery(label_filter=label_filter)) == expected


def test_search_knows_no_case_and_no_folders() -> None:
    assert names(GalleryQuery(text="iMg")) == ["IMG1.jpg", "img2.jpg", "img10.jpg"]
    assert names(GalleryQuery(text="folder")) == []


def test_one_anomaly_type_is_shown_alone() -> None:
    assert names(GalleryQuery(anomaly_type="scratch")) == ["img2.jpg"]


def test_the_newest_label_comes_first_and_the_unlabelled_last() -> None:
    assert names(GalleryQuery(order=SortOrder.DATE)) == [
        "other.jpg",
        "img10.jpg",
        "img2.jpg",
        "IMG1.jpg",
    ]


def test_the_most_anomalous_come_first_and_those_without_a_score_last() -> None:
    found = names(GalleryQuery(order=SortOrder.SCORE), img10=0.2, other=0.9)
    assert found == ["other.jpg", "img10.jpg", "IMG1.jpg", "img2.jpg"]


def test_counts_are_those_of_the_filters() -> None:
    assert filter_counts(ENTRIES) == {
        "all": 4,
        "unlabelled": 1,
        "labelled": 3,
        "normal": 1,
        "anomaly": 2,
        "types": {"scratch": 1},
    }


def test_a_query_is_read_from_a_url() -> None:
    assert query_of({}) == GalleryQuery()
    found = query_of({"filter": "normal", "type": "dent", "q": " a ", "sort": "date"})
    expected = GalleryQuery(
        label_filter=LabelFilter.NORMAL, anomaly_type="dent", text="a", order=SortOrder.DATE
    )
    assert found == expected
    with pytest.raises(ValidationError, match="cannot show"):
        query_of({"filter": "pretty"})


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
    assert need_texts(image_needs([few], OURS)) == ["11 more normal in the training set"]
    assert need_texts(image_needs([few, few], ORIGINAL)) == [
        "6 more normal in the training set",
        "6 more normal in the test set",
        "5 more anomaly in the test set",
        "11 more labelled in the test set",
    ]


def test_labels_that_a_model_contradicts_come_first() -> None:
    query = GalleryQuery(order=SortOrder.SUSPECT)

    result = names(query, img10=0.9, img2=0.8, other=0.3)

    assert result == ["img10.jpg", "other.jpg", "img2.jpg", "IMG1.jpg"]
