from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from blemish.domain.entities import (
    Dataset,
    DatasetStatus,
    DatasetType,
    ImageStats,
    ObjectRef,
)
from blemish.storage.database.database import Database
from tests.unit.storage.samples import LEASE, NOW, add_dataset, add_project, entry

S = DatasetStatus
LATER = NOW + timedelta(seconds=5)


def saved(database: Database, kind: DatasetType = DatasetType.TRAIN) -> Dataset | None:
    with database.reading() as rows:
        return rows.datasets.find("circuits", kind)


@pytest.fixture
def updating(database: Database) -> Dataset:
    """A dataset with changes to be applied, that nobody works on."""
    with database.writing() as rows:
        dataset = add_dataset(rows, add_project(rows))
        rows.datasets.move(
            dataset.id,
            sources={S.CREATE_COMPLETE},
            target=S.UPDATE_IN_PROGRESS,
            status_message="updating",
            now=NOW,
            changes="changes-1",
        )
    found = saved(database)
    assert found is not None
    return found


def claim(database: Database, dataset: Dataset, *, late: timedelta = timedelta()) -> int | None:
    with database.writing() as rows:
        now = NOW + late
        return rows.datasets.claim(dataset.id, owner="me", now=now, lease_until=now + LEASE)


def test_a_dataset_comes_back_as_it_was_added(database: Database) -> None:
    manifest = ObjectRef(bucket="images", key="a/b c#?.manifest")

    with database.writing() as rows:
        project = add_project(rows)
        added = rows.datasets.add(
            project.id,
            DatasetType.TEST,
            status=S.CREATE_IN_PROGRESS,
            status_message="creating",
            manifest=manifest,
            manifest_version="3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
            now=NOW,
        )

    assert added == Dataset(
        id=added.id,
        project="circuits",
        type=DatasetType.TEST,
        status=S.CREATE_IN_PROGRESS,
        status_message="creating",
        created_at=NOW,
        updated_at=NOW,
        manifest=manifest,
        manifest_version="3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
        image_bucket=None,
        changes=None,
        attempt=0,
    )
    assert saved(database, DatasetType.TEST) == added
    assert saved(database, DatasetType.TRAIN) is None


def test_the_datasets_of_a_project_come_train_before_test(database: Database) -> None:
    with database.writing() as rows:
        project, other = add_project(rows), add_project(rows, "other")
        test = add_dataset(rows, project, DatasetType.TEST)
        train = add_dataset(rows, project, DatasetType.TRAIN)
        add_dataset(rows, other)

        assert rows.datasets.of_project(project.id) == [train, test]


def test_unsettled_are_those_in_progress_the_oldest_first(database: Database) -> None:
    with database.writing() as rows:
        for i, status in enumerate(S):
            add_dataset(rows, add_project(rows, f"p{i}"), status=status)

        unsettled = rows.datasets.unsettled()

    assert [dataset.status for dataset in unsettled] == [
        S.CREATE_IN_PROGRESS,
        S.UPDATE_IN_PROGRESS,
        S.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
        S.DELETE_IN_PROGRESS,
    ]


def test_a_move_needs_one_of_its_sources(database: Database, updating: Dataset) -> None:
    with database.writing() as rows:
        moved = rows.datasets.move(
            updating.id,
            sources={S.CREATE_COMPLETE, S.UPDATE_COMPLETE},
            target=S.DELETE_IN_PROGRESS,
            status_message="deleting",
            now=LATER,
        )

    assert not moved
    assert saved(database) == updating


def test_a_move_writes_status_message_time_and_changes(
    database: Database, updating: Dataset
) -> None:
    with database.writing() as rows:
        moved = rows.datasets.move(
            updating.id,
            sources={S.UPDATE_IN_PROGRESS},
            target=S.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
            status_message="rolling back",
            now=LATER,
        )

    assert moved
    assert updating.changes == "changes-1"
    assert saved(database) == replace(
        updating,
        status=S.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
        status_message="rolling back",
        updated_at=LATER,
        changes=None,
    )


def test_only_a_dataset_in_progress_is_claimed(database: Database) -> None:
    with database.writing() as rows:
        dataset = add_dataset(rows, add_project(rows), status=S.CREATE_COMPLETE)

    assert claim(database, dataset) is None


def test_a_dataset_is_claimed_again_only_when_the_lease_is_over(
    database: Database, updating: Dataset
) -> None:
    assert claim(database, updating) == 1
    assert claim(database, updating) is None
    assert claim(database, updating, late=LEASE) is None
    assert claim(database, updating, late=LEASE + timedelta(microseconds=1)) == 2


def test_a_renewed_lease_is_longer(database: Database, updating: Dataset) -> None:
    attempt = claim(database, updating)
    assert attempt is not None

    with database.writing() as rows:
        assert rows.datasets.renew(updating.id, attempt=attempt, lease_until=NOW + 3 * LEASE)

    assert claim(database, updating, late=2 * LEASE) is None


def test_an_attempt_finishes_and_frees_the_dataset(database: Database, updating: Dataset) -> None:
    attempt = claim(database, updating)
    assert attempt is not None

    with database.writing() as rows:
        finished = rows.datasets.finish(
            updating.id,
            attempt=attempt,
            target=S.UPDATE_COMPLETE,
            status_message="updated",
            now=LATER,
        )

    assert finished
    assert saved(database) == replace(
        updating,
        status=S.UPDATE_COMPLETE,
        status_message="updated",
        updated_at=LATER,
        changes=None,
        attempt=1,
    )


def finish(database: Database, dataset: Dataset, *, attempt: int) -> bool:
    with database.writing() as rows:
        return rows.datasets.finish(
            dataset.id, attempt=attempt, target=S.UPDATE_COMPLETE, status_message="", now=LATER
        )


def test_a_stale_attempt_changes_nothing(database: Database, updating: Dataset) -> None:
    assert claim(database, updating) == 1
    assert claim(database, updating, late=2 * LEASE) == 2
    before = saved(database)

    with database.writing() as rows:
        assert not rows.datasets.renew(updating.id, attempt=1, lease_until=NOW + 9 * LEASE)
    assert not finish(database, updating, attempt=1)

    assert saved(database) == before
    assert finish(database, updating, attempt=2)


def test_an_attempt_finishes_once(database: Database, updating: Dataset) -> None:
    assert claim(database, updating) == 1
    assert finish(database, updating, attempt=1)
    with database.writing() as rows:
        rows.datasets.move(
            updating.id,
            sources={S.UPDATE_COMPLETE},
            target=S.UPDATE_IN_PROGRESS,
            status_message="again",
            now=LATER,
            changes="changes-2",
        )

    assert not finish(database, updating, attempt=1)

    assert claim(database, updating) == 2


def test_after_a_restart_everything_is_free_and_every_attempt_stale(
    database: Database, updating: Dataset
) -> None:
    assert claim(database, updating) == 1

    with database.writing() as rows:
        rows.work.free_all()

    assert not finish(database, updating, attempt=1)
    assert claim(database, updating) == 2


def test_a_turn_goes_on_with_the_same_attempt(database: Database, updating: Dataset) -> None:
    assert claim(database, updating) == 1
    rollback = S.UPDATE_FAILED_ROLLBACK_IN_PROGRESS
    with database.writing() as rows:
        turned = [
            rows.datasets.turn(
                updating.id, attempt=attempt, target=rollback, status_message="back", now=LATER
            )
            for attempt in (2, 1)
        ]

    assert turned == [False, True]
    assert saved(database) == replace(
        updating, status=rollback, status_message="back", updated_at=LATER, attempt=1
    )
    assert claim(database, updating) is None


@pytest.mark.parametrize("target", [S.CREATE_COMPLETE, S.UPDATE_FAILED_ROLLBACK_COMPLETE])
def test_no_attempt_ends_in_a_status_that_does_not_follow(
    database: Database, updating: Dataset, target: DatasetStatus
) -> None:
    assert claim(database, updating) == 1
    with database.writing() as rows:
        ended = rows.datasets.finish(
            updating.id, attempt=1, target=target, status_message="", now=LATER
        )

    assert not ended
    assert saved(database) == replace(updating, attempt=1)


@pytest.mark.parametrize("bucket", ["images", None])
def test_a_dataset_has_the_bucket_that_was_written_last(
    database: Database, updating: Dataset, bucket: str | None
) -> None:
    with database.writing() as rows:
        rows.datasets.set_image_bucket(updating.id, "others")
        rows.datasets.set_image_bucket(updating.id, bucket)

    assert saved(database) == replace(updating, image_bucket=bucket)


def test_a_dataset_is_deleted_with_its_entries(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        kept = add_dataset(rows, project, DatasetType.TEST)
        deleted = add_dataset(rows, project, DatasetType.TRAIN)
        for dataset in (kept, deleted):
            rows.entries.put(dataset.id, [entry("a"), entry("b")], now=NOW)

        rows.datasets.delete(deleted.id)

        assert rows.datasets.of_project(project.id) == [kept]
        assert rows.entries.stats(kept.id).total == 2
        assert rows.entries.stats(deleted.id) == ImageStats(total=0, labeled=0, normal=0, anomaly=0)


def test_kept_names_are_those_of_changes(database: Database, updating: Dataset) -> None:
    with database.writing() as rows:
        add_dataset(rows, add_project(rows, "other"))

        assert updating.changes is not None
        assert rows.datasets.stored_names() == {updating.changes}
