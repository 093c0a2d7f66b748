from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from blemish.domain.entities import (
    InferenceUnits,
    Model,
    ModelStatus,
    ObjectRef,
    Performance,
)
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows
from tests.unit.storage.samples import LEASE, NOW, add_model, add_project

S = ModelStatus
UNITS = InferenceUnits(minimum=1, maximum=4)


@pytest.fixture
def model(database: Database) -> Model:
    """A model that is to be trained, that nobody works on."""
    with database.writing() as rows:
        return add_model(rows, add_project(rows))


def saved(database: Database, version: int = 1) -> Model:
    with database.reading() as rows:
        model = rows.models.find("circuits", version)
    assert model is not None
    return model


def claim(database: Database, model: Model, *, late: timedelta = timedelta()) -> int | None:
    with database.writing() as rows:
        now = NOW + late
        return rows.models.claim(model.id, owner="me", now=now, lease_until=now + LEASE)


def finish_training(rows: Rows, model: Model, *, attempt: int) -> bool:
    return rows.models.finish_training(
        model.id,
        attempt=attempt,
        status_message="trained",
        performance=Performance(f1_score=0.9, recall=0.8, precision=1.0),
        evaluation_manifest=ObjectRef(bucket="out", key="manifest.json"),
        evaluation_result=ObjectRef(bucket="out", key="result.json"),
        evaluation_ended_at=NOW,
        bundle="circuits-1-1",
    )


def move(database: Database, model: Model, target: S, units: InferenceUnits | None = None) -> bool:
    with database.writing() as rows:
        return rows.models.move(
            model.id, sources=set(S), target=target, status_message=target, units=units
        )


def test_a_model_comes_back_as_it_was_added(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        added = rows.models.add(
            project.id,
            version=7,
            description="the-seventh",
            status=S.TRAINING,
            status_message="training",
            output_bucket="out",
            output_prefix="a/b/",
            kms_key_id="alias/line-4",
            entries="frozen",
            now=NOW,
        )

    assert added == Model(
        id=added.id,
        project="circuits",
        version=7,
        description="the-seventh",
        status=S.TRAINING,
        status_message="training",
        created_at=NOW,
        output_bucket="out",
        output_prefix="a/b/",
        kms_key_id="alias/line-4",
        entries="frozen",
        performance=None,
        evaluation_manifest=None,
        evaluation_result=None,
        evaluation_ended_at=None,
        bundle=None,
        units=None,
        attempt=0,
    )
    assert saved(database, 7) == added


def test_models_are_found_by_project_and_version(database: Database) -> None:
    with database.writing() as rows:
        project, other = add_project(rows), add_project(rows, "other")
        models = [add_model(rows, project) for _ in range(5)]
        alone = add_model(rows, other)

        assert rows.models.find("circuits", 3) == models[2]
        assert rows.models.find("other", 2) is None
        assert rows.models.latest("circuits") == models[4]
        assert rows.models.latest("other") == alone
        assert rows.models.latest("absent") is None
        assert rows.models.page(project.id, before=None, limit=2) == [models[4], models[3]]
        assert rows.models.page(project.id, before=4, limit=9) == models[2::-1]
        assert rows.models.count(project.id) == 5


def test_models_are_found_and_counted_by_status(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        models = {status: add_model(rows, project, status=status) for status in S}
        second = add_model(rows, project, status=S.TRAINING)

        assert rows.models.unsettled() == [
            models[S.TRAINING],
            models[S.STARTING_HOSTING],
            models[S.STOPPING_HOSTING],
            models[S.SYSTEM_UPDATING],
            models[S.DELETING],
            second,
        ]
        assert rows.models.with_status(S.TRAINING) == [models[S.TRAINING], second]
        assert rows.models.count_training() == 2
        assert rows.models.count_hosted() == 3
        assert rows.models.count_by_status() == dict.fromkeys(S, 1) | {S.TRAINING: 2}


def test_a_training_that_ends_well_keeps_all_that_came_of_it(
    database: Database, model: Model
) -> None:
    assert claim(database, model) == 1

    with database.writing() as rows:
        finished = finish_training(rows, model, attempt=1)

    assert finished
    assert saved(database) == replace(
        model,
        status=S.TRAINED,
        status_message="trained",
        performance=Performance(f1_score=0.9, recall=0.8, precision=1.0),
        evaluation_manifest=ObjectRef(bucket="out", key="manifest.json"),
        evaluation_result=ObjectRef(bucket="out", key="result.json"),
        evaluation_ended_at=NOW,
        bundle="circuits-1-1",
        attempt=1,
    )


def test_a_training_that_fails_says_why(database: Database, model: Model) -> None:
    assert claim(database, model) == 1

    with database.writing() as rows:
        assert rows.models.fail_training(model.id, attempt=1, status_message="too few images")

    assert saved(database) == replace(
        model, status=S.TRAINING_FAILED, status_message="too few images", attempt=1
    )


def test_a_lease_is_renewed_with_or_without_a_message(database: Database, model: Model) -> None:
    assert claim(database, model) == 1

    with database.writing() as rows:
        renew = rows.models.renew
        assert renew(model.id, attempt=1, lease_until=NOW + LEASE, status_message="half")
        assert renew(model.id, attempt=1, lease_until=NOW + 3 * LEASE)

    assert saved(database).status_message == "half"
    assert claim(database, model, late=2 * LEASE) is None


STALE: dict[str, Callable[[Rows, Model], bool]] = {
    "finish_training": lambda rows, model: finish_training(rows, model, attempt=1),
    "fail_training": lambda rows, model: rows.models.fail_training(
        model.id, attempt=1, status_message="late"
    ),
    "renew": lambda rows, model: rows.models.renew(
        model.id, attempt=1, lease_until=NOW + 9 * LEASE, status_message="late"
    ),
    "finish": lambda rows, model: rows.models.finish(
        model.id, attempt=1, sources=set(S), target=S.DELETING, status_message="late"
    ),
}


@pytest.mark.parametrize("write", STALE.values(), ids=STALE.keys())
def test_a_stale_attempt_changes_nothing(
    database: Database, model: Model, write: Callable[[Rows, Model], bool]
) -> None:
    assert claim(database, model) == 1
    assert claim(database, model, late=2 * LEASE) == 2
    before = saved(database)

    with database.writing() as rows:
        assert not write(rows, model)

    assert saved(database) == before


@pytest.mark.parametrize("write", STALE.values(), ids=STALE.keys())
def test_after_a_restart_every_attempt_is_stale(
    database: Database, model: Model, write: Callable[[Rows, Model], bool]
) -> None:
    assert claim(database, model) == 1
    with database.writing() as rows:
        rows.work.free_all()
    before = saved(database)

    with database.writing() as rows:
        assert not write(rows, model)

    assert saved(database) == before
    assert claim(database, model) == 2


def test_a_finish_needs_one_of_its_sources(database: Database, model: Model) -> None:
    assert claim(database, model) == 1

    with database.writing() as rows:
        finished = rows.models.finish(
            model.id,
            attempt=1,
            sources={S.STARTING_HOSTING},
            target=S.HOSTED,
            status_message="",
        )

    assert not finished
    assert saved(database) == replace(model, attempt=1)


def test_a_move_needs_one_of_its_sources(database: Database, model: Model) -> None:
    with database.writing() as rows:
        moved = rows.models.move(
            model.id, sources={S.TRAINED}, target=S.DELETING, status_message="deleting"
        )

    assert not moved
    assert saved(database) == model


def test_a_move_frees_the_model(database: Database, model: Model) -> None:
    assert claim(database, model) == 1

    assert move(database, model, S.DELETING)

    assert claim(database, model) == 2


def test_units_stay_until_the_model_is_only_trained(database: Database, model: Model) -> None:
    move(database, model, S.STARTING_HOSTING, UNITS)
    assert saved(database).units == UNITS
    move(database, model, S.HOSTED)
    assert saved(database).units == UNITS
    move(database, model, S.STARTING_HOSTING, InferenceUnits(minimum=2, maximum=None))
    assert saved(database).units == InferenceUnits(minimum=2, maximum=None)
    move(database, model, S.TRAINED)
    assert saved(database).units is None


def test_the_end_of_stopping_takes_the_units(database: Database, model: Model) -> None:
    move(database, model, S.STOPPING_HOSTING, UNITS)
    assert claim(database, model) == 1

    with database.writing() as rows:
        assert rows.models.finish(
            model.id,
            attempt=1,
            sources={S.STOPPING_HOSTING},
            target=S.TRAINED,
            status_message="stopped",
        )

    assert saved(database).units is None


@pytest.mark.parametrize("status", S)
def test_only_a_model_in_progress_is_claimed(
    database: Database, model: Model, status: ModelStatus
) -> None:
    move(database, model, status)

    in_progress = status in {
        S.TRAINING,
        S.STARTING_HOSTING,
        S.STOPPING_HOSTING,
        S.SYSTEM_UPDATING,
        S.DELETING,
        S.HOSTING_FAILED,  # while it is tried again
    }
    assert claim(database, model) == (1 if in_progress else None)


def test_of_many_who_claim_at_once_exactly_one_wins(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        models = [add_model(rows, project) for _ in range(20)]
    barrier = threading.Barrier(3)

    def claim_all(_: int) -> list[int | None]:
        attempts = []
        for model in models:
            barrier.wait()
            attempts.append(claim(database, model))
        return attempts

    with ThreadPoolExecutor(3) as pool:
        attempts = list(pool.map(claim_all, range(3)))

    for rivals in zip(*attempts, strict=True):
        assert sorted(rivals, key=str) == [1, None, None]


def test_a_deleted_model_is_gone(database: Database, model: Model) -> None:
    with database.writing() as rows:
        rows.models.delete(model.id)

        assert rows.models.latest("circuits") is None


def test_kept_names_are_those_of_entries_and_bundles(database: Database, model: Model) -> None:
    assert claim(database, model) == 1
    with database.writing() as rows:
        finish_training(rows, model, attempt=1)
        add_model(rows, add_project(rows, "other"))

        assert rows.models.stored_names() == {
            "circuits-1.jsonl",
            "circuits-1-1",
            "other-1.jsonl",
        }
