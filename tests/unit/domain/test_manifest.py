from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.entities import DatasetEntry, Label, ObjectRef
from blemish.domain.limits import PROFILES
from blemish.domain.manifest import (
    MAX_TYPES_PER_MASK,
    LineProblem,
    object_ref,
    parse_line,
    parse_manifest,
)
from tests.unit.manifests import json_line, label_fields, mask_fields, url

IMAGE = {"source-ref": url("a.png")}
LABEL = label_fields("normal")
MASK = mask_fields(url("a-mask.png"), {"scratch": "#23A436"})


def entry(fields: dict[str, Any]) -> DatasetEntry:
    return parse_line(json.dumps(fields))


def problems(*lines: str) -> list[str]:
    """What is wrong with lines of which not one is good."""
    found: list[LineProblem] = []
    assert list(parse_manifest(lines, found)) == []
    return [str(problem) for problem in found]


def problem(fields: object) -> str:
    """The one problem of a line."""
    (found,) = problems(json.dumps(fields))
    return found.removeprefix("line 1: ")


def changed(fields: dict[str, Any], name: str, **values: Any) -> dict[str, Any]:
    """Return a line whose metadata `name` has other values (None takes a member away)."""
    members = {key.replace("_", "-"): value for key, value in values.items()}
    metadata = fields[name] | members
    return fields | {name: {key: value for key, value in metadata.items() if value is not None}}


def test_the_manifest_of_the_originals_console_is_read_whole(shared: Path) -> None:
    template = shared / "data" / "cookies" / "manifests" / "template.manifest"
    text = template.read_text().replace('-ref": "', '-ref": "s3://cookies/')
    found: list[LineProblem] = []

    entries = [entry for _, entry in parse_manifest(text.splitlines(keepends=True), found)]

    assert found == []
    assert len(entries) == 63
    masks = [entry.mask for entry in entries if entry.label is Label.ANOMALY]
    assert len(masks) == 32
    assert all(mask and dict(mask.colors) == {"#23A436": "cracked"} for mask in masks)
    assert [entry.mask for entry in entries if entry.label is Label.NORMAL] == [None] * 31
    assert entries[0].image == ObjectRef(bucket="cookies", key="training-images/anomaly-1.jpg")
    assert masks[0] is not None
    assert masks[0].ref == ObjectRef(bucket="cookies", key="mask-images/anomaly-1.png")
    assert entries[0].created_at == datetime(2022, 8, 22, 20, 52, 51, 851_000, tzinfo=UTC)


def test_a_line_is_kept_as_it_came_without_its_line_break() -> None:
    line = '  {"source-ref" :  "s3://pictures/ä b.png"}\t'

    ((number, found),) = parse_manifest([f"\ufeff{line}\r\n"], [])

    assert (number, found.line) == (1, line)
    assert found.image == ObjectRef(bucket="pictures", key="ä b.png")


def test_a_line_may_be_as_long_as_the_service_model_allows() -> None:
    line = json_line("a.png", note="")
    longest = json_line("a.png", note="x" * (8_192 - len(line)))

    assert len(longest) == 8_192
    assert parse_line(longest).line == longest


def test_blank_lines_are_passed_over_and_counted() -> None:
    lines = ["\n", json_line("a.png"), "   \r\n", "", json_line("b.png")]
    found: list[LineProblem] = []

    numbers = [number for number, _ in parse_manifest(lines, found)]

    assert numbers == [2, 5]
    assert found == []


@pytest.mark.parametrize("name", list(Label))
@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, "1", None, 7])
@pytest.mark.parametrize("attribute", ["anomaly-label", "auto-label", "my GT job 7", "x"])
def test_the_class_name_alone_decides_whatever_the_number_says(
    name: Label, value: object, attribute: str
) -> None:
    fields = IMAGE | label_fields(name, attribute=attribute, value=value)

    assert entry(fields).label is name


@pytest.mark.parametrize("class_name", ["good", "Normal", "ANOMALY", "", "normal ", 1, None, ["x"]])
def test_another_class_name_leaves_an_image_unlabelled(class_name: object) -> None:
    assert entry(IMAGE | label_fields(class_name)).label is None


def test_a_line_with_an_image_alone_is_unlabelled() -> None:
    found = entry(IMAGE)

    assert (found.label, found.mask, found.created_at) == (None, None, None)


def test_a_chained_ground_truth_job_gives_label_and_mask() -> None:
    """A classification job, and a segmentation job over its output, as Ground Truth writes them."""
    fields = {
        "source-ref": "s3://pictures/line-4/0017.jpg",
        "classify-parts": 1,
        "classify-parts-metadata": {
            "confidence": 0.94,
            "job-name": "labeling-job/classify-parts",
            "class-name": "anomaly",
            "human-annotated": "yes",
            "creation-date": "2021-10-12T17:36:30.234567",
            "type": "groundtruth/image-classification",
        },
        "paint-parts-ref": "s3://pictures/annotations/0.png",
        "paint-parts-ref-metadata": {
            "internal-color-map": {
                "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 0.8},
                "1": {"class-name": "scratch", "hex-color": "#2ca02c", "confidence": 0.8},
                "3": {"class-name": "dent", "hex-color": "#1f77b4", "confidence": 0.8},
            },
            "type": "groundtruth/semantic-segmentation",
            "human-annotated": "yes",
            "creation-date": "2021-10-13T08:11:02.000001",
            "job-name": "labeling-job/paint-parts",
        },
    }

    found = entry(fields)

    assert found.label is Label.ANOMALY
    assert found.created_at == datetime(2021, 10, 12, 17, 36, 30, 234_567, tzinfo=UTC)
    assert found.mask is not None
    assert found.mask.anomaly_types == {"scratch", "dent"}


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2020-10-16T17:53:39.871Z", datetime(2020, 10, 16, 17, 53, 39, 871_000, tzinfo=UTC)),
        ("2020-10-16T17:53:39", datetime(2020, 10, 16, 17, 53, 39, tzinfo=UTC)),
        ("2020-10-16T19:53:39+02:00", datetime(2020, 10, 16, 17, 53, 39, tzinfo=UTC)),
        ("2020-10-16", datetime(2020, 10, 16, tzinfo=UTC)),
        ("Mon Aug 22 2022 13:52:52 GMT-0700 (Pacific Daylight Time)", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday", None),
        ("", None),
        (1_600_000_000, None),
        (None, None),
    ],
)
def test_a_date_in_another_form_counts_as_none(text: object, date: datetime | None) -> None:
    assert entry(IMAGE | label_fields("normal", date=text)).created_at == date


@pytest.mark.parametrize("attribute", ["anomaly-mask-ref", "object-ref", "-ref", "a b-ref"])
def test_a_mask_may_have_any_name_that_ends_in_ref(attribute: str) -> None:
    fields = IMAGE | LABEL | mask_fields(url("m.png"), {"dent": "#a1B2c3"}, attribute=attribute)

    found = entry(fields).mask

    assert found is not None
    assert found.ref == ObjectRef(bucket="pictures", key="m.png")
    assert found.colors == {"#A1B2C3": "dent"}


@pytest.mark.parametrize("key", ["0", "1", "17", "", "scratch", "-1"])
def test_a_colour_map_may_have_any_keys_and_neither_background_nor_confidence(key: str) -> None:
    color_map = {key: {"class-name": " scratch ", "hex-color": "#23a436"}}
    fields = changed(IMAGE | MASK, "anomaly-mask-ref-metadata", internal_color_map=color_map)

    found = entry(fields).mask

    assert found is not None
    assert found.colors == {"#23A436": "scratch"}


@pytest.mark.parametrize("name", ["background", "BACKGROUND", "Background"])
@pytest.mark.parametrize("color", ["#ffffff", "#000000"])
def test_the_background_of_a_colour_map_is_no_anomaly_type(name: str, color: str) -> None:
    fields = IMAGE | mask_fields(url("m.png"), {name: color, "dent": "#00FF00"})

    found = entry(fields).mask

    assert found is not None
    assert found.colors == {color.upper(): "background", "#00FF00": "dent"}
    assert found.anomaly_types == {"dent"}


def test_a_type_may_have_two_colours() -> None:
    color_map = {
        "0": {"class-name": "dent", "hex-color": "#111111"},
        "1": {"class-name": "dent", "hex-color": "#222222"},
    }
    fields = changed(IMAGE | MASK, "anomaly-mask-ref-metadata", internal_color_map=color_map)

    found = entry(fields).mask

    assert found is not None
    assert found.anomaly_types == {"dent"}


def test_a_mask_does_without_job_and_date() -> None:
    fields = changed(IMAGE | MASK, "anomaly-mask-ref-metadata", creation_date=None, job_name=None)

    assert entry(fields).mask is not None


def test_other_fields_are_let_pass() -> None:
    other = {"batch": 7, "note": "blue light", "boxes": {"annotations": []}, "seen": True}

    assert entry(IMAGE | LABEL | other).label is Label.NORMAL


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{", "it is not JSON (Expecting property name enclosed in double quotes at character 2)"),
        ('{"a": 1} x', "it is not JSON (Extra data at character 10)"),
        ("source-ref,label", "it is not JSON (Expecting value at character 1)"),
        ('{"a": NaN}', "it is not JSON (NaN is not JSON)"),
        ("[" * 8_000, "it is not JSON (nested too deep)"),
        (
            r'{"source-ref": "s3://pictures/\ud800.png"}',
            "it is not JSON (it escapes one half of a character without the other)",
        ),
        ("[]", "it must be a JSON object, not a list"),
        ('"s3://pictures/a.png"', "it must be a JSON object, not a str"),
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
            IMAGE | changed(LABEL, "anomaly-label-metadata", human_annotated=None),
            "'human-annotated' is missing in 'anomaly-label-metadata'",
        ),
        (
            IMAGE | changed(LABEL, "anomaly-label-metadata", human_annotated="perhaps"),
            "'human-annotated' in 'anomaly-label-metadata' must be yes or no, not \"perhaps\"",
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
            IMAGE | changed(MASK, "anomaly-mask-ref-metadata", human_annotated=None),
            "'human-annotated' is missing in 'anomaly-mask-ref-metadata'",
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


def test_a_mask_may_show_twenty_types_and_a_background() -> None:
    colors = {"background": "#FFFFFF"} | {f"type {i}": f"#0000{i:02X}" for i in range(20)}

    found = entry(IMAGE | mask_fields(url("m.png"), colors)).mask

    assert found is not None
    assert len(found.anomaly_types) == 20


def test_the_types_of_a_mask_are_those_of_both_profiles() -> None:
    allowed = {limits.max_anomaly_types_per_mask for limits in PROFILES.values()}

    assert allowed == {MAX_TYPES_PER_MASK}


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


@given(
    bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True),
    key=st.text(min_size=1, max_size=1_024),
)
def test_an_address_and_its_parts_say_the_same(bucket: str, key: str) -> None:
    ref = ObjectRef(bucket=bucket, key=key)

    assert object_ref(str(ref)) == ref


NAMES = st.sampled_from(
    ["source-ref", "label", "label-metadata", "m-ref", "m-ref-metadata", "mask", "mask-metadata"]
)
MEMBERS = st.sampled_from(
    ["class-name", "type", "human-annotated", "creation-date", "internal-color-map", "hex-color"]
)
VALUES = st.sampled_from(
    [
        url("a.png"),
        "yes",
        "normal",
        "groundtruth/image-classification",
        "groundtruth/semantic-segmentation",
        "2024-01-02T03:04:05Z",
        "9999-12-31T23:59:59-23:59",
        "#23A436",
        "\ud800",
        10**400,
    ]
)
JSON = st.recursive(
    VALUES | st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS | st.text(), inner),
    max_leaves=12,
)


@given(st.text(max_size=40) | JSON.map(json.dumps))
def test_any_text_is_an_entry_or_a_problem(line: str) -> None:
    found: list[LineProblem] = []

    entries = list(parse_manifest([line], found))

    assert bool(entries) + bool(found) == (1 if line.strip("\r\n\ufeff").strip() else 0)


@given(st.dictionaries(NAMES, JSON), st.booleans())
def test_any_fields_are_an_entry_or_problems_that_can_be_kept(
    fields: dict[str, Any], has_image: bool
) -> None:
    found: list[LineProblem] = []

    entries = list(parse_manifest([json.dumps(fields | (IMAGE if has_image else {}))], found))

    assert bool(entries) != bool(found)
    for text in [*map(str, found), *(str(entry) for _, entry in entries)]:
        text.encode()
