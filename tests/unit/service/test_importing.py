from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from blemish.domain.entities import (
    Dataset,
    DatasetStatus,
    DatasetType,
    ImageStats,
    Label,
    ObjectRef,
)
from blemish.domain.errors import ResourceNotFoundError
from blemish.domain.limits import OURS, Limits
from blemish.service.datasets import EntryFilter
from blemish.service.importing import COUNTED_PROBLEMS
from tests.unit.house import LEASE, House
from tests.unit.manifests import json_line, label_fields, mask_fields, url

TRAIN, TEST = DatasetType.TRAIN, DatasetType.TEST
S = DatasetStatus


@pytest.fixture(autouse=True)
def project(house: House) -> None:
    """Every dataset belongs to one."""
    house.project()


def masked(key: str, *types: str, mask: str = "mask.png") -> str:
    """Return the line of an anomaly whose mask may show these types."""
    colors = {name: f"#0000{i:02X}" for i, name in enumerate(types)}
    return json_line(key, "anomaly", **mask_fields(url(mask), colors))


def entries(house: House) -> list[str]:
    lines, _ = house.datasets.entries("circuits", TRAIN, wanted=EntryFilter(), token=None)
    return lines


def stats(house: House) -> ImageStats:
    return house.datasets.describe("circuits", TRAIN)[1]


def not_created(house: House, lines: list[str], **limits: int) -> str:
    """Make a dataset that must fail under these limits; return the reason."""
    house.apply(replace(OURS, **limits))
    dataset = house.dataset(lines)
    assert dataset.status is S.CREATE_FAILED
    assert stats(house) == ImageStats(total=0, labeled=0, normal=0, anomaly=0)
    reason = dataset.status_message.removeprefix("The dataset was not created: ")
    assert reason != dataset.status_message
    return reason


def update(house: House, *lines: str) -> Dataset:
    house.datasets.update("circuits", TRAIN, changes="\n".join(lines).encode())
    return house.settle()


def not_updated(house: House, *lines: str) -> str:
    """Change a dataset by lines that must fail; return the reason."""
    before = entries(house)
    dataset = update(house, *lines)
    assert dataset.status is S.UPDATE_FAILED_ROLLBACK_COMPLETE
    assert entries(house) == before
    assert house.kept_names() == set()
    reason = dataset.status_message.removeprefix("The dataset was not updated: ")
    assert reason != dataset.status_message
    return reason


def test_a_manifest_becomes_a_dataset(house: House) -> None:
    for key in ("n.png", "a.png", "u.png", "a-mask.png"):
        house.put(key)
    lines = [
        json_line("n.png", "normal"),
        masked("a.png", "dent", mask="a-mask.png"),
        json_line("u.png"),
    ]

    dataset = house.dataset(lines)

    assert dataset.status is S.CREATE_COMPLETE
    assert dataset.status_message == "The dataset was created successfully."
    assert dataset.updated_at == house.clock.time
    assert dataset.image_bucket == "pictures"
    assert entries(house) == lines
    assert stats(house) == ImageStats(total=3, labeled=2, normal=1, anomaly=1)


def test_a_manifest_may_lie_in_another_bucket_than_its_pictures(house: House) -> None:
    house.put("a.png")
    house.put("the.manifest", json_line("a.png").encode(), bucket="manifests")
    manifest = ObjectRef(bucket="manifests", key="the.manifest")
    house.datasets.create("circuits", TRAIN, manifest=manifest)

    assert house.settle().status is S.CREATE_COMPLETE


@pytest.mark.parametrize(
    "manifest",
    [
        ObjectRef(bucket="pictures", key="no.manifest"),
        ObjectRef(bucket="elsewhere", key="the.manifest"),
        ObjectRef(bucket="pictures", key="../the.manifest"),
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
        ([], "the manifest has no line."),
        (["", "  "], "the manifest has no line."),
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
            "line 2: s3://others/b.png is not in the bucket pictures of the dataset.",
        ),
        (
            [json_line("a.png", **mask_fields("s3://others/m.png", {"dent": "#000001"}))],
            "line 1: s3://others/m.png is not in the bucket pictures of the dataset.",
        ),
        (
            [json_line("a.png"), json_line("missing.png", "normal")],
            "line 2: s3://pictures/missing.png does not exist.",
        ),
        ([json_line("folder")], "line 1: s3://pictures/folder does not exist."),
        ([json_line("folder/../a.png")], "line 1: s3://pictures/folder/../a.png does not exist."),
        (
            [masked("a.png", "dent", mask="folder/m.png")],
            "line 1: s3://pictures/folder/m.png does not exist.",
        ),
        (
            [json_line("one.png"), "{", masked("a.png", "dent", mask="two.png"), "[]"],
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
    house.put("the.manifest", b'{"source-ref": "s3://pictures/\xff.png"}')
    manifest = ObjectRef(bucket="pictures", key="the.manifest")
    house.datasets.create("circuits", TRAIN, manifest=manifest)

    dataset = house.settle()

    assert dataset.status is S.CREATE_FAILED
    assert "s3://pictures/the.manifest" in dataset.status_message


@pytest.mark.parametrize(
    ("count", "end"),
    [(5, "5.png does not exist."), (6, "; and 1 more problem."), (9, "; and 4 more problems.")],
)
def test_five_problems_are_shown_and_the_others_counted(house: House, count: int, end: str) -> None:
    reason = not_created(house, [json_line(f"{i}.png") for i in range(1, count + 1)])

    assert reason.count("does not exist") == 5
    assert reason.startswith("line 1: s3://pictures/1.png does not exist; line 2: ")
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

    assert "s3://pictures/the.manifest" in not_created(
        house, [line], max_manifest_bytes=len(line) - 1
    )


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        (TRAIN, replace(OURS, max_training_images=3, max_test_images=2)),
        (TEST, replace(OURS, max_training_images=2, max_test_images=3)),
    ],
)
def test_a_dataset_has_at_most_so_many_pictures(
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


def test_a_picture_that_comes_twice_counts_once_and_the_last_line_holds(house: House) -> None:
    house.apply(replace(OURS, max_training_images=2))
    house.put("a.png")
    house.put("b.png")
    lines = [json_line(key, label) for label in ("normal", "anomaly") for key in ("a.png", "b.png")]

    dataset = house.dataset(lines)

    assert dataset.status is S.CREATE_COMPLETE
    assert entries(house) == lines[2:]


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        (TRAIN, replace(OURS, max_masked_training_images=2, max_masked_test_images=1)),
        (TEST, replace(OURS, max_masked_training_images=1, max_masked_test_images=2)),
    ],
)
def test_a_dataset_with_masks_has_at_most_so_many_pictures(
    house: House, kind: DatasetType, limits: Limits
) -> None:
    house.apply(limits)
    house.put("mask.png")
    lines = [*house.lines(Label.NORMAL, 2), masked("normal-0.png", "dent")]
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
    lines = [masked("a.png", "dent", "scratch", "background"), masked("b.png", "dent", "crack")]

    reason = not_created(house, lines, max_anomaly_types=2)

    assert reason == "it would have 3 anomaly types; at most 2 are allowed."


def test_changes_add_pictures_and_replace_whole_lines(house: House) -> None:
    house.put("mask.png")
    old = [*house.lines(Label.NORMAL, 2), masked("anomaly-0.png", "dent")]
    house.put("anomaly-0.png")
    house.dataset(old)
    house.put("new.png")
    changes = [json_line("new.png"), json_line("anomaly-0.png", "anomaly")]

    dataset = update(house, *changes)

    assert dataset.status is S.UPDATE_COMPLETE
    assert dataset.status_message == "The dataset was updated successfully."
    assert dataset.updated_at == house.clock.time
    assert dataset.changes is None
    assert entries(house) == [*old[:2], changes[1], changes[0]]
    assert stats(house) == ImageStats(total=4, labeled=3, normal=2, anomaly=1)
    assert house.kept_names() == set()


def test_an_empty_dataset_is_filled_by_changes(house: House) -> None:
    house.datasets.create("circuits", TRAIN, manifest=None)
    house.put("a.png")

    dataset = update(house, json_line("a.png", "normal"))

    assert dataset.image_bucket == "pictures"
    assert stats(house).normal == 1


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["{"], "line 1: it is not JSON"),
        ([json_line("missing.png")], "line 1: s3://pictures/missing.png does not exist."),
        (
            [json_line("normal-0.png"), json.dumps({"source-ref": "s3://others/a.png"})],
            "line 2: s3://others/a.png is not in the bucket pictures of the dataset.",
        ),
        (
            [json.dumps({"source-ref": "s3://others/a.png"})],
            "line 1: s3://others/a.png is not in the bucket pictures of the dataset.",
        ),
    ],
)
def test_changes_that_fail_leave_everything_as_it_was(
    house: House, lines: list[str], reason: str
) -> None:
    house.put("a.png", bucket="others")
    house.pictures(normal=2)

    assert not_updated(house, *lines).startswith(reason)


@pytest.mark.parametrize(
    ("limits", "changes", "reason"),
    [
        (
            replace(OURS, max_training_images=2),
            [json_line("c.png")],
            "it would have more than 2 images, the most allowed.",
        ),
        (
            replace(OURS, max_masked_training_images=2),
            [json_line("c.png")],
            "it would have masks and 3 images; with masks at most 2 are allowed.",
        ),
        (
            replace(OURS, max_anomaly_types=1),
            [masked("c.png", "crack")],
            "it would have 2 anomaly types; at most 1 are allowed.",
        ),
    ],
)
def test_changes_are_counted_with_what_is_there_already(
    house: House, limits: Limits, changes: list[str], reason: str
) -> None:
    for key in ("a.png", "b.png", "c.png", "mask.png"):
        house.put(key)
    house.dataset([json_line("a.png", "normal"), masked("b.png", "dent")])
    house.apply(limits)

    assert not_updated(house, *changes) == reason


def test_changes_may_take_the_place_of_what_would_be_too_much(house: House) -> None:
    for key in ("a.png", "b.png", "mask.png"):
        house.put(key)
    house.dataset([json_line("a.png", "normal"), masked("b.png", "dent")])
    house.apply(replace(OURS, max_anomaly_types=1, max_training_images=2))

    assert update(house, masked("b.png", "crack")).status is S.UPDATE_COMPLETE


def test_after_changes_that_failed_others_may_succeed(house: House) -> None:
    house.pictures(normal=2)
    not_updated(house, "{")

    assert update(house, house.lines(None, 1)[0]).status is S.UPDATE_COMPLETE


def test_a_deleted_dataset_is_gone_but_its_pictures_are_not(house: House) -> None:
    house.pictures(normal=2)

    house.datasets.delete("circuits", TRAIN)
    house.settle()

    with pytest.raises(ResourceNotFoundError):
        house.datasets.describe("circuits", TRAIN)
    with house.database.reading() as rows:
        assert list(rows.entries.lines(1)) == []
    assert house.objects.read(ObjectRef(bucket="pictures", key="train/normal-1.png"))
    assert house.objects.read(ObjectRef(bucket="pictures", key="the.manifest"))


def begin_creating(house: House) -> None:
    house.datasets.create("circuits", TRAIN, manifest=house.put_manifest(house.lines(None, 1)))


def begin_updating(house: House) -> None:
    house.pictures(normal=1)
    house.datasets.update("circuits", TRAIN, changes=house.lines(None, 1)[0].encode())


def begin_deleting(house: House) -> None:
    house.pictures(normal=1)
    house.datasets.delete("circuits", TRAIN)


@pytest.mark.parametrize("begin", [begin_creating, begin_updating, begin_deleting])
def test_a_stale_attempt_changes_nothing(house: House, begin: Callable[[House], None]) -> None:
    begin(house)
    dataset, stale = house.claim_dataset()
    house.clock.advance(LEASE.total_seconds())
    _, attempt = house.claim_dataset()
    before = house.datasets.describe("circuits", TRAIN), house.kept_names()

    house.dataset_work.carry_out(dataset, attempt=stale)
    house.dataset_work.give_up(dataset, attempt=stale, reason="it is late")

    assert (house.datasets.describe("circuits", TRAIN), house.kept_names()) == before
    house.dataset_work.carry_out(dataset, attempt=attempt)
    with house.database.reading() as rows:
        found = rows.datasets.find("circuits", TRAIN)
    assert found is None or found.status in {S.CREATE_COMPLETE, S.UPDATE_COMPLETE}


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (begin_creating, S.CREATE_FAILED),
        (begin_updating, S.UPDATE_FAILED_ROLLBACK_COMPLETE),
        (begin_deleting, S.DELETE_FAILED),
    ],
)
def test_work_that_is_given_up_ends_in_its_failure(
    house: House, begin: Callable[[House], None], status: DatasetStatus
) -> None:
    begin(house)
    dataset, attempt = house.claim_dataset()
    before = entries(house)

    house.dataset_work.give_up(dataset, attempt=attempt, reason="the disk is gone.")

    found, _ = house.datasets.describe("circuits", TRAIN)
    assert found.status is status
    assert found.status_message == "The dataset is unchanged: the disk is gone."
    assert entries(house) == before
    assert house.kept_names() == set()


def test_a_label_may_be_taken_away(house: House) -> None:
    house.pictures(normal=2)

    update(house, json_line("train/normal-0.png", **label_fields("unclear")))

    assert stats(house) == ImageStats(total=2, labeled=1, normal=1, anomaly=0)
