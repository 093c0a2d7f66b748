from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from blemish.domain.entities import DetectionCount, Model
from blemish.domain.errors import ResourceNotFoundError
from blemish.service.detection.counts import DetectionCounters, DetectionCounts
from blemish.service.housekeeping import COUNTS_AGE, Housekeeping
from blemish.storage.errors import DatabaseWriteError
from tests.unit.house import PROJECT, House


@pytest.fixture
def counts(house: House) -> DetectionCounts:
    return DetectionCounts(house.database, now=house.clock)


@pytest.fixture
def model(trainable: House) -> Model:
    return trainable.trained()


def test_images_are_counted_by_the_hour(
    house: House, counts: DetectionCounts, model: Model
) -> None:
    began = house.clock.time.replace(minute=0, second=0, microsecond=0)
    counters = DetectionCounters(counts)
    for is_anomalous in (True, False, False):
        counters.detected(model, is_anomalous=is_anomalous, took_s=0.1)
    counters.failed(model, ValueError())
    counts.write()
    counters.detected(model, is_anomalous=True, took_s=0.1)
    house.clock.time += timedelta(hours=1)
    counters.detected(model, is_anomalous=False, took_s=0.1)

    found = counts.since(PROJECT, began)

    assert found == [
        DetectionCount(model_version=1, hour=began, images=4, anomalies=2),
        DetectionCount(model_version=1, hour=began + timedelta(hours=1), images=1, anomalies=0),
    ]
    assert counts.since(PROJECT, began + timedelta(hours=1)) == found[1:]


def test_counts_outlive_the_server(house: House, counts: DetectionCounts, model: Model) -> None:
    counts.detected(model, is_anomalous=True, took_s=0.1)
    counts.write()

    again = DetectionCounts(house.database, now=house.clock)

    assert [each.images for each in again.since(PROJECT, house.clock.time - COUNTS_AGE)] == [1]


def test_what_cannot_be_written_stays_counted(
    house: House, counts: DetectionCounts, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts.detected(model, is_anomalous=True, took_s=0.1)
    with monkeypatch.context() as broken:
        broken.setattr(house.database, "writing", _full)
        with pytest.raises(DatabaseWriteError):
            counts.write()
    counts.detected(model, is_anomalous=False, took_s=0.1)

    (found,) = counts.since(PROJECT, house.clock.time - COUNTS_AGE)

    assert (found.images, found.anomalies) == (2, 1)


def test_counts_go_with_their_project(house: House, counts: DetectionCounts, model: Model) -> None:
    counts.detected(model, is_anomalous=True, took_s=0.1)
    counts.write()
    counts.detected(model, is_anomalous=True, took_s=0.1)
    with house.database.writing() as rows:
        rows.models.delete(model.id)
        for each in rows.datasets.of_project(1):
            rows.datasets.delete(each.id)
    house.projects.delete(PROJECT)

    counts.write()

    with pytest.raises(ResourceNotFoundError):
        counts.since(PROJECT, house.clock.time)
    house.project()
    assert counts.since(PROJECT, house.clock.time - COUNTS_AGE) == []


def test_old_counts_are_forgotten(house: House, counts: DetectionCounts, model: Model) -> None:
    counts.detected(model, is_anomalous=True, took_s=0.1)
    counts.write()
    began = house.clock.time.replace(second=0)
    chores = Housekeeping(
        house.database,
        directory=house.directory,
        upload_age=COUNTS_AGE,
        database_copies=1,
    )

    chores.forget_detection_counts(began + COUNTS_AGE)
    assert counts.since(PROJECT, began - COUNTS_AGE)

    chores.forget_detection_counts(began + COUNTS_AGE + timedelta(hours=1))
    assert not counts.since(PROJECT, began - COUNTS_AGE)


@contextmanager
def _full() -> Iterator[None]:
    raise DatabaseWriteError("There is no room.")
    yield
