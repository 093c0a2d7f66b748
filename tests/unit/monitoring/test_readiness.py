from __future__ import annotations

import threading
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from blemish.domain.entities import ModelStatus
from blemish.monitoring.readiness import (
    FRESH_S,
    PATIENCE_S,
    WITHOUT_STORE,
    Readiness,
    database_look,
    disk_look,
    models_look,
    store_look,
)
from blemish.storage.objects.store import ObjectStore
from tests.unit.house import House

pytestmark = pytest.mark.anyio


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_server_is_ready_when_nothing_is_wrong() -> None:
    readiness = Readiness({"database": lambda: None, "disk": lambda: "it is full"})

    assert await readiness.problems() == {"database": None, "disk": "it is full"}


async def test_whatever_goes_wrong_with_a_look_is_said() -> None:
    def fail() -> None:
        raise ZeroDivisionError("no rows")

    assert await Readiness({"database": fail}).problems() == {
        "database": "ZeroDivisionError: no rows"
    }


async def test_many_probes_are_one_look_and_a_later_one_is_another() -> None:
    looks: list[int] = []
    time = Time()
    readiness = Readiness({"disk": lambda: looks.append(1)}, clock=time)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(readiness.problems)
    assert len(looks) == 1

    time.now += FRESH_S
    await readiness.problems()
    assert len(looks) == 2


async def test_a_look_that_hangs_holds_up_neither_the_answer_nor_more_than_one_thread() -> None:
    looks: list[int] = []
    may_end = threading.Event()

    def hang() -> str | None:
        looks.append(1)
        may_end.wait(10 * PATIENCE_S)
        return None

    time = Time()
    readiness = Readiness({"store": hang, "disk": lambda: None}, clock=time)

    first = await readiness.problems()
    time.now += FRESH_S
    second = await readiness.problems()
    may_end.set()

    assert first == second == {"store": "no answer within 2 seconds", "disk": None}
    assert len(looks) == 1


async def test_only_what_has_changed_is_logged() -> None:
    problems = iter([None, "it is full", "it is full", None])
    time = Time()
    readiness = Readiness({"disk": lambda: next(problems)}, clock=time)

    with capture_logs() as logged:
        for _ in range(4):
            await readiness.problems()
            time.now += FRESH_S

    assert [(line["log_level"], line["of"], line["problem"]) for line in logged] == [
        ("warning", "disk", "it is full"),
        ("info", "disk", None),
    ]


def test_a_database_that_answers_is_ready(house: House) -> None:
    assert database_look(house.database.reading)() is None


def test_a_folder_of_buckets_must_be_there(house: House) -> None:
    look = store_look(ObjectStore(house.directory.buckets))

    assert look() is None
    house.directory.buckets.rename(house.directory.root / "away")
    problem = look()

    assert problem is not None
    assert "No such file" in problem
    assert problem.endswith(WITHOUT_STORE)


def test_the_disk_must_take_a_file_and_keeps_none(tmp_path: Path) -> None:
    assert disk_look(tmp_path)() is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        disk_look(tmp_path / "away")()


def test_models_that_are_updated_must_be_loaded_and_others_need_not(trainable: House) -> None:
    trainable.trained(ModelStatus.HOSTED)
    loaded = trainable.trained(ModelStatus.SYSTEM_UPDATING)
    trainable.trained(ModelStatus.SYSTEM_UPDATING)
    trainable.trained(ModelStatus.STARTING_HOSTING)
    reading = trainable.database.reading

    assert models_look(reading, loaded=lambda: {2, 3})() is None
    assert models_look(reading, loaded=lambda: {loaded.id})() == "not loaded yet: circuits/3"
    assert models_look(reading, loaded=None)() is None


def test_a_model_whose_update_failed_is_not_down(trainable: House) -> None:
    model = trainable.trained(ModelStatus.SYSTEM_UPDATING)
    attempt = trainable.claim_model(model)
    with trainable.database.writing() as rows:
        assert rows.models.fail_hosting(
            model,
            attempt=attempt,
            target=ModelStatus.SYSTEM_UPDATING,
            status_message="The key is away.",
            not_before=trainable.clock(),
        )

    assert models_look(trainable.database.reading, loaded=lambda: {model.id})() is None
