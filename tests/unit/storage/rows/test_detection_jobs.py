from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from blemish.domain.detection_jobs import (
    DetectionJob,
    DetectionJobKind,
    DetectionJobStatus,
    ImageCounts,
)
from blemish.domain.entities import ObjectRef, Project
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows
from tests.unit.storage.samples import BUCKET, LEASE, NOW, add_model, add_project

BATCH, TRIAL = DetectionJobKind.BATCH, DetectionJobKind.TRIAL
S = DetectionJobStatus
NONE_YET = ImageCounts(total=None, normal=0, anomaly=0, failed=0)
COUNTS = ImageCounts(total=9, normal=4, anomaly=3, failed=2)
MANIFEST = ObjectRef(bucket=BUCKET, key="new.manifest")
LATER = NOW + timedelta(minutes=1)


def add(
    rows: Rows,
    project: Project,
    name: str = "night",
    *,
    kind: DetectionJobKind = TRIAL,
    version: int = 3,
    manifest: ObjectRef | None = None,
    images: str | None = None,
) -> DetectionJob:
    return rows.detection_jobs.add(
        project.id,
        kind=kind,
        name=name,
        model_version=version,
        status_message="waits",
        manifest=manifest,
        images=images,
        output_bucket=BUCKET if kind is BATCH else None,
        output_prefix="out/" if kind is BATCH else None,
        now=NOW,
    )


def claim(rows: Rows, job: DetectionJob, *, owner: str = "one") -> int:
    attempt = rows.detection_jobs.claim(job.id, owner=owner, now=NOW, lease_until=NOW + LEASE)
    assert attempt is not None
    return attempt


def finish(
    rows: Rows,
    job: DetectionJob,
    attempt: int,
    *,
    target: DetectionJobStatus = S.SUCCEEDED,
    counts: ImageCounts | None = COUNTS,
) -> bool:
    return rows.detection_jobs.finish(
        job.id, attempt=attempt, target=target, status_message="over", counts=counts, now=LATER
    )


def report(rows: Rows, job: DetectionJob, attempt: int) -> bool:
    return rows.detection_jobs.report(
        job.id, attempt=attempt, counts=COUNTS, status_message="9 of 9", now=LATER
    )


def found(rows: Rows, job: DetectionJob) -> DetectionJob:
    same = rows.detection_jobs.find(job.project, job.kind, job.name)
    assert same is not None
    return same


@pytest.mark.parametrize(
    ("kind", "manifest", "images", "place"),
    [
        (BATCH, MANIFEST, None, (BUCKET, "out/")),
        (TRIAL, None, "images-1.jsonl", (None, None)),
    ],
)
def test_a_job_comes_back_as_it_was_added(
    database: Database,
    kind: DetectionJobKind,
    manifest: ObjectRef | None,
    images: str | None,
    place: tuple[str | None, str | None],
) -> None:
    with database.writing() as rows:
        job = add(rows, add_project(rows), kind=kind, manifest=manifest, images=images)

    with database.reading() as rows:
        assert rows.detection_jobs.find("circuits", kind, "night") == job
    bucket, prefix = place
    assert job == DetectionJob(
        id=job.id,
        project="circuits",
        kind=kind,
        name="night",
        model_version=3,
        status=S.CREATED,
        status_message="waits",
        created_at=NOW,
        updated_at=NOW,
        manifest=manifest,
        images=images,
        output_bucket=bucket,
        output_prefix=prefix,
        counts=NONE_YET,
        attempt=0,
    )


def test_a_name_is_given_once_in_a_project_and_kind(database: Database) -> None:
    with database.writing() as rows:
        one, other = add_project(rows, "one"), add_project(rows, "other")
        jobs = [add(rows, one), add(rows, one, kind=BATCH), add(rows, other)]

        assert [found(rows, job) for job in jobs] == jobs
        assert rows.detection_jobs.find("one", TRIAL, "Night") is None
        assert rows.detection_jobs.find("absent", TRIAL, "night") is None

    with pytest.raises(IntegrityError), database.writing() as rows:
        add(rows, one)


def test_pages_of_jobs_go_from_the_newest_to_the_oldest(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        jobs = [add(rows, project, name) for name in "abcde"]
        add(rows, project, "f", kind=BATCH)
        add(rows, add_project(rows, "other"), "g")

        first = rows.detection_jobs.page(project.id, TRIAL, before=None, limit=3)
        second = rows.detection_jobs.page(project.id, TRIAL, before=first[-1].id, limit=3)

    assert first + second == jobs[::-1]


def test_a_job_is_unsettled_until_it_is_through(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        created, running, done, cancelled = (add(rows, project, name) for name in "abcd")
        report(rows, running, claim(rows, running))
        finish(rows, done, claim(rows, done))
        rows.detection_jobs.cancel(cancelled.id, status_message="Cancelled.", now=LATER)

        assert rows.detection_jobs.unsettled() == [created, found(rows, running)]


def test_a_model_is_needed_by_its_own_jobs_until_they_are_through(database: Database) -> None:
    with database.writing() as rows:
        project, other = add_project(rows), add_project(rows, "other")
        done, batch, trial = (
            add(rows, project, name, kind=kind)
            for name, kind in (("a", TRIAL), ("a", BATCH), ("b", TRIAL))
        )
        add(rows, project, "c", version=4)
        add(rows, other)
        finish(rows, done, claim(rows, done))

        assert rows.detection_jobs.of_model("circuits", 3) == [batch, trial]
        assert rows.detection_jobs.of_model("circuits", 5) == []


def test_a_job_is_held_until_its_lease_is_over(database: Database) -> None:
    with database.writing() as rows:
        job = add(rows, add_project(rows))
        attempt = claim(rows, job)
        until = NOW + 2 * LEASE

        def by_other(now_s: float) -> int | None:
            now = NOW + timedelta(seconds=now_s)
            return rows.detection_jobs.claim(job.id, owner="other", now=now, lease_until=now)

        assert by_other(LEASE.total_seconds()) is None
        assert rows.detection_jobs.renew(job.id, attempt=attempt, lease_until=until)
        assert by_other(2 * LEASE.total_seconds()) is None
        assert by_other(2 * LEASE.total_seconds() + 1) == attempt + 1
        assert found(rows, job).attempt == attempt + 1


def test_a_report_says_how_far_a_job_has_come(database: Database) -> None:
    with database.writing() as rows:
        job = add(rows, add_project(rows), images="images-1.jsonl")

        assert report(rows, job, claim(rows, job))

        now = found(rows, job)
    assert (now.status, now.status_message, now.counts) == (S.RUNNING, "9 of 9", COUNTS)
    assert (now.updated_at, now.images) == (LATER, "images-1.jsonl")


@pytest.mark.parametrize("target", [S.SUCCEEDED, S.FAILED])
def test_a_job_that_is_through_speaks_of_no_file_and_stays(
    database: Database, target: DetectionJobStatus
) -> None:
    with database.writing() as rows:
        job = add(rows, add_project(rows), images="images-1.jsonl")
        attempt = claim(rows, job)

        assert finish(rows, job, attempt, target=target)

        now = found(rows, job)
        assert (now.status, now.status_message, now.counts) == (target, "over", COUNTS)
        assert (now.updated_at, now.images) == (LATER, None)
        again = rows.detection_jobs.claim(job.id, owner="x", now=LATER, lease_until=LATER)
        assert again is None
        assert not finish(rows, job, attempt)
        assert not rows.detection_jobs.cancel(job.id, status_message="", now=LATER)
        assert found(rows, job) == now


def test_an_end_without_counts_leaves_those_that_are_there(database: Database) -> None:
    with database.writing() as rows:
        job = add(rows, add_project(rows))
        attempt = claim(rows, job)
        report(rows, job, attempt)

        finish(rows, job, attempt, target=S.FAILED, counts=None)

        assert found(rows, job).counts == COUNTS


def refuses(rows: Rows, job: DetectionJob, attempt: int) -> bool:
    until = LATER + LEASE
    return not any(
        (
            report(rows, job, attempt),
            finish(rows, job, attempt),
            rows.detection_jobs.renew(job.id, attempt=attempt, lease_until=until),
        )
    )


def test_a_stale_attempt_writes_nothing(database: Database) -> None:
    with database.writing() as rows:
        job = add(rows, add_project(rows), images="images-1.jsonl")
        stale = claim(rows, job)
        rows.work.free_all()

        assert refuses(rows, job, stale)
        claim(rows, job, owner="two")
        held = found(rows, job)
        assert refuses(rows, job, stale)
        assert found(rows, job) == held


def test_whoever_works_on_a_cancelled_job_writes_nothing_more(database: Database) -> None:
    with database.writing() as rows:
        job = add(rows, add_project(rows), images="images-1.jsonl")
        attempt = claim(rows, job)

        assert rows.detection_jobs.cancel(job.id, status_message="Cancelled.", now=LATER)

        cancelled = found(rows, job)
        assert refuses(rows, job, attempt)
        assert found(rows, job) == cancelled
    assert (cancelled.status, cancelled.status_message) == (S.FAILED, "Cancelled.")
    assert (cancelled.updated_at, cancelled.images) == (LATER, None)


def test_files_are_kept_for_jobs_that_speak_of_them(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        add(rows, project, "a", images="images-1.jsonl")
        done = add(rows, project, "b", images="images-2.jsonl")
        add(rows, project, "c", manifest=MANIFEST)
        finish(rows, done, claim(rows, done))

        assert rows.detection_jobs.stored_names() == {"images-1.jsonl"}
        assert "images-1.jsonl" in rows.stored_names()


def test_a_job_outlives_its_model_and_goes_with_its_project(database: Database) -> None:
    with database.writing() as rows:
        project, other = add_project(rows), add_project(rows, "other")
        model = add_model(rows, project)
        job, kept = add(rows, project), add(rows, other)

        rows.models.delete(model.id)
        assert found(rows, job) == job
        rows.projects.delete(project.id)

        assert rows.detection_jobs.find("circuits", TRIAL, "night") is None
        assert found(rows, kept) == kept
