from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from blemish.domain.detection_jobs import DetectionJob, DetectionJobKind, DetectionJobStatus
from blemish.domain.entities import (
    Dataset,
    DatasetStatus,
    DatasetType,
    Label,
    Model,
    ModelStatus,
    ObjectRef,
)
from blemish.runners.reconciler import MOST_IMPORTS, SHORT_WORKERS, Reconciler, Work
from blemish.service.detection.jobs import ImageList
from blemish.storage.errors import DatabaseUnavailableError
from tests.unit.house import LEASE, House
from tests.unit.manifests import BUCKET, url
from tests.unit.runners.waiting import PATIENCE_S, eventually
from tests.unit.runners.works import FakeWork
from tests.unit.storage.samples import add_dataset

S = ModelStatus
TRAIN = DatasetType.TRAIN
OTHER = "another server"


class Works:
    """The kinds of work, and reconcilers over them."""

    def __init__(self, house: House, stack: ExitStack) -> None:
        self._house = house
        self._stack = stack
        self.datasets, self.trainings, self.hosting = FakeWork(), FakeWork(), FakeWork()
        self.detection_jobs, self.packaging_jobs = FakeWork(), FakeWork()

    def reconciler(
        self,
        *,
        at_once: int = 1,
        datasets: Work[Dataset] | None = None,
        now: Callable[[], datetime] | None = None,
        is_shared: bool = False,
        owner: str = "this server",
    ) -> Reconciler:
        """Put a reconciler together; it is stopped after the test."""
        time = now or self._house.clock
        made = Reconciler(
            self._house.database,
            datasets=datasets or self.datasets,
            trainings=self.trainings,
            hosting=self.hosting,
            detection_jobs=self.detection_jobs,
            packaging_jobs=self.packaging_jobs,
            trainings_at_once=at_once,
            owner=owner,
            clock=lambda _: time(),
            is_shared=is_shared,
            lease=LEASE,
        )
        self._stack.callback(made.stop)
        self._stack.callback(self.let_go)
        return made

    def let_go(self) -> None:
        """Let all work end."""
        for work in (
            self.datasets,
            self.trainings,
            self.hosting,
            self.detection_jobs,
            self.packaging_jobs,
        ):
            work.may_end.set()


@pytest.fixture
def works(house: House) -> Iterator[Works]:
    house.project()
    house.images(normal=15)
    with ExitStack() as stack:
        yield Works(house, stack)


def told(logged: list[Any], event: str) -> list[Any]:
    """Return the lines of the log that tell of an event."""
    return [line for line in logged if line["event"] == event]


def begun(work: FakeWork, count: int) -> list[tuple[Any, int]]:
    """Wait until so much work has begun; return it."""
    eventually(lambda: len(work.begun) >= count)
    return work.begun


def idle(reconciler: Reconciler) -> None:
    """Wait until no worker has anything to do."""
    eventually(lambda: not reconciler._busy)


def claimed_by_another(house: House, model: Model) -> int | None:
    """Claim a model for another server."""
    now = house.clock()
    with house.database.writing() as rows:
        return rows.models.claim(model.id, owner=OTHER, now=now, lease_until=now + LEASE)


def settle(house: House, status: ModelStatus) -> Callable[[Model, int], object]:
    """Return what ends an attempt at a model."""

    def finish(model: Model, attempt: int) -> None:
        with house.database.writing() as rows:
            assert rows.models.finish(
                model.id,
                attempt=attempt,
                sources=[model.status],
                target=status,
                status_message="Done.",
            )

    return finish


def test_a_dataset_in_progress_is_brought_to_its_end(house: House, works: Works) -> None:
    manifest = house.put_manifest(house.lines(Label.NORMAL, 2))
    reconciler = works.reconciler(datasets=house.dataset_work)
    reconciler.start()

    house.datasets.create("circuits", DatasetType.TEST, manifest=manifest)
    reconciler.wake()

    def status() -> DatasetStatus:
        return house.datasets.describe("circuits", DatasetType.TEST)[0].status

    eventually(lambda: status() is DatasetStatus.CREATE_COMPLETE)


def test_rows_are_looked_at_even_if_nobody_wakes_the_loop(house: House, works: Works) -> None:
    works.reconciler().start()

    model = house.model()

    ((row, attempt),) = begun(works.trainings, 1)
    assert (row.id, attempt) == (model.id, 1)


@pytest.mark.parametrize("status", list(ModelStatus))
def test_each_status_goes_to_the_work_that_knows_it(
    house: House, works: Works, status: ModelStatus
) -> None:
    model = house.trained(status)
    reconciler = works.reconciler()

    reconciler._look()
    idle(reconciler)

    hosting = {S.STARTING_HOSTING, S.STOPPING_HOSTING, S.SYSTEM_UPDATING, S.DELETING}
    expected = [(model, model.attempt + 1)]
    assert works.trainings.begun == (expected if status is S.TRAINING else [])
    assert works.hosting.begun == (expected if status in hosting else [])


@pytest.mark.parametrize("status", list(DatasetStatus))
def test_datasets_in_progress_go_to_their_work(
    house: House, works: Works, status: DatasetStatus
) -> None:
    with house.database.writing() as rows:
        dataset = rows.datasets.find("circuits", TRAIN)
        assert dataset is not None
        rows.datasets.move(
            dataset.id,
            sources=list(DatasetStatus),
            target=status,
            status_message="",
            now=house.clock(),
        )
    reconciler = works.reconciler()

    reconciler._look()
    idle(reconciler)

    assert len(works.datasets.begun) == status.endswith("_IN_PROGRESS")


def test_a_row_is_taken_once_while_its_work_goes_on(house: House, works: Works) -> None:
    house.trained(S.STARTING_HOSTING)
    works.hosting.may_end.clear()
    works.hosting.finish = settle(house, S.HOSTED)
    reconciler = works.reconciler()

    for _ in range(5):
        reconciler._look()
        house.clock.advance(LEASE.total_seconds() * 2)
    works.let_go()
    idle(reconciler)
    reconciler._look()

    assert len(works.hosting.begun) == 1


def test_short_work_keeps_its_row_however_long_it_takes(house: House, works: Works) -> None:
    model = house.trained(S.STARTING_HOSTING)
    works.hosting.may_end.clear()
    reconciler = works.reconciler()
    reconciler._look()

    for _ in range(3):
        house.clock.advance(LEASE.total_seconds() * 0.9)
        reconciler._look()

    assert claimed_by_another(house, model) is None


def test_a_training_that_fell_silent_is_not_taken_again_while_its_worker_is_here(
    house: House, works: Works
) -> None:
    house.model()
    works.trainings.may_end.clear()
    reconciler = works.reconciler(at_once=2)
    reconciler._look()

    house.clock.advance(LEASE.total_seconds() + 1)
    reconciler._look()
    works.let_go()
    idle(reconciler)

    assert [attempt for _, attempt in works.trainings.begun] == [1]


def test_a_training_keeps_its_row_only_by_its_own_reports(house: House, works: Works) -> None:
    model = house.model()
    works.trainings.may_end.clear()
    reconciler = works.reconciler()
    reconciler._look()

    house.clock.advance(LEASE.total_seconds() + 1)
    reconciler._look()

    assert claimed_by_another(house, model) == 2


@pytest.mark.parametrize("at_once", [1, 2])
def test_so_many_trainings_run_at_once_and_the_others_wait_their_turn(
    house: House, works: Works, at_once: int
) -> None:
    models = [house.model() for _ in range(4)]
    works.trainings.may_end.clear()
    works.trainings.finish = settle(house, S.TRAINING_FAILED)
    reconciler = works.reconciler(at_once=at_once)

    for _ in range(3):
        reconciler._look()
    assert [row.id for row, _ in begun(works.trainings, at_once)] == [
        model.id for model in models[:at_once]
    ]
    assert [house.described(model).attempt for model in models] == [1] * at_once + [0] * (
        4 - at_once
    )

    works.let_go()
    for _ in range(4):
        idle(reconciler)
        reconciler._look()
    idle(reconciler)
    assert sorted(row.id for row, _ in works.trainings.begun) == [model.id for model in models]


def test_a_training_keeps_nobody_else_waiting(house: House, works: Works) -> None:
    house.trained(S.STARTING_HOSTING)
    house.model()
    works.trainings.may_end.clear()
    reconciler = works.reconciler()

    reconciler._look()

    begun(works.trainings, 1)
    begun(works.hosting, 1)


def test_imports_keep_no_hosted_model_waiting(house: House, works: Works) -> None:
    house.trained(S.SYSTEM_UPDATING)
    for row in range(SHORT_WORKERS):
        project = house.project(f"importing-{row}")
        house.datasets.create(project, TRAIN, manifest=ObjectRef(bucket=BUCKET, key="a.manifest"))
    works.datasets.may_end.clear()
    reconciler = works.reconciler()

    reconciler._look()

    begun(works.datasets, SHORT_WORKERS)
    begun(works.hosting, 1)
    assert works.datasets.given_up == []  # as they would be who had to end first


def test_starts_keep_no_model_waiting_that_is_to_be_stopped(house: House, works: Works) -> None:
    starting = hosted_models(house, SHORT_WORKERS)
    works.hosting.may_end.clear()
    reconciler = works.reconciler()
    reconciler._look()
    begun(works.hosting, SHORT_WORKERS)
    stopping = house.trained(S.STOPPING_HOSTING)

    reconciler._look()

    rows = [row.id for row, _ in begun(works.hosting, SHORT_WORKERS + 1)]
    assert sorted(rows) == [model.id for model in [*starting, stopping]]


def test_a_row_that_another_server_holds_is_left_alone_until_its_lease_is_over(
    house: House, works: Works
) -> None:
    model = house.model()
    claimed_by_another(house, model)
    reconciler = works.reconciler()

    reconciler._look()
    assert works.trainings.begun == []

    house.clock.advance(LEASE.total_seconds() + 1)
    reconciler._look()
    assert [attempt for _, attempt in begun(works.trainings, 1)] == [2]


def test_at_the_start_nobody_holds_a_row_any_more(house: House, works: Works) -> None:
    """The data directory is locked, so whoever held one is gone."""
    claimed_by_another(house, house.model())
    manifest = ObjectRef(bucket=BUCKET, key="the.manifest")
    house.datasets.create("circuits", DatasetType.TEST, manifest=manifest)
    house.claim_dataset(kind=DatasetType.TEST)

    works.reconciler().start()
    house.clock.advance(1)

    assert [attempt for _, attempt in begun(works.trainings, 1)] == [2]
    assert [attempt for _, attempt in begun(works.datasets, 1)] == [2]


def test_a_row_that_changed_since_it_was_looked_at_is_not_taken(house: House, works: Works) -> None:
    old = house.trained(S.STARTING_HOSTING)
    house.put_into(old, S.HOSTED)
    house.models.stop("circuits", "1")
    reconciler = works.reconciler()

    reconciler._take("model", old, works.hosting, reconciler._starts)
    assert works.hosting.begun == []

    reconciler._look()
    ((row, _),) = begun(works.hosting, 1)
    assert row.status is S.STOPPING_HOSTING


def fail(_row: Any, _attempt: int) -> None:
    raise ZeroDivisionError


def test_a_fault_of_ours_ends_the_work_and_not_the_loop(house: House, works: Works) -> None:
    first, second = house.model(), house.model()
    works.trainings.finish = fail
    reconciler = works.reconciler()
    reconciler.start()

    begun(works.trainings, 2)

    eventually(lambda: len(works.trainings.given_up) >= 2)
    assert works.trainings.given_up[:2] == [
        (first, 1, "an internal error; the log says more."),
        (second, 1, "an internal error; the log says more."),
    ]


def test_every_line_of_work_says_what_it_is_about(house: House, works: Works) -> None:
    house.model()
    works.trainings.finish = settle(house, S.TRAINED)
    reconciler = works.reconciler()

    with capture_logs([merge_contextvars]) as logged:
        reconciler._look()
        idle(reconciler)

    about = {"project": "circuits", "version": 1, "status": "TRAINING", "attempt": 1}
    assert logged == [
        {"event": event, "log_level": "info"} | about for event in ("work begins", "work ends")
    ]


def test_work_that_cannot_even_be_given_up_is_told_of_and_tried_again_later(
    house: House, works: Works
) -> None:
    house.trained(S.STARTING_HOSTING)
    works.hosting.finish = fail
    works.hosting.fail = fail
    reconciler = works.reconciler()
    with capture_logs() as logged:
        reconciler._look()
        idle(reconciler)

        house.clock.advance(LEASE.total_seconds() + 1)
        reconciler._look()

        assert len(begun(works.hosting, 2)) == 2
        eventually(lambda: len(told(logged, "a row could not be turned to its failure")) == 2)
    _, second = told(logged, "a row could not be turned to its failure")
    assert (second["project"], second["version"], second["attempt"]) == ("circuits", 1, 3)
    assert second["exc_info"]


def test_a_look_that_fails_is_not_the_last(house: House, works: Works) -> None:
    failures: list[Exception | None] = [ZeroDivisionError("the clock is away"), None]

    def now() -> datetime:
        if failures and (failure := failures.pop()):
            raise failure
        return house.clock()

    house.model()
    reconciler = works.reconciler(now=now)
    reconciler.start()

    begun(works.trainings, 1)

    assert failures == []


def test_stop_waits_for_work_that_has_begun_and_takes_no_more(house: House, works: Works) -> None:
    model = house.trained(S.STARTING_HOSTING)
    works.hosting.may_end.clear()
    works.hosting.finish = settle(house, S.HOSTED)
    reconciler = works.reconciler()
    reconciler.start()
    begun(works.hosting, 1)

    stopping = threading.Thread(target=reconciler.stop)
    stopping.start()
    eventually(reconciler._stopping.is_set)
    house.model()
    reconciler.wake()
    stopping.join(0.1)
    assert stopping.is_alive()

    works.let_go()
    stopping.join(PATIENCE_S)
    assert not stopping.is_alive()
    assert house.described(model).status is S.HOSTED
    assert works.trainings.begun == []


def test_a_reconciler_that_never_started_can_be_stopped(house: House, works: Works) -> None:
    house.model()
    reconciler = works.reconciler()

    reconciler.stop()

    reconciler._look()
    assert works.trainings.begun == []


def detection_job(house: House, name: str) -> DetectionJob:
    return house.detection_jobs.start(
        "circuits",
        "1",
        kind=DetectionJobKind.TRIAL,
        name=name,
        image_list=ImageList(manifest=None, images=[url("new.png")]),
        output=None,
    )


def end_detection_job(house: House) -> Callable[[DetectionJob, int], object]:
    def finish(job: DetectionJob, attempt: int) -> None:
        with house.database.writing() as rows:
            assert rows.detection_jobs.finish(
                job.id,
                attempt=attempt,
                target=DetectionJobStatus.SUCCEEDED,
                status_message="Done.",
                now=house.clock(),
            )

    return finish


def test_detection_jobs_are_done_one_at_a_time_the_oldest_first(house: House, works: Works) -> None:
    house.trained()
    jobs = [detection_job(house, name) for name in "ab"]
    works.detection_jobs.may_end.clear()
    works.detection_jobs.finish = end_detection_job(house)
    reconciler = works.reconciler()

    for _ in range(3):
        reconciler._look()
    assert begun(works.detection_jobs, 1) == [(jobs[0], 1)]
    waiting = house.detection_jobs.describe("circuits", "b", kind=DetectionJobKind.TRIAL)
    assert waiting == jobs[1]  # its attempts are not used up by waiting
    works.let_go()
    for _ in jobs:
        idle(reconciler)
        reconciler._look()
    idle(reconciler)

    assert works.detection_jobs.begun == [(job, 1) for job in jobs]


def test_a_detection_job_keeps_its_row_and_nobody_else_waiting(house: House, works: Works) -> None:
    house.trained()
    job = detection_job(house, "a")
    works.detection_jobs.may_end.clear()
    reconciler = works.reconciler()
    reconciler._look()

    for _ in range(3):
        house.clock.advance(LEASE.total_seconds() * 0.9)
        reconciler._look()
    house.model()
    reconciler._look()

    begun(works.trainings, 1)
    now = house.clock()
    with house.database.writing() as rows:
        held = rows.detection_jobs.claim(job.id, owner=OTHER, now=now, lease_until=now + LEASE)
    assert held is None


def test_at_the_start_a_detection_job_that_was_cut_off_is_taken_again(
    house: House, works: Works
) -> None:
    house.trained()
    job, now = detection_job(house, "a"), house.clock()
    with house.database.writing() as rows:
        rows.detection_jobs.claim(job.id, owner=OTHER, now=now, lease_until=now + LEASE)

    works.reconciler().start()
    house.clock.advance(1)

    assert [attempt for _, attempt in begun(works.detection_jobs, 1)] == [2]


def hosted_models(house: House, count: int) -> list[Model]:
    return [house.trained(S.STARTING_HOSTING) for _ in range(count)]


def interrupt(house: House, model: Model) -> None:
    claimed_by_another(house, model)
    with house.database.writing() as rows:
        rows.work.interrupt_all(house.clock())


def test_a_model_during_whose_load_the_server_ended_is_loaded_alone_and_last(
    house: House, works: Works
) -> None:
    suspects, others = hosted_models(house, 2), hosted_models(house, 2)
    for model in suspects:
        interrupt(house, model)
    house.clock.advance(2)
    works.hosting.finish = settle(house, S.HOSTED)
    works.hosting.may_end.clear()
    reconciler = works.reconciler()

    reconciler._look()
    first = [row.id for row, _ in begun(works.hosting, 2)]
    works.hosting.may_end.set()
    idle(reconciler)
    works.hosting.may_end.clear()
    for _ in range(3):
        reconciler._look()
    second = [row.id for row, _ in begun(works.hosting, 3)]
    works.hosting.may_end.set()
    idle(reconciler)
    reconciler._look()
    idle(reconciler)

    assert sorted(first) == [model.id for model in others]
    assert second[2:] == [suspects[0].id]
    assert [row.id for row, _ in works.hosting.begun][3:] == [suspects[1].id]


def test_a_shortage_leaves_the_row_to_a_later_attempt(house: House, works: Works) -> None:
    model = house.model()

    def short(_row: Any, _attempt: int) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    works.trainings.finish = short
    reconciler = works.reconciler()
    reconciler._look()
    idle(reconciler)

    left = house.described(model)
    reconciler._look()

    assert works.trainings.given_up == []
    assert left.interruptions == 0
    assert left.not_before == house.clock() + timedelta(seconds=1)
    assert len(works.trainings.begun) == 1


def test_the_pause_after_a_shortage_grows_with_shortages_and_not_with_attempts(
    house: House, works: Works
) -> None:
    model = house.trained(S.SYSTEM_UPDATING)
    for _ in range(5):  # it was started, changed and loaded again before
        claimed_by_another(house, model)
        house.clock.advance(2 * LEASE.total_seconds())

    def short(_row: Any, _attempt: int) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    works.hosting.finish = short
    reconciler = works.reconciler()
    pauses = []
    for _ in range(3):
        reconciler._look()
        idle(reconciler)
        not_before = house.described(model).not_before
        assert not_before is not None
        pauses.append((not_before - house.clock()).total_seconds())
        house.clock.advance(pauses[-1])

    assert pauses == [1, 2, 4]
    works.hosting.finish = settle(house, S.HOSTED)
    reconciler._look()
    idle(reconciler)
    assert reconciler._shortages == {}


def test_a_database_that_is_away_when_work_ends_counts_as_no_end_of_the_server(
    house: House, works: Works
) -> None:
    model = house.model()
    is_away = False

    def now() -> datetime:
        if is_away:
            raise DatabaseUnavailableError("the database is away")
        return house.clock()

    def lose(_row: Any, _attempt: int) -> None:
        nonlocal is_away
        is_away = True
        now()

    works.trainings.finish = lose
    reconciler = works.reconciler(now=now)
    reconciler._look()
    idle(reconciler)

    is_away = False
    house.clock.advance(LEASE.total_seconds() + 1)
    reconciler._look()
    idle(reconciler)
    left = house.described(model)
    house.clock.advance(1)
    reconciler._look()

    assert (left.attempt, left.interruptions) == (1, 0)
    assert left.not_before == house.clock()
    assert [attempt for _, attempt in begun(works.trainings, 2)] == [1, 2]


def test_an_orderly_stop_counts_as_no_interruption(house: House, works: Works) -> None:
    model = house.model()
    reconciler = works.reconciler()
    reconciler._look()
    idle(reconciler)
    claimed_by_another(house, model)

    reconciler.stop()
    works.reconciler().start()

    assert house.described(model).interruptions == 0


def test_an_end_of_the_server_counts_as_one(house: House, works: Works) -> None:
    model = house.model()
    claimed_by_another(house, model)

    works.reconciler().start()

    assert house.described(model).interruptions == 1


def test_a_server_that_shares_its_database_leaves_rows_of_others_until_their_leases_end(
    house: House, works: Works
) -> None:
    model = house.model()
    claimed_by_another(house, model)
    reconciler = works.reconciler(is_shared=True)

    reconciler.start()
    reconciler.stop()
    house.clock.advance(LEASE.total_seconds())
    shared = works.reconciler(is_shared=True)
    shared._look()
    before = list(works.trainings.begun)
    house.clock.advance(1)
    with capture_logs() as logged:
        shared._look()

    assert before == []
    assert [attempt for _, attempt in begun(works.trainings, 1)] == [2]
    (of_work,) = [line for line in logged if "taken over" in line["event"]]
    assert (of_work["server"], of_work["project"]) == (OTHER, model.project)


def test_of_several_servers_each_begins_with_another_row(house: House, works: Works) -> None:
    models = [house.model() for _ in range(6)]
    ids = [model.id for model in models]

    orders = []
    for owner in ("a", "b", "c"):
        reconciler = works.reconciler(is_shared=True, owner=owner)
        due = reconciler._due("model", models, house.clock(), 4)
        orders.append([model.id for model in due])

    for order in orders:
        assert sorted(order[:4]) == ids[:4]
        assert order[4:] == ids[4:]
    assert len(set(map(tuple, orders))) > 1


def test_many_imports_are_left_for_other_servers(house: House, works: Works) -> None:
    for number in range(MOST_IMPORTS + 2):
        house.project(f"plates-{number}")
        with house.database.writing() as rows:
            project = rows.projects.find(f"plates-{number}")
            assert project is not None
            add_dataset(rows, project, status=DatasetStatus.CREATE_IN_PROGRESS)
    works.datasets.may_end.clear()
    reconciler = works.reconciler()

    reconciler._look()

    assert reconciler._count("dataset") == MOST_IMPORTS
