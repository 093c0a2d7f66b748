from __future__ import annotations

import json

import pytest

from blemish.console.models.compare_page import compared_versions
from blemish.console.models.evaluation import (
    Cell,
    EvaluatedImage,
    arranged_images,
    cell_counts,
    compared_images,
    parse_evaluation_manifest,
    parse_type_results,
)
from blemish.domain.entities import Label

N, A = Label.NORMAL, Label.ANOMALY


def evaluated(name: str, truth: Label, verdict: Label, confidence: float) -> EvaluatedImage:
    return EvaluatedImage(ref=f"s3://b/{name}", truth=truth, verdict=verdict, confidence=confidence)


IMAGES = [
    evaluated("found", A, A, 0.9),
    evaluated("missed", A, N, 0.6),
    evaluated("alarm", N, A, 0.8),
    evaluated("passed", N, N, 0.7),
]


def names(found: list[EvaluatedImage]) -> list[str]:
    return [each.name for each in found]


def test_each_image_stands_in_one_cell() -> None:
    assert [each.cell for each in IMAGES] == [
        Cell.DETECTED,
        Cell.MISSED,
        Cell.FALSE_ALARM,
        Cell.PASSED,
    ]
    assert set(cell_counts(IMAGES).values()) == {1}


def test_the_most_wrong_come_first() -> None:
    assert names(arranged_images(IMAGES, cell=None, order="wrong")) == [
        "alarm",
        "missed",
        "passed",
        "found",
    ]
    assert IMAGES[1].wrongness == pytest.approx(0.6)
    assert IMAGES[3].wrongness == pytest.approx(0.3)


def test_a_wrong_verdict_is_more_wrong_than_a_right_one_that_is_less_sure() -> None:
    unsure = [evaluated("right", N, N, 0.45), evaluated("wrong", A, N, 0.47)]

    assert names(arranged_images(unsure, cell=None, order="wrong")) == ["wrong", "right"]


def test_images_are_chosen_by_cell_and_sorted_by_name_or_score() -> None:
    assert names(arranged_images(IMAGES, cell=Cell.MISSED, order="wrong")) == ["missed"]
    assert names(arranged_images(IMAGES, cell=None, order="anomalous"))[:2] == ["found", "alarm"]
    assert names(arranged_images(IMAGES, cell=None, order="name"))[0] == "alarm"


def test_two_models_are_compared_where_they_differ_first() -> None:
    other = [
        evaluated("passed", N, A, 0.55),
        evaluated("found", A, A, 0.6),
        evaluated("alarm", N, A, 0.8),
        evaluated("alone", N, N, 0.9),
    ]

    pairs = compared_images(IMAGES, other)

    assert [pair.a.name for pair in pairs] == ["passed", "found", "alarm"]
    assert [pair.differs for pair in pairs] == [True, False, False]


def test_a_manifest_is_read_line_by_line() -> None:
    line = {
        "source-ref": "s3://b/<img>.png",
        "anomaly-label-metadata": {"class-name": "normal"},
        "anomaly-label-detected-metadata": {"class-name": "anomaly", "confidence": 0.75},
    }

    found = parse_evaluation_manifest(f"{json.dumps(line)}\n\n".encode())

    assert found == [
        EvaluatedImage(ref="s3://b/<img>.png", truth=N, verdict=A, confidence=0.75),
    ]


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"no JSON", b"\xff"])
def test_what_is_no_manifest_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_evaluation_manifest(data)
    with pytest.raises(ValueError, match=r"."):
        parse_type_results(data)


def test_types_are_read_where_they_were_measured() -> None:
    measured = {
        "ClassName": "scratch",
        "Precision": 1.0,
        "Recall": None,
        "F1Score": 0.5,
        "AIOU": 0.4,
    }
    metrics = {"PixelAnomalyClassMetrics": [measured]}

    def parse(metrics: object) -> list[tuple[str, float | None, float | None]]:
        data = json.dumps({"AggregatedEvaluationResults": {"Metrics": metrics}}).encode()
        return [(each.name, each.recall, each.iou) for each in parse_type_results(data)]

    assert parse(metrics) == [("scratch", None, 0.4)]
    assert parse({}) == []


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [("1", "2", ("1", "2")), ("", "", ("2", "3")), ("3", "3", ("3", "2")), ("3", "x", ("3", "2"))],
)
def test_the_compared_models_are_two_that_are_there(a: str, b: str, both: tuple[str, str]) -> None:
    assert compared_versions(["3", "2", "1"], a, b) == both
