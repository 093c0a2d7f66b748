from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.entities import DatasetEntry, Label, ObjectRef
from blemish.domain.limits import PROFILES
from blemish.domain.line_notes import NO_NOTES, LineNotes
from blemish.domain.manifest import (
    MAX_TYPES_PER_MASK,
    LineProblem,
    object_ref,
    parse_line,
    parse_manifest,
)
from tests.unit.manifests import (
    IMAGE,
    LABEL,
    MASK,
    changed,
    json_line,
    label_fields,
    mask_fields,
    url,
)


def entry(fields: dict[str, Any]) -> DatasetEntry:
    return parse_line(json.dumps(fields))


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
    line = '  {"source-ref" :  "s3://images/ä b.png"}\t'

    ((number, found),) = parse_manifest([f"\ufeff{line}\r\n"], [])

    assert (number, found.line) == (1, line)
    assert found.image == ObjectRef(bucket="images", key="ä b.png")


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


@pytest.mark.parametrize(
    ("class_name", "noted"),
    [
        ("good", "good"),
        ("", ""),
        ("nor mal", "nor mal"),
        (1, "1"),
        (None, "null"),
        (["x"], '["x"]'),
        ("x" * 200, "x" * 76 + "..."),
    ],
)
def test_another_class_name_leaves_an_image_unlabelled_and_is_noted(
    class_name: object, noted: str
) -> None:
    found = entry(IMAGE | label_fields(class_name))

    assert found.label is None
    assert found.notes == LineNotes(unknown_classes=(noted,))


@pytest.mark.parametrize("write", [str.upper, str.title, str.lower, str.swapcase, " {}\t".format])
@pytest.mark.parametrize("label", list(Label))
def test_the_class_name_may_be_in_any_case_and_have_spaces_around(
    label: Label, write: Callable[[str], str]
) -> None:
    found = entry(IMAGE | label_fields(write(label)))

    assert (found.label, found.notes) == (label, NO_NOTES)


def test_types_may_be_in_any_case() -> None:
    label = changed(LABEL, "anomaly-label-metadata", type="GroundTruth/Image-Classification")
    mask = changed(MASK, "anomaly-mask-ref-metadata", type="GROUNDTRUTH/SEMANTIC-SEGMENTATION")

    found = entry(IMAGE | label | mask)

    assert (found.label, found.notes) == (Label.NORMAL, NO_NOTES)
    assert found.mask is not None


def test_class_name_and_type_alone_are_a_label_and_a_map_and_type_alone_a_mask() -> None:
    """As the samples that AWS published with the service write them."""
    fields = {
        "source-ref": url("a.png"),
        "auto-label": 11,
        "auto-label-metadata": {
            "class-name": "anomaly",
            "type": "groundtruth/image-classification",
        },
        "mask-ref": url("m.png"),
        "mask-ref-metadata": {
            "internal-color-map": {"1": {"class-name": "dent", "hex-color": "#23A436"}},
            "type": "groundtruth/semantic-segmentation",
        },
    }

    found = entry(fields)

    assert found.label is Label.ANOMALY
    assert found.anomaly_types == {"dent"}
    assert found.created_at is None


@pytest.mark.parametrize("value", ["yes", "Yes", "true", "TRUE", True, 1, "1", " yes", None])
def test_a_person_gave_a_label_unless_the_line_says_otherwise(value: object) -> None:
    label, mask = dict(LABEL), dict(MASK)
    label["anomaly-label-metadata"] = LABEL["anomaly-label-metadata"] | {"human-annotated": value}
    mask["anomaly-mask-ref-metadata"] = MASK["anomaly-mask-ref-metadata"] | {
        "human-annotated": value
    }

    found = entry(IMAGE | label | mask)

    assert found.label is Label.NORMAL
    assert found.mask is not None
    assert found.notes == NO_NOTES


@pytest.mark.parametrize("value", ["no", "No", "false", False, 0, "0"])
def test_what_no_person_annotated_is_no_label_and_no_mask(value: object) -> None:
    fields = changed(
        changed(IMAGE | LABEL | MASK, "anomaly-label-metadata", human_annotated=value),
        "anomaly-mask-ref-metadata",
        human_annotated=value,
    )

    found = entry(fields)

    assert (found.label, found.mask) == (None, None)
    assert found.unusable_mask == "human-annotated"
    assert found.notes == LineNotes(machine_fields=2)


FAILED = {"failure-reason": "ClientError: no worker answered in time", "retry-count": 1}


@pytest.mark.parametrize("has_value", [True, False])
@pytest.mark.parametrize("kind", [None, "groundtruth/image-classification"])
def test_a_field_that_ground_truth_could_not_label_is_no_label(
    kind: str | None, has_value: bool
) -> None:
    metadata = FAILED | ({"type": kind, "human-annotated": "yes"} if kind else {})
    value = {"quality": 0} if has_value else {}

    found = entry(IMAGE | value | {"quality-metadata": metadata})

    assert (found.label, found.mask) == (None, None)
    assert found.notes == LineNotes(failed_fields=1)


@pytest.mark.parametrize("has_value", [True, False])
def test_a_mask_that_could_not_be_drawn_leaves_the_label(has_value: bool) -> None:
    value = {"mask-ref": None} if has_value else {}

    found = entry(IMAGE | LABEL | value | {"mask-ref-metadata": FAILED})

    assert (found.label, found.mask) == (Label.NORMAL, None)
    assert found.unusable_mask == "failure-reason"
    assert found.notes == LineNotes(failed_fields=1)


@pytest.mark.parametrize("reason", [None, ""])
def test_an_empty_failure_reason_is_none(reason: str | None) -> None:
    fields = IMAGE | {
        name: value | {"failure-reason": reason} if isinstance(value, dict) else value
        for name, value in LABEL.items()
    }

    assert entry(fields).label is Label.NORMAL


def test_a_verification_is_no_label_and_is_noted() -> None:
    fields = label_fields("incorrect", attribute="verify-parts")
    kind = "groundtruth/label-verification"
    verification = changed(fields, "verify-parts-metadata", type=kind)

    found = entry(IMAGE | LABEL | verification)

    assert found.label is Label.NORMAL
    assert found.notes == LineNotes(unused_types=(kind,))


def test_a_mask_without_a_label_is_noted() -> None:
    found = entry(IMAGE | MASK)

    assert found.mask is not None
    assert found.notes == LineNotes(unlabelled_mask=True)


def test_an_adjusted_mask_replaces_the_first_one_that_may_be_broken() -> None:
    first = mask_fields("nowhere", {"dent": "green"}, attribute="paint-ref")
    adjusted = mask_fields(url("m.png"), {"dent": "#23A436"}, attribute="adjust-ref")
    adjusted["adjust-ref-metadata"]["adjustment-status"] = "adjusted"

    found = entry(IMAGE | label_fields("anomaly") | adjusted | first)

    assert found.mask is not None
    assert found.mask.ref == ObjectRef(bucket="images", key="m.png")
    assert found.notes == LineNotes(replaced_fields=1)


def test_a_later_class_that_is_no_label_leaves_the_first_label() -> None:
    later = label_fields("unclear", attribute="second", date="2025-01-01")

    found = entry(IMAGE | label_fields("anomaly") | later)

    assert found.label is Label.ANOMALY
    assert found.notes == LineNotes(unknown_classes=("unclear",))


UNUSABLE: list[dict[str, Any]] = [
    {"human_annotated": "no"},
    {"failure_reason": "ClientError"},
    {"failure_reason": "ClientError", "type": None},
    {"class_name": "good"},
]


@pytest.mark.parametrize("members", UNUSABLE)
@pytest.mark.parametrize("order", list(permutations("oac")))
def test_an_adjusted_field_does_not_replace_a_later_job_if_its_original_cannot_count(
    members: dict[str, Any], order: tuple[str, ...]
) -> None:
    original = label_fields("normal", attribute="o", date="2024-01-01")
    adjusted = label_fields("normal", attribute="a", date="2024-02-01")
    fields = {
        "o": changed(original, "o-metadata", **members),
        "a": changed(adjusted, "a-metadata", adjustment_status="adjusted"),
        "c": label_fields("anomaly", attribute="c", date="2024-03-01"),
    }
    line = dict(IMAGE)
    for name in order:
        line |= fields[name]

    assert entry(line).label is Label.ANOMALY


def test_an_adjusted_mask_does_not_replace_a_later_job_if_its_original_failed() -> None:
    line: dict[str, Any] = IMAGE | label_fields("anomaly")
    members: dict[str, dict[str, Any]] = {
        "o-ref": {"creation_date": "2024-01-01", "failure_reason": "ClientError"},
        "a-ref": {"creation_date": "2024-02-01", "adjustment_status": "adjusted"},
        "c-ref": {"creation_date": "2024-03-01"},
    }
    for name, values in members.items():
        mask = mask_fields(url(f"{name}.png"), {"dent": "#23A436"}, attribute=name)
        line |= changed(mask, f"{name}-metadata", **values)

    mask_of_line = entry(line).mask

    assert mask_of_line is not None
    assert mask_of_line.ref.key == "c-ref.png"


def contradicting_lines() -> list[str]:
    """Lines in which dates and positions go round in a circle; each field is newer than another."""
    dates = ("2024-01-03", "someday", "2024-01-01")
    labels: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    for number, date in enumerate(dates):
        labels |= label_fields("normal", attribute=f"label-{number}", date=date)
        mask = mask_fields(url("m.png"), {"dent": "#23A436"}, attribute=f"mask-{number}-ref")
        mask[f"mask-{number}-ref-metadata"]["creation-date"] = date
        masks |= mask
    return [json.dumps(IMAGE | labels), json.dumps(IMAGE | LABEL | masks)]


def test_fields_of_which_nothing_says_which_one_counts_are_a_problem_that_names_both() -> None:
    found: list[LineProblem] = []

    assert list(parse_manifest(contradicting_lines(), found)) == []

    assert [str(problem) for problem in found] == [
        "line 1: nothing says whether 'label-2' or 'label-0' counts. "
        "Remove one of them, or give both a 'creation-date'",
        "line 2: nothing says whether 'mask-2-ref' or 'mask-0-ref' counts. "
        "Remove one of them, or give both a 'creation-date'",
    ]


def test_a_stored_line_of_which_nothing_says_what_counts_still_opens() -> None:
    labels, masks = map(parse_line, contradicting_lines())

    assert (labels.label, labels.notes.undecided_fields) == (None, ("label-2", "label-0"))
    assert (masks.label, masks.mask) == (Label.NORMAL, None)


FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["normal", "anomaly", "good"]),
        st.sampled_from(["2024-01-01", "2024-02-01T00:00:00Z", "2024-03-01", "2024-04-01"]),
        st.sampled_from(["yes", "no", None]),
        st.sampled_from([None, "failed"]),
    ),
    max_size=6,
)


@given(FIELDS, st.randoms(use_true_random=False))
def test_the_newest_label_that_a_person_gave_counts_in_any_order(
    values: list[tuple[str, str, str | None, str | None]], random: Random
) -> None:
    annotations = []
    for number, (class_name, date, human, failure) in enumerate(values):
        name = f"label-{number}"
        fields = label_fields(class_name, attribute=name, date=date)
        members = {"human_annotated": human, "failure_reason": failure}
        annotations.append(changed(fields, f"{name}-metadata", **members))
    random.shuffle(annotations)
    line: dict[str, Any] = dict(IMAGE)
    for fields in annotations:
        line |= fields

    found = entry(line)

    order = [int(name.split("-")[1]) for name in line if name.endswith("-metadata")]
    counting = [
        (values[number][1], position, values[number][0])
        for position, number in enumerate(order)
        if values[number][2] != "no" and values[number][3] is None
    ]
    labels = [value for value in counting if value[2] != "good"]
    assert found.label == (max(labels)[2] if labels else None)
    assert found.notes.replaced_fields == max(0, len(labels) - 1)
    assert found.notes.unknown_classes == (("good",) if len(counting) > len(labels) else ())
    assert found.notes.failed_fields == sum(value[3] is not None for value in values)


def test_a_line_with_an_image_alone_is_unlabelled() -> None:
    found = entry(IMAGE)

    assert (found.label, found.mask, found.created_at) == (None, None, None)


def test_a_chained_ground_truth_job_gives_label_and_mask() -> None:
    """A classification job, and a segmentation job over its output, as Ground Truth writes them."""
    fields = {
        "source-ref": "s3://images/line-4/0017.jpg",
        "classify-parts": 1,
        "classify-parts-metadata": {
            "confidence": 0.94,
            "job-name": "labeling-job/classify-parts",
            "class-name": "anomaly",
            "human-annotated": "yes",
            "creation-date": "2021-10-12T17:36:30.234567",
            "type": "groundtruth/image-classification",
        },
        "paint-parts-ref": "s3://images/annotations/0.png",
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


@pytest.mark.parametrize(("date", "unreadable"), [("2024/05/01", 0), ("someday", 1), ("", 0)])
def test_a_date_that_cannot_be_read_counts_as_none_and_is_noted(date: str, unreadable: int) -> None:
    found = entry(IMAGE | label_fields("normal", date=date))

    assert (found.created_at is not None) == (date == "2024/05/01")
    assert found.notes == LineNotes(unreadable_dates=unreadable)


@pytest.mark.parametrize("attribute", ["anomaly-mask-ref", "object-ref", "-ref", "a b-ref"])
def test_a_mask_may_have_any_name_that_ends_in_ref(attribute: str) -> None:
    fields = IMAGE | LABEL | mask_fields(url("m.png"), {"dent": "#a1B2c3"}, attribute=attribute)

    found = entry(fields).mask

    assert found is not None
    assert found.ref == ObjectRef(bucket="images", key="m.png")
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


def test_a_mask_may_show_twenty_types_and_a_background() -> None:
    colors = {"background": "#FFFFFF"} | {f"type {i}": f"#0000{i:02X}" for i in range(20)}

    found = entry(IMAGE | mask_fields(url("m.png"), colors)).mask

    assert found is not None
    assert len(found.anomaly_types) == 20


def test_the_types_of_a_mask_are_those_of_both_profiles() -> None:
    allowed = {limits.max_anomaly_types_per_mask for limits in PROFILES.values()}

    assert allowed == {MAX_TYPES_PER_MASK}


@given(
    bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True),
    key=st.text(
        st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=1_024 // 4
    ),
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
