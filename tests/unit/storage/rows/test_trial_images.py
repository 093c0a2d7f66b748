from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from blemish.domain.detection_jobs import DetectionJob, TrialImage
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows
from tests.unit.manifests import url
from tests.unit.storage.rows.test_detection_jobs import add
from tests.unit.storage.samples import add_project


def image(position: int, key: str | None = None, *, line: str | None = None) -> TrialImage:
    return TrialImage(
        position=position,
        source_ref=url(key or f"{position}.png"),
        is_anomalous=position % 2 == 0,
        confidence=0.625,
        error=None,
        verified_line=line,
    )


BROKEN = TrialImage(
    position=5,
    source_ref=url("broken.png"),
    is_anomalous=None,
    confidence=None,
    error="It is no image.",
    verified_line=None,
)
IMAGES = [*map(image, range(1, 5)), BROKEN]


@pytest.fixture
def job(database: Database) -> DetectionJob:
    with database.writing() as rows:
        job = add(rows, add_project(rows))
        rows.trial_images.put(job.id, IMAGES)
    return job


def page(
    rows: Rows,
    job: DetectionJob,
    *,
    after: int = 0,
    limit: int = 100,
    verified: bool | None = None,
) -> list[TrialImage]:
    return rows.trial_images.page(job.id, after=after, limit=limit, verified=verified)


def test_images_come_back_page_by_page_as_they_were_put(
    database: Database, job: DetectionJob
) -> None:
    with database.reading() as rows:
        first = page(rows, job, limit=3)
        rest = page(rows, job, after=3, limit=3)

    assert (first, rest) == (IMAGES[:3], IMAGES[3:])


def test_what_is_put_again_takes_the_place_of_what_was_there(
    database: Database, job: DetectionJob
) -> None:
    with database.writing() as rows:
        other = add(rows, add_project(rows, "other"))
        rows.trial_images.put(other.id, IMAGES)

        rows.trial_images.put(job.id, [image(1, "9.png")])
        assert page(rows, job) == [image(1, "9.png")]
        rows.trial_images.put(job.id, [])

        assert page(rows, job) == []
        assert page(rows, other) == IMAGES


def test_a_image_is_in_a_trial_once(database: Database, job: DetectionJob) -> None:
    twice = [image(1, "same.png"), image(2, "same.png")]

    with pytest.raises(IntegrityError), database.writing() as rows:
        rows.trial_images.put(job.id, twice)


def test_what_could_not_be_judged_is_not_among_the_judged(
    database: Database, job: DetectionJob
) -> None:
    with database.reading() as rows:
        assert rows.trial_images.detected_refs(job.id) == {each.source_ref for each in IMAGES[:4]}


def test_verified_lines_are_of_one_trial_in_its_order_and_may_change(
    database: Database, job: DetectionJob
) -> None:
    with database.writing() as rows:
        other = add(rows, add_project(rows, "other"))
        rows.trial_images.put(other.id, IMAGES)
        rows.trial_images.verify(job.id, {url("3.png"): "third", url("1.png"): "first"})

        rows.trial_images.verify(job.id, {url("3.png"): "third anew", url("absent.png"): "none"})

        lines = rows.trial_images.verified(job.id)
        assert list(lines.items()) == [(url("1.png"), "first"), (url("3.png"), "third anew")]
        assert rows.trial_images.verified(other.id) == {}
        assert page(rows, job, verified=True) == [
            image(1, line="first"),
            image(3, line="third anew"),
        ]
        assert page(rows, job, verified=False) == [IMAGES[1], *IMAGES[3:]]
        assert page(rows, job, after=1, limit=1, verified=True) == [image(3, line="third anew")]


def test_images_go_with_the_project_of_their_trial(database: Database, job: DetectionJob) -> None:
    with database.writing() as rows:
        project = rows.projects.find("circuits")
        assert project is not None
        other = add(rows, add_project(rows, "other"))
        rows.trial_images.put(other.id, IMAGES)

        rows.projects.delete(project.id)

        assert page(rows, job) == []
        assert page(rows, other) == IMAGES
