from __future__ import annotations

import json
from typing import Any

import pytest

from blemish.domain.manifest import LineProblem, parse_manifest
from tests.unit.manifests import (
    IMAGE,
    LABEL,
    MASK,
    changed,
    json_line,
    mask_fields,
    url,
)


def problems(*lines: str) -> list[str]:
    """What is wrong with lines of which not one is good."""
    found: list[LineProblem] = []
    assert list(parse_manifest(lines, found)) == []
    return [str(problem) for problem in found]


def problem(fields: object) -> str:
    """The one problem of a line."""
    (found,) = problems(json.dumps(fields))
    return found.removeprefix("line 1: ")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{", "it is not JSON (Expecting property name enclosed in double quotes at character 2)"),
        ('{"a": 1} x', "it is not JSON (Extra data at character 10)"),
        ("source-ref,label", "it is not JSON (Expecting value at character 1)"),
        ('{"a": NaN}', "it is not JSON (NaN is not JSON)"),
        ("[" * 8_000, "it is not JSON (nested too deep)"),
        (
            r'{"source-ref": "s3://images/\ud800.png"}',
            "it is not JSON (it escapes one half of a character without the other)",
        ),
        ("[]", "it must be a JSON object, not a list"),
        ('"s3://images/a.png"', "it must be a JSON object, not a str"),
        ("null", "it must be a JSON object, not a NoneType"),
        (" " * 8_192 + "{", "it has 8193 characters; at most 8192 are allowed"),
    ],
)
def test_a_line_that_is_no_json_object_is_refused(line: str, text: str) -> None:
    assert problems(line) == [f"line 1: {text}"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "'source-ref' is missing"),
        ({"source-ref": None}, "'source-ref' is missing"),
        (
            {"source-ref": "training-images/a.jpg"},
            "'source-ref' must be s3://bucket/key, not \"training-images/a.jpg\"",
        ),
        ({"source-ref": 5}, "'source-ref' must be s3://bucket/key, not 5"),
        (
            {"source-ref": "s3://bucket"},
            "'source-ref' must be s3://bucket/key, not \"s3://bucket\"",
        ),
        (
            {"source-ref": "s3://bucket/"},
            "'source-ref' must be s3://bucket/key, not \"s3://bucket/\"",
        ),
        (
            {"source-ref": "s3://bucket/a\0b"},
            "'source-ref' must be s3://bucket/key, not \"s3://bucket/a\\u0000b\"",
        ),
        ({"source-ref": "s3://b/k"}, "'source-ref' must be s3://bucket/key, not \"s3://b/k\""),
        (
            {"source-ref": "s3://bucket/" + "k" * 1_025},
            f"'source-ref' must be s3://bucket/key, not \"s3://bucket/{'k' * 64}...",
        ),
        (IMAGE | {"anomaly-label": 1}, "'anomaly-label-metadata' is missing"),
        (IMAGE | {"anomaly-label": 1.0}, "'anomaly-label-metadata' is missing"),
        (
            IMAGE | {"anomaly-label": 1, "anomaly-label-metadata": "anomaly"},
            "'anomaly-label-metadata' must be a JSON object, not \"anomaly\"",
        ),
        (
            IMAGE | changed(LABEL, "anomaly-label-metadata", type=None),
            "'type' is missing in 'anomaly-label-metadata'",
        ),
        (
            IMAGE | changed(LABEL, "anomaly-label-metadata", class_name=None),
            "'class-name' is missing in 'anomaly-label-metadata'",
        ),
        (
            IMAGE | changed(LABEL, "anomaly-label-metadata", human_annotated="perhaps"),
            "'human-annotated' in 'anomaly-label-metadata' must be yes or no, not \"perhaps\"",
        ),
        (
            IMAGE | changed(LABEL, "anomaly-label-metadata", human_annotated=2),
            "'human-annotated' in 'anomaly-label-metadata' must be yes or no, not 2",
        ),
        (
            IMAGE | changed(LABEL, "anomaly-label-metadata", human_annotated=[]),
            "'human-annotated' in 'anomaly-label-metadata' must be yes or no, not []",
        ),
        (
            IMAGE | {"anomaly-label-metadata": LABEL["anomaly-label-metadata"]},
            "'anomaly-label' is missing, though 'anomaly-label-metadata' is there",
        ),
        (IMAGE | {"x-ref": url("m.png")}, "'x-ref-metadata' is missing"),
        (
            IMAGE | {"x-ref": url("m.png"), "x-ref-metadata": 7},
            "'x-ref-metadata' must be a JSON object, not 7",
        ),
        (
            IMAGE | changed(MASK, "anomaly-mask-ref-metadata", type=None),
            "'type' is missing in 'anomaly-mask-ref-metadata'",
        ),
        (
            IMAGE | changed(MASK, "anomaly-mask-ref-metadata", internal_color_map=None),
            "'internal-color-map' in 'anomaly-mask-ref-metadata' must be an object with classes",
        ),
        (
            IMAGE | mask_fields(url("m.png"), {}),
            "'internal-color-map' in 'anomaly-mask-ref-metadata' must be an object with classes",
        ),
        (
            IMAGE | {"anomaly-mask-ref-metadata": MASK["anomaly-mask-ref-metadata"]},
            "'anomaly-mask-ref' is missing",
        ),
        (
            IMAGE | mask_fields("m.png", {"dent": "#00FF00"}),
            "'anomaly-mask-ref' must be s3://bucket/key, not \"m.png\"",
        ),
        (
            IMAGE | mask_fields(url("m.png"), {"dent": "#00FF00"}, attribute="mask"),
            "'mask' names a mask, so it must end in '-ref'",
        ),
        (
            IMAGE | mask_fields(url("m.png"), {"dent": "green"}),
            '\'hex-color\' of class "dent" must be like #23A436, not "green"',
        ),
        (
            IMAGE | mask_fields(url("m.png"), {"dent": None}),
            "'hex-color' of class \"dent\" must be like #23A436, not null",
        ),
        (
            IMAGE | mask_fields(url("m.png"), {" ": "#00FF00"}),
            "class \"0\" in 'internal-color-map' has no 'class-name'",
        ),
        (
            IMAGE | mask_fields(url("m.png"), {"dent": "#ffffff"}),
            'class "dent" has the colour #FFFFFF of the background',
        ),
        (
            IMAGE | mask_fields(url("m.png"), {"dent": "#0000ff", "scratch": "#0000FF"}),
            "#0000FF is the colour of two classes, dent and scratch",
        ),
        (
            IMAGE | mask_fields(url("m.png"), {"background": "#000000", "scratch": "#000000"}),
            "#000000 is the colour of two classes, background and scratch",
        ),
        (
            IMAGE | mask_fields(url("m.png"), {f"type {i}": f"#0000{i:02X}" for i in range(21)}),
            "the mask has 21 anomaly types; at most 20 are allowed",
        ),
    ],
)
def test_what_is_wrong_with_a_line_is_named_with_its_value(
    fields: dict[str, Any], text: str
) -> None:
    assert problem(fields) == text


def test_all_problems_of_all_lines_are_collected() -> None:
    broken = LABEL | changed(
        LABEL, "anomaly-label-metadata", class_name=None, human_annotated="no!"
    )
    lines = [
        json_line("a.png", "normal"),
        json.dumps(broken | mask_fields("m.png", {"dent": "green"})),
        "{",
        json_line("b.png"),
    ]
    found: list[LineProblem] = []

    good = list(parse_manifest(lines, found))

    assert [number for number, _ in good] == [1, 4]
    assert [problem.number for problem in found] == [2, 2, 2, 2, 2, 3]
    assert {str(problem).split(" ")[2] for problem in found[:5]} == {
        "'source-ref'",
        "'class-name'",
        "'human-annotated'",
        "'anomaly-mask-ref'",
        "'hex-color'",
    }
