"""Packaging jobs in the reconciler: one at a time, held while they take long, taken again."""

from __future__ import annotations

from collections.abc import Callable

from blemish.domain.packaging import PackagingJob, PackagingJobStatus
from tests.unit.components import component
from tests.unit.house import LEASE, House
from tests.unit.runners.test_reconciler import OTHER, Works, begun, idle, works

__all__ = ["works"]


def packaging_job(house: House, name: str) -> PackagingJob:
    return house.packaging.start(
        "circuits", "1", name=name, description=None, component=component(name=name)
    )


def end_packaging_job(house: House) -> Callable[[PackagingJob, int], object]:
    def finish(job: PackagingJob, attempt: int) -> None:
        with house.database.writing() as rows:
            assert rows.packaging_jobs.finish(
                job.id,
                attempt=attempt,
                target=PackagingJobStatus.SUCCEEDED,
                status_message="Done.",
                now=house.clock(),
            )

    return finish


def test_packaging_jobs_are_done_one_at_a_time_the_oldest_first(house: House, works: Works) -> None:
    house.trained()
    jobs = [packaging_job(house, name) for name in "ab"]
    works.packaging_jobs.may_end.clear()
    works.packaging_jobs.finish = end_packaging_job(house)
    reconciler = works.reconciler()

    for _ in range(3):
        reconciler._look()
    assert begun(works.packaging_jobs, 1) == [(jobs[0], 1)]
    works.let_go()
    for _ in jobs:
        idle(reconciler)
        reconciler._look()
    idle(reconciler)

    assert works.packaging_jobs.begun == [(job, 1) for job in jobs]


def test_a_packaging_job_keeps_its_row_while_it_takes_long(house: House, works: Works) -> None:
    house.trained()
    job = packaging_job(house, "a")
    works.packaging_jobs.may_end.clear()
    reconciler = works.reconciler()
    reconciler._look()

    for _ in range(3):
        house.clock.advance(LEASE.total_seconds() * 0.9)
        reconciler._look()

    now = house.clock()
    with house.database.writing() as rows:
        held = rows.packaging_jobs.claim(job.id, owner=OTHER, now=now, lease_until=now + LEASE)
    assert held is None


def test_at_the_start_a_packaging_job_that_was_cut_off_is_taken_again(
    house: House, works: Works
) -> None:
    house.trained()
    job, now = packaging_job(house, "a"), house.clock()
    with house.database.writing() as rows:
        rows.packaging_jobs.claim(job.id, owner=OTHER, now=now, lease_until=now + LEASE)

    works.reconciler().start()
    house.clock.advance(1)

    assert [attempt for _, attempt in begun(works.packaging_jobs, 1)] == [2]
