from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

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
from blemish.domain.limits import MIB, OURS, Limits
from tests.unit.house import LEASE, House
from tests.unit.manifests import json_line, label_fields, masked_line, url
from tests.unit.storage.samples import entry

TRAIN = DatasetType.TRAIN
S = DatasetStatus


@pytest.fixture(autouse=True)
def project(house: House) -> None:
    """Every dataset belongs to one."""
    house.project()


def update(house: House, *lines: str) -> Dataset:
    house.datasets.update("circuits", TRAIN, changes="\n".join(lines).encode())
    return house.settle()


def not_updated(house: House, *lines: str) -> str:
    """Change a dataset by lines that must fail; return the reason."""
    before = house.entry_lines()
    dataset = update(house, *lines)
    assert dataset.status is S.UPDATE_FAILED_ROLLBACK_COMPLETE
    assert house.entry_lines() == before
    assert house.stored_names() == set()
    reason = dataset.status_message.removeprefix("The dataset was not updated: ")
    assert reason != dataset.status_message
    return reason


def test_changes_add_images_and_replace_whole_lines(house: House) -> None:
    house.put("mask.png")
    old = [*house.lines(Label.NORMAL, 2), masked_line("anomaly-0.png", "dent")]
    house.put("anomaly-0.png")
    house.dataset(old)
    house.put("new.png")
    changes = [json_line("new.png"), json_line("anomaly-0.png", "anomaly")]

    dataset = update(house, *changes)

    assert dataset.status is S.UPDATE_COMPLETE
    assert dataset.status_message == "The dataset was updated successfully."
    assert dataset.updated_at == house.clock.time
    assert dataset.changes is None
    assert house.entry_lines() == [*old[:2], changes[1], changes[0]]
    assert house.stats() == ImageStats(total=4, labeled=3, normal=2, anomaly=1)
    assert house.stored_names() == set()


def remove(house: House, *keys: str) -> Dataset:
    house.datasets.remove("circuits", TRAIN, source_refs=[url(key) for key in keys])
    return house.settle()


def test_entries_are_removed(house: House) -> None:
    lines = house.lines(Label.NORMAL, 3)
    house.dataset(lines)
    asked = "normal-2.png", "normal-0.png", "normal-2.png"

    status = house.datasets.remove("circuits", TRAIN, source_refs=[url(key) for key in asked])

    assert status is S.UPDATE_IN_PROGRESS
    assert house.entry_lines() == lines
    dataset = house.settle()
    assert (dataset.status, dataset.changes) == (S.UPDATE_COMPLETE, None)
    assert dataset.status_message == "The dataset was updated successfully."
    assert house.entry_lines() == lines[1:2]
    assert house.stored_names() == set()
    assert (house.directory.buckets / "images" / "normal-0.png").exists()


def test_with_a_image_that_has_no_entry_nothing_is_removed(house: House) -> None:
    lines = house.lines(Label.NORMAL, 3)
    house.dataset(lines)
    unknown = [f"normal-{number}.png" for number in range(3, 10)]

    dataset = remove(house, "normal-0.png", *unknown)

    assert dataset.status is S.UPDATE_FAILED_ROLLBACK_COMPLETE
    named = [f"it has no entry of {url(key)}; " for key in unknown[:5]]
    assert dataset.status_message == (
        f"The dataset was not updated: {''.join(named)}and 2 more problems."
    )
    assert house.entry_lines() == lines
    assert house.stored_names() == set()


def test_a_dataset_that_was_emptied_takes_images_of_another_bucket(house: House) -> None:
    house.dataset(house.lines(Label.NORMAL, 2))
    house.put("new.png", bucket="others")
    change = json_line("x").replace(url("x"), url("new.png", bucket="others"))
    remove(house, "normal-0.png")
    assert "is not in the bucket images" in not_updated(house, change)

    emptied = remove(house, "normal-1.png")

    assert (emptied.image_bucket, house.stats().total) == (None, 0)
    assert update(house, change).image_bucket == "others"


def test_a_stale_attempt_removes_nothing(house: House) -> None:
    lines = house.lines(Label.NORMAL, 2)
    house.dataset(lines)
    house.datasets.remove("circuits", TRAIN, source_refs=[url("normal-0.png")])
    dataset, stale = house.claim_dataset()
    house.clock.advance(LEASE.total_seconds())
    house.claim_dataset()

    house.dataset_work.carry_out(dataset, attempt=stale)

    assert house.entry_lines() == lines
    assert len(house.stored_names()) == 1


def test_an_empty_dataset_is_filled_by_changes(house: House) -> None:
    house.datasets.create("circuits", TRAIN, manifest=None)
    house.put("a.png")

    dataset = update(house, json_line("a.png", "normal"))

    assert dataset.image_bucket == "images"
    assert house.stats().normal == 1


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["{"], "line 1: it is not JSON"),
        ([json_line("missing.png")], "line 1: s3://images/missing.png does not exist."),
        (
            [json_line("normal-0.png"), json.dumps({"source-ref": "s3://others/a.png"})],
            "line 2: s3://others/a.png is not in the bucket images of the dataset.",
        ),
        (
            [json.dumps({"source-ref": "s3://others/a.png"})],
            "line 1: s3://others/a.png is not in the bucket images of the dataset.",
        ),
    ],
)
def test_changes_that_fail_leave_everything_as_it_was(
    house: House, lines: list[str], reason: str
) -> None:
    house.put("a.png", bucket="others")
    house.images(normal=2)

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
            [masked_line("c.png", "crack")],
            "the project would have 2 anomaly types; at most 1 are allowed.",
        ),
    ],
)
def test_changes_are_counted_with_what_is_there_already(
    house: House, limits: Limits, changes: list[str], reason: str
) -> None:
    for key in ("a.png", "b.png", "c.png", "mask.png"):
        house.put(key)
    house.dataset([json_line("a.png", "normal"), masked_line("b.png", "dent")])
    house.apply(limits)

    assert not_updated(house, *changes) == reason


def test_changes_may_take_the_place_of_what_would_be_too_much(house: House) -> None:
    for key in ("a.png", "b.png", "mask.png"):
        house.put(key)
    house.dataset([json_line("a.png", "normal"), masked_line("b.png", "dent")])
    house.apply(replace(OURS, max_anomaly_types=1, max_training_images=2))

    assert update(house, masked_line("b.png", "crack")).status is S.UPDATE_COMPLETE


def test_after_changes_that_failed_others_may_succeed(house: House) -> None:
    house.images(normal=2)
    not_updated(house, "{")

    assert update(house, house.lines(None, 1)[0]).status is S.UPDATE_COMPLETE


def test_a_deleted_dataset_is_gone_but_its_images_are_not(house: House) -> None:
    house.images(normal=2)

    house.datasets.delete("circuits", TRAIN)
    house.settle()

    with pytest.raises(ResourceNotFoundError):
        house.datasets.describe("circuits", TRAIN)
    with house.database.reading() as rows:
        assert list(rows.entries.lines(1)) == []
    assert house.objects.read(ObjectRef(bucket="images", key="train/normal-1.png"), max_bytes=MIB)
    assert house.objects.read(ObjectRef(bucket="images", key="the.manifest"), max_bytes=MIB)


def begin_creating(house: House) -> None:
    house.datasets.create("circuits", TRAIN, manifest=house.put_manifest(house.lines(None, 1)))


def begin_updating(house: House) -> None:
    house.images(normal=1)
    house.datasets.update("circuits", TRAIN, changes=house.lines(None, 1)[0].encode())


def begin_deleting(house: House) -> None:
    house.images(normal=1)
    house.datasets.delete("circuits", TRAIN)


@pytest.mark.parametrize("begin", [begin_creating, begin_updating, begin_deleting])
def test_a_stale_attempt_changes_nothing(house: House, begin: Callable[[House], None]) -> None:
    begin(house)
    dataset, stale = house.claim_dataset()
    house.clock.advance(LEASE.total_seconds())
    _, attempt = house.claim_dataset()
    before = house.datasets.describe("circuits", TRAIN), house.stored_names()

    house.dataset_work.carry_out(dataset, attempt=stale)
    house.dataset_work.give_up(dataset, attempt=stale, reason="it is late")

    assert (house.datasets.describe("circuits", TRAIN), house.stored_names()) == before
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
    before = house.entry_lines()

    house.dataset_work.give_up(dataset, attempt=attempt, reason="the disk is gone.")

    found, _ = house.datasets.describe("circuits", TRAIN)
    assert found.status is status
    assert found.status_message == "The dataset is unchanged: the disk is gone."
    assert house.entry_lines() == before
    assert house.stored_names() == set()


def test_a_label_may_be_taken_away(house: House) -> None:
    house.images(normal=2)

    update(house, json_line("train/normal-0.png", **label_fields("unclear")))

    assert house.stats() == ImageStats(total=2, labeled=1, normal=1, anomaly=0)


def statuses(house: House, work: Callable[[], object]) -> list[DatasetStatus]:
    """Return every status that is written while something works."""
    with closing(sqlite3.connect(house.directory.database)) as connection:
        connection.execute("CREATE TABLE seen (status TEXT)")
        connection.execute(
            "CREATE TRIGGER see AFTER UPDATE OF status ON datasets "
            "BEGIN INSERT INTO seen VALUES (new.status); END"
        )
        work()
        return [DatasetStatus(row[0]) for row in connection.execute("SELECT status FROM seen")]


@pytest.mark.sqlite
def test_changes_that_fail_are_rolled_back_on_the_way(house: House) -> None:
    house.images(normal=2)

    seen = statuses(house, lambda: not_updated(house, "{"))

    assert seen == [
        S.UPDATE_IN_PROGRESS,
        S.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
        S.UPDATE_FAILED_ROLLBACK_COMPLETE,
    ]


def test_a_rollback_that_was_cut_off_goes_on_and_tells_the_same(house: House) -> None:
    house.images(normal=2)
    house.datasets.update("circuits", TRAIN, changes=b"{")
    dataset, attempt = house.claim_dataset()
    with house.database.writing() as rows:
        assert rows.datasets.turn(
            dataset.id,
            attempt=attempt,
            target=S.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
            status_message="The dataset was not updated: line 1 is bad.",
            now=house.clock(),
        )
        rows.work.free_all()

    found = house.settle()

    assert found.status is S.UPDATE_FAILED_ROLLBACK_COMPLETE
    assert found.status_message == "The dataset was not updated: line 1 is bad."
    assert house.stats().normal == 2
    assert house.stored_names() == set()


def test_a_deletion_without_room_has_failed_and_can_be_repeated(
    small_disk: Path, empty_database: Path
) -> None:
    root = small_disk / "data"
    root.mkdir()
    shutil.copy(empty_database, root / "blemish.db")
    house = House(root)
    house.project()
    house.datasets.create("circuits", TRAIN, manifest=None)
    with house.database.writing() as rows:
        rows.entries.put(1, (entry(f"{i}.png") for i in range(500)), now=house.clock())
    house.database.close()  # what was written lies in the database, and makes no room beside it
    house.datasets.delete("circuits", TRAIN)
    dataset, attempt = house.claim_dataset()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 16_384))

    house.dataset_work.carry_out(dataset, attempt=attempt)

    found, stats = house.datasets.describe("circuits", TRAIN)
    assert (found.status, stats.total) == (S.DELETE_FAILED, 500)
    assert found.status_message == (
        "The dataset is unchanged: the server has no room on its disk, or may not write there. "
        "Make room and try again."
    )
    filler.unlink()
    house.datasets.delete("circuits", TRAIN)
    house.settle()
    with pytest.raises(ResourceNotFoundError):
        house.datasets.describe("circuits", TRAIN)
    house.database.close()


def test_after_a_change_the_message_counts_the_whole_dataset(house: House) -> None:
    house.put("a.png")
    house.put("b.png")
    house.dataset([json_line(key, **label_fields("good")) for key in ("a.png", "b.png")])

    first = update(house, json_line("a.png", "normal"))
    last = remove(house, "b.png")

    assert first.status_message == (
        "The dataset was updated successfully. 1 line has a class that is neither normal nor "
        'anomaly, which is no label: "good" (1).'
    )
    assert last.status_message == "The dataset was updated successfully."
