from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from blemish.domain.entities import Project, Tag
from blemish.domain.packaging import Component, PackagingJob, PackagingJobStatus
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows
from tests.unit.components import GPU_PLATFORM, component
from tests.unit.storage.samples import NOW, add_model, add_project


def add(
    rows: Rows,
    project: Project,
    name: str = "job",
    *,
    made: Component | None = None,
    status: PackagingJobStatus = PackagingJobStatus.CREATED,
) -> PackagingJob:
    return rows.packaging_jobs.add(
        project.id,
        name=name,
        model_version=3,
        description="the first",
        component=made or component(version=name),
        status=status,
        status_message="waits",
        now=NOW,
    )


@pytest.mark.parametrize(
    "made",
    [
        component(version="1.0.0"),
        component(
            version="1.0.0",
            description="for the line",
            tags=(Tag(key="stage", value=""), Tag(key="line", value="4")),
            output_prefix="",
            target_device=None,
            target_platform=GPU_PLATFORM,
            compiler_options="{}",
        ),
        component(
            version="1.0.0",
            target_device=None,
            target_platform=replace(GPU_PLATFORM, accelerator=None),
        ),
    ],
)
def test_a_job_comes_back_as_it_was_added(database: Database, made: Component) -> None:
    with database.writing() as rows:
        job = add(rows, add_project(rows), made=made)

    with database.reading() as rows:
        assert rows.packaging_jobs.find("circuits", "job") == job
    assert job == PackagingJob(
        id=job.id,
        project="circuits",
        name="job",
        model_version=3,
        description="the first",
        component=made,
        status=PackagingJobStatus.CREATED,
        status_message="waits",
        created_at=NOW,
        updated_at=NOW,
        attempt=0,
    )


def test_jobs_are_found_by_name_and_by_component(database: Database) -> None:
    with database.writing() as rows:
        one, other = add_project(rows, "one"), add_project(rows, "other")
        job = add(rows, one, made=component(version="1.0.0"))
        add(rows, other, made=component(version="2.0.0"))

        assert rows.packaging_jobs.find("one", "job") == job
        assert rows.packaging_jobs.find("one", "Job") is None
        assert rows.packaging_jobs.find("absent", "job") is None
        assert rows.packaging_jobs.of_component("circuits", "1.0.0") == job
        assert rows.packaging_jobs.of_component("circuits", "3.0.0") is None
        assert rows.packaging_jobs.of_component("boards", "1.0.0") is None


def test_pages_of_jobs_go_from_the_newest_to_the_oldest(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        jobs = [add(rows, project, name) for name in "abcde"]
        add(rows, add_project(rows, "other"), "f")

        first = rows.packaging_jobs.page(project.id, before=None, limit=3)
        second = rows.packaging_jobs.page(project.id, before=first[-1].id, limit=3)

    assert first + second == jobs[::-1]


def test_a_name_is_given_once_in_a_project_and_a_component_once(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        add(rows, project, "a", made=component(version="1.0.0"))

    for name, version in (("a", "2.0.0"), ("b", "1.0.0")):
        with pytest.raises(IntegrityError), database.writing() as rows:
            add(rows, project, name, made=component(version=version))


def test_a_component_is_free_once_its_job_failed(database: Database) -> None:
    made, failed = component(version="1.0.0"), PackagingJobStatus.FAILED
    with database.writing() as rows:
        project = add_project(rows)
        add(rows, project, "a", made=made, status=failed)
        add(rows, project, "b", made=made, status=failed)
        assert rows.packaging_jobs.of_component("circuits", "1.0.0") is None

        job = add(rows, project, "c", made=made)

        assert rows.packaging_jobs.of_component("circuits", "1.0.0") == job


def test_a_job_outlives_its_model_and_goes_with_its_project(database: Database) -> None:
    with database.writing() as rows:
        project, other = add_project(rows), add_project(rows, "other")
        model = add_model(rows, project)
        job, kept = add(rows, project, "a"), add(rows, other, "b")

        rows.models.delete(model.id)
        assert rows.packaging_jobs.find("circuits", "a") == job
        rows.projects.delete(project.id)

        assert rows.packaging_jobs.find("circuits", "a") is None
        assert rows.packaging_jobs.of_component("circuits", "a") is None
        assert rows.packaging_jobs.find("other", "b") == kept
