from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import pytest

from blemish.domain.entities import (
    DatasetStatus,
    DatasetType,
    ImageStats,
    Label,
    ObjectRef,
)
from blemish.domain.limits import OURS, Limits
from blemish.service.datasets.importing import DatasetWork
from blemish.service.datasets.line_checks import COUNTED_PROBLEMS
from blemish.service.objects import Objects
from blemish.storage.errors import StoreUnavailableError
from tests.unit.house import PROJECT, House
from tests.unit.manifests import json_line, label_fields, mask_fields, masked_line, url

TRAIN, TEST = DatasetType.TRAIN, DatasetType.TEST
S = DatasetStatus


@pytest.fixture(autouse=True)
def project(house: House) -> None:
    """Every dataset belongs to one."""
    house.project()


def not_created(house: House, lines: list[str], **limits: int) -> str:
    """Make a dataset that must fail under these limits; return the reason."""
    house.apply(replace(OURS, **limits))
    dataset = house.dataset(lines)
    assert dataset.status is S.CREATE_FAILED
    assert house.stats() == ImageStats(total=0, labeled=0, normal=0, anomaly=0)
    reason = dataset.status_message.removeprefix("The dataset was not created: ")
    assert reason != dataset.status_message
    return reason


class Away:
    """The objects of a house, whose store does not answer when images are looked for."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def existing(self, refs: Iterable[ObjectRef]) -> set[ObjectRef]:
        raise StoreUnavailableError(f"{len(list(refs))} objects cannot be looked for.")


def test_an_import_whose_store_is_away_is_left_to_a_later_attempt(house: House) -> None:
    house.put("n.png")
    house.datasets.create(PROJECT, TRAIN, manifest=house.put_manifest([json_line("n.png")]))
    away = DatasetWork(
        house.database,
        objects=cast(Objects, Away(house.objects)),
        stored_files=house.stored_files,
        limits=house.limits,
        rights=house.services.access.rights,
        now=house.clock,
    )
    dataset, attempt = house.claim_dataset()

    with pytest.raises(StoreUnavailableError):
        away.carry_out(dataset, attempt=attempt)

    with house.database.writing() as rows:
        rows.work.free_all()
    assert house.settle().status is S.CREATE_COMPLETE


def test_a_manifest_becomes_a_dataset(house: House) -> None:
    for key in ("n.png", "a.png", "u.png", "a-mask.png"):
        house.put(key)
    lines = [
        json_line("n.png", "normal"),
        masked_line("a.png", "dent", mask="a-mask.png"),
        json_line("u.png"),
    ]

    dataset = house.dataset(lines)

    assert dataset.status is S.CREATE_COMPLETE
    assert dataset.status_message == "The dataset was created successfully."
    assert dataset.updated_at == house.clock.time
    assert dataset.image_bucket == "images"
    assert house.entry_lines() == lines
    assert house.stats() == ImageStats(total=3, labeled=2, normal=1, anomaly=1)


def test_a_manifest_may_lie_in_another_bucket_than_its_images(house: House) -> None:
    house.put("a.png")
    house.put("the.manifest", json_line("a.png").encode(), bucket="manifests")
    manifest = ObjectRef(bucket="manifests", key="the.manifest")
    house.datasets.create("circuits", TRAIN, manifest=manifest)

    assert house.settle().status is S.CREATE_COMPLETE


def test_a_version_of_the_manifest_that_there_is_not_is_named(house: House) -> None:
    manifest = house.put_manifest(house.lines(Label.NORMAL, 1))
    made = house.datasets.create("circuits", TRAIN, manifest=manifest, manifest_version="abc")

    dataset = house.settle()

    assert made.manifest_version == dataset.manifest_version == "abc"
    assert dataset.status is S.CREATE_FAILED
    assert dataset.status_message == (
        "The dataset was not created: There is no version 'abc' of s3://images/the.manifest: "
        "an object in a folder has one version, 'null'."
    )


@pytest.mark.parametrize(
    "manifest",
    [
        ObjectRef(bucket="images", key="no.manifest"),
        ObjectRef(bucket="elsewhere", key="the.manifest"),
        ObjectRef(bucket="images", key="../the.manifest"),
    ],
)
def test_a_manifest_that_is_not_there_is_named(house: House, manifest: ObjectRef) -> None:
    house.datasets.create("circuits", TRAIN, manifest=manifest)

    dataset = house.settle()

    assert dataset.status is S.CREATE_FAILED
    assert manifest.bucket in dataset.status_message
    assert dataset.status_message.startswith("The dataset was not created: ")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "the manifest has no line of an image."),
        (["", "  "], "the manifest has no line of an image."),
        (
            [json_line("a.png"), '{"source-ref":'],
            "line 2: it is not JSON (Expecting value at character 15).",
        ),
        ([json_line("a.png"), "", "{}"], "line 3: 'source-ref' is missing."),
        (
            [json.dumps({"source-ref": url("a.png"), "anomaly-label": 1})],
            "line 1: 'anomaly-label-metadata' is missing.",
        ),
        (
            [json_line("a.png"), json.dumps({"source-ref": "s3://others/b.png"})],
            "line 2: s3://others/b.png is not in the bucket images of the dataset.",
        ),
        (
            [json_line("a.png", **mask_fields("s3://others/m.png", {"dent": "#000001"}))],
            "line 1: s3://others/m.png is not in the bucket images of the dataset.",
        ),
        (
            [json_line("a.png"), json_line("missing.png", "normal")],
            "line 2: s3://images/missing.png does not exist.",
        ),
        ([json_line("folder")], "line 1: s3://images/folder does not exist."),
        ([json_line("folder/../a.png")], "line 1: s3://images/folder/../a.png does not exist."),
        (
            [masked_line("a.png", "dent", mask="folder/m.png")],
            "line 1: s3://images/folder/m.png does not exist.",
        ),
        (
            [json_line("one.png"), "{", masked_line("a.png", "dent", mask="two.png"), "[]"],
            "line 2: it is not JSON (Expecting property name enclosed in double quotes at "
            "character 2); line 4: it must be a JSON object, not a list.",
        ),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(house: House, lines: list[str], reason: str) -> None:
    house.put("a.png")
    house.put("folder/a.png")

    assert not_created(house, lines) == reason


def test_a_manifest_that_is_no_text_is_refused(house: House) -> None:
    house.put("the.manifest", b'{"source-ref": "s3://images/\xff.png"}')
    manifest = ObjectRef(bucket="images", key="the.manifest")
    house.datasets.create("circuits", TRAIN, manifest=manifest)

    dataset = house.settle()

    assert dataset.status is S.CREATE_FAILED
    assert "s3://images/the.manifest" in dataset.status_message


@pytest.mark.parametrize(
    ("count", "end"),
    [(5, "5.png does not exist."), (6, "; and 1 more problem."), (9, "; and 4 more problems.")],
)
def test_five_problems_are_shown_and_the_others_counted(house: House, count: int, end: str) -> None:
    reason = not_created(house, [json_line(f"{i}.png") for i in range(1, count + 1)])

    assert reason.count("does not exist") == 5
    assert reason.startswith("line 1: s3://images/1.png does not exist; line 2: ")
    assert reason.endswith(end)


def test_problems_are_told_in_the_order_of_the_lines(house: House) -> None:
    house.put("a.png")
    lines = [json_line("a.png"), json.dumps({"source-ref": "s3://others/b.png"}), "{}"]

    reason = not_created(house, lines)

    assert reason.index("line 2") < reason.index("line 3")


def test_a_file_that_is_no_manifest_is_not_read_to_its_end(house: House) -> None:
    reason = not_created(house, ["date;part;verdict"] * (COUNTED_PROBLEMS + 100))

    assert reason.endswith(f"; and {COUNTED_PROBLEMS - 5} more problems.")


def test_a_manifest_has_a_size_limit(house: House) -> None:
    house.put("a.png")
    line = json_line("a.png")

    assert "s3://images/the.manifest" in not_created(
        house, [line], max_manifest_bytes=len(line) - 1
    )


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        (TRAIN, replace(OURS, max_training_images=3, max_test_images=2)),
        (TEST, replace(OURS, max_training_images=2, max_test_images=3)),
    ],
)
def test_a_dataset_has_at_most_so_many_images(
    house: House, kind: DatasetType, limits: Limits
) -> None:
    house.apply(limits)
    lines = house.lines(Label.NORMAL, 4)
    assert house.dataset(lines[:3], kind=kind).status is S.CREATE_COMPLETE
    house.datasets.delete("circuits", kind)
    house.settle(kind=kind)

    dataset = house.dataset(lines, kind=kind)

    assert dataset.status is S.CREATE_FAILED
    assert dataset.status_message == (
        "The dataset was not created: it would have more than 3 images, the most allowed."
    )


def test_a_image_that_comes_twice_counts_once_and_the_last_line_holds(house: House) -> None:
    house.apply(replace(OURS, max_training_images=2))
    house.put("a.png")
    house.put("b.png")
    lines = [json_line(key, label) for label in ("normal", "anomaly") for key in ("a.png", "b.png")]

    dataset = house.dataset(lines)

    assert dataset.status is S.CREATE_COMPLETE
    assert house.entry_lines() == lines[2:]
    assert dataset.status_message == (
        "The dataset was created successfully. 2 images have lines that contradict each other, "
        "normal and anomaly, such as a.png: the last line counts."
    )


@pytest.mark.parametrize("labels", [("normal", "normal"), (None, "normal"), ("anomaly", None)])
def test_lines_of_one_image_that_do_not_contradict_are_not_counted(
    house: House, labels: tuple[str | None, str | None]
) -> None:
    house.put("a.png")

    dataset = house.dataset([json_line("a.png", label) for label in labels])

    assert dataset.status_message == "The dataset was created successfully."


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        (TRAIN, replace(OURS, max_masked_training_images=2, max_masked_test_images=1)),
        (TEST, replace(OURS, max_masked_training_images=1, max_masked_test_images=2)),
    ],
)
def test_a_dataset_with_masks_has_at_most_so_many_images(
    house: House, kind: DatasetType, limits: Limits
) -> None:
    house.apply(limits)
    house.put("mask.png")
    lines = [*house.lines(Label.NORMAL, 2), masked_line("normal-0.png", "dent")]
    assert house.dataset(lines, kind=kind).status is S.CREATE_COMPLETE
    house.datasets.delete("circuits", kind)
    house.settle(kind=kind)

    dataset = house.dataset([*lines, *house.lines(Label.NORMAL, 3)[2:]], kind=kind)

    assert dataset.status_message == (
        "The dataset was not created: it would have masks and 3 images; "
        "with masks at most 2 are allowed."
    )


def test_a_dataset_has_at_most_so_many_anomaly_types(house: House) -> None:
    for key in ("a.png", "b.png", "mask.png"):
        house.put(key)
    lines = [
        masked_line("a.png", "dent", "scratch", "background"),
        masked_line("b.png", "dent", "crack"),
    ]

    reason = not_created(house, lines, max_anomaly_types=2)

    assert reason == "the project would have 3 anomaly types; at most 2 are allowed."


@pytest.mark.parametrize(("kind", "other"), [(TRAIN, TEST), (TEST, TRAIN)])
def test_the_anomaly_types_of_both_datasets_of_a_project_count(
    house: House, kind: DatasetType, other: DatasetType
) -> None:
    house.apply(replace(OURS, max_anomaly_types=2))
    house.put("a.png")
    house.put("mask.png")
    house.dataset([masked_line("a.png", "dent", "scratch")], kind=other)

    known = house.dataset([masked_line("a.png", "scratch")], kind=kind)
    house.datasets.delete("circuits", kind)
    house.settle(kind=kind)
    new = house.dataset([masked_line("a.png", "crack")], kind=kind)

    assert known.status is S.CREATE_COMPLETE
    assert new.status_message == (
        "The dataset was not created: the project would have 3 anomaly types; "
        "at most 2 are allowed."
    )


def labelled(key: str, class_name: str, **members: object) -> str:
    fields = label_fields(class_name)
    fields["anomaly-label-metadata"] |= members
    return json_line(key, **fields)


def test_lines_that_say_what_is_not_used_are_counted(house: House) -> None:
    for key in ("mask.png", "first.png", *(f"{i}.png" for i in range(9))):
        house.put(key)
    first = mask_fields(url("first.png"), {"dent": "#000001"}, attribute="first-ref")
    lines = [
        json_line("0.png", "normal"),
        labelled("1.png", "good"),
        labelled("2.png", "good"),
        labelled("3.png", "defect"),
        labelled("4.png", "ANOMALY"),
        labelled("5.png", "normal", **{"human-annotated": "no"}),
        labelled("6.png", "normal", **{"failure-reason": "ClientError: timed out"}),
        json_line("7.png", "anomaly", **first, **mask_fields(url("mask.png"), {"dent": "#000001"})),
        json_line("8.png", **mask_fields(url("mask.png"), {"dent": "#000001"})),
    ]

    dataset = house.dataset(lines)

    assert dataset.status is S.CREATE_COMPLETE
    assert dataset.status_message == (
        "The dataset was created successfully. "
        "3 lines have a class that is neither normal nor anomaly, which is no label: "
        '"good" (2), "defect" (1). '
        "1 line has label or mask fields that a newer or adjusted field replaces. "
        "1 line has label or mask fields that no person annotated, which are not used. "
        "1 line has fields with a 'failure-reason', which count as unlabelled. "
        "1 line has a mask but no label, so the mask is not used."
    )
    assert house.stats() == ImageStats(total=9, labeled=3, normal=1, anomaly=2)


def test_a_line_of_which_nothing_says_what_counts_names_both_fields(house: House) -> None:
    house.put("a.png")
    dates = ("2024-01-03", "someday", "2024-01-01")
    labels: dict[str, Any] = {}
    for number, date in enumerate(dates):
        labels |= label_fields("normal", attribute=f"label-{number}", date=date)

    reason = not_created(house, [json_line("a.png", **labels)])

    assert reason.startswith("line 1: nothing says whether 'label-2' or 'label-0' counts.")


JUNK = ["._1.JPG", "line-4/.DS_Store", "line-4/Thumbs.db"]


def test_lines_of_file_managers_files_become_no_entry_and_are_counted(house: House) -> None:
    house.put("1.JPG")

    dataset = house.dataset([json_line(key) for key in [*JUNK, "1.JPG"]])

    assert dataset.status is S.CREATE_COMPLETE
    assert dataset.status_message == (
        "The dataset was created successfully. 3 lines name files of a file manager, "
        "such as ._1.JPG, and became no entry."
    )
    assert house.entry_lines() == [json_line("1.JPG")]


def test_a_manifest_of_file_managers_files_alone_has_no_image(house: House) -> None:
    reason = not_created(house, [json_line(key, "normal") for key in JUNK])

    assert reason == (
        "the manifest has no line of an image: 3 lines name files of a file manager, "
        "such as ._1.JPG, and became no entry."
    )


def test_types_of_a_dataset_that_is_being_deleted_do_not_count(house: House) -> None:
    house.apply(replace(OURS, max_anomaly_types=1))
    house.put("a.png")
    house.put("mask.png")
    house.dataset([masked_line("a.png", "dent")], kind=TEST)
    house.datasets.delete("circuits", TEST)

    dataset = house.dataset([masked_line("a.png", "crack")])

    assert dataset.status is S.CREATE_COMPLETE
