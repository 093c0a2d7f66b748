from __future__ import annotations

from collections.abc import Callable

import pytest

from blemish.domain.entities import DatasetType, ModelStatus, Tag
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ValidationError,
)
from blemish.domain.packaging import Component, PackagingJob, PackagingJobStatus
from blemish.service.next_tokens import next_token
from blemish.service.projects import require_project
from tests.unit.components import component
from tests.unit.house import House

S = ModelStatus
UNTRAINED = [S.TRAINING, S.TRAINING_FAILED, S.DELETING]


@pytest.fixture
def packaged(trainable: House) -> House:
    """The services, with a trained model."""
    trainable.trained()
    return trainable


def start(
    house: House,
    name: str | None = None,
    *,
    version: str = "1",
    made: Component | None = None,
    project: str = "circuits",
) -> PackagingJob:
    return house.packaging.start(
        project, version, name=name, description=None, component=made or component()
    )


def jobs(house: House) -> list[PackagingJob]:
    return house.packaging.page("circuits", token=None)[0]


def fail(house: House, job: PackagingJob) -> None:
    """Take a job and end it as failed."""
    now = house.clock()
    with house.database.writing() as rows:
        attempt = rows.packaging_jobs.claim(
            job.id, owner="test", now=now, lease_until=house.clock.advance(1)
        )
        assert attempt is not None
        assert rows.packaging_jobs.finish(
            job.id,
            attempt=attempt,
            target=PackagingJobStatus.FAILED,
            status_message="The disk is full.",
            now=now,
        )


def test_a_job_is_recorded_for_the_reconciler(packaged: House) -> None:
    made = component(version="4.5.6", tags=(Tag(key="line", value="4"),))
    wakes = packaged.wakes

    job = packaged.packaging.start(
        "circuits", "1", name="first", description="try it", component=made
    )

    assert (job.project, job.name, job.model_version) == ("circuits", "first", 1)
    assert (job.description, job.component) == ("try it", made)
    assert job.status is PackagingJobStatus.CREATED
    assert job.status_message == "The model waits to be packaged."
    assert job.created_at == job.updated_at == packaged.clock.time
    assert packaged.packaging.describe("circuits", "first") == job
    assert packaged.wakes == wakes + 1


def test_a_job_without_a_name_gets_one_of_its_own(packaged: House) -> None:
    names = {start(packaged, made=component(version=f"{i}.0.0")).name for i in range(3)}

    assert len(names) == 3


def test_latest_is_the_newest_version_and_gives_the_component_its_own(packaged: House) -> None:
    packaged.trained()

    job = start(packaged, version="latest")

    assert job.model_version == 2
    assert job.component.version == "2.0.0"


@pytest.mark.parametrize("status", sorted(set(S) - set(UNTRAINED)))
def test_a_trained_model_can_be_packaged(trainable: House, status: ModelStatus) -> None:
    trainable.trained(status)

    assert start(trainable).status is PackagingJobStatus.CREATED


@pytest.mark.parametrize("status", UNTRAINED)
def test_no_other_model_can(trainable: House, status: ModelStatus) -> None:
    model = trainable.model(status)

    with pytest.raises(ConflictError) as caught:
        start(trainable)

    arn = trainable.arns.model("circuits", model.version)
    assert caught.value.message == (
        f"Model {arn} is {status}; a model can be packaged when it is trained."
    )
    assert (caught.value.resource_type, caught.value.resource_id) == (ResourceType.MODEL, arn)
    assert jobs(trainable) == []


def test_a_name_is_taken_once_in_a_project(packaged: House) -> None:
    start(packaged, "first", made=component(version="1.0.0"))

    with pytest.raises(ConflictError) as caught:
        start(packaged, "first", made=component(version="2.0.0"))

    assert caught.value.message == (
        "Project circuits has a model packaging job first already. Choose another."
    )
    assert caught.value.resource_type is ResourceType.MODEL_PACKAGE_JOB
    assert caught.value.resource_id == "circuits/first"
    assert len(jobs(packaged)) == 1


def test_a_component_whose_job_failed_can_be_asked_for_again(packaged: House) -> None:
    fail(packaged, start(packaged, "first", made=component(version="1.0.0")))

    start(packaged, "second", made=component(version="1.0.0"))

    assert [job.name for job in jobs(packaged)] == ["second", "first"]


@pytest.mark.parametrize("status", sorted(set(PackagingJobStatus) - {PackagingJobStatus.FAILED}))
def test_a_component_whose_job_did_not_fail_is_made_once(
    packaged: House, status: PackagingJobStatus
) -> None:
    with packaged.database.writing() as rows:
        rows.packaging_jobs.add(
            require_project(rows, "circuits").id,
            name="first",
            model_version=1,
            description=None,
            component=component(version="1.0.0"),
            status=status,
            status_message="",
            now=packaged.clock.time,
        )
    start(packaged, "second", made=component(version="1.0.1"))
    start(packaged, "third", made=component(version="1.0.0", name="Circuits"))

    with pytest.raises(ConflictError) as caught:
        start(packaged, "fourth", made=component(version="1.0.0"))

    assert caught.value.message == (
        "Version 1.0.0 of the component circuits is made by the model packaging job first of "
        f"project circuits, which is {status}. Choose another."
    )
    assert caught.value.resource_type is ResourceType.MODEL_PACKAGE_JOB
    assert caught.value.resource_id == "circuits/first"
    assert len(jobs(packaged)) == 3


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (component(target_device=None), "it names neither"),
        (component(compiler_options="{}"), "not with TargetDevice"),
        (component(tags=(Tag(key="a", value=""), Tag(key="a", value=""))), "is there 2 times"),
        (component(tags=(Tag(key="aws:a", value=""),)), "is reserved"),
        (
            component(output_bucket="nowhere"),
            "S3OutputLocation names the bucket nowhere, which does not exist",
        ),
        (component(output_prefix="../"), "S3OutputLocation cannot be written to"),
    ],
)
def test_what_cannot_be_made_is_refused(packaged: House, made: Component, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        start(packaged, made=made)

    assert jobs(packaged) == []


def test_a_model_is_not_deleted_while_a_job_needs_it(packaged: House) -> None:
    job = start(packaged, "first")

    with pytest.raises(ConflictError) as caught:
        packaged.models.delete("circuits", "1")

    assert caught.value.message == (
        "Model arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/1 is needed by the "
        "model packaging job first, which is CREATED. Wait for it to end first."
    )
    fail(packaged, job)
    assert packaged.models.delete("circuits", "1").version == 1


def test_an_unknown_model_or_project_is_not_found(packaged: House) -> None:
    for project, version, kind in (
        ("circuits", "2", ResourceType.MODEL),
        ("unknown", "latest", ResourceType.PROJECT),
    ):
        with pytest.raises(ResourceNotFoundError) as caught:
            start(packaged, project=project, version=version)
        assert caught.value.resource_type is kind


def test_an_unknown_job_is_not_found(packaged: House) -> None:
    start(packaged, "first")

    with pytest.raises(ResourceNotFoundError) as caught:
        packaged.packaging.describe("circuits", "First")

    assert caught.value.message == "Project circuits has no model packaging job First."
    assert caught.value.resource_type is ResourceType.MODEL_PACKAGE_JOB
    assert caught.value.resource_id == "circuits/First"


def test_jobs_of_no_project_are_not_found(house: House) -> None:
    uses: list[Callable[[], object]] = [
        lambda: house.packaging.describe("unknown", "first"),
        lambda: house.packaging.page("unknown", token=None),
    ]
    for use in uses:
        with pytest.raises(ResourceNotFoundError) as caught:
            use()
        assert caught.value.resource_type is ResourceType.PROJECT


def test_jobs_are_listed_newest_first_and_page_by_page(packaged: House) -> None:
    for name in ("a", "b", "c"):
        start(packaged, name, made=component(name=name))

    first, token = packaged.packaging.page("circuits", token=None, limit=2)
    second, end = packaged.packaging.page("circuits", token=token, limit=2)

    assert [[job.name for job in page] for page in (first, second)] == [["c", "b"], ["a"]]
    assert end is None


def test_the_token_of_another_list_is_refused(packaged: House) -> None:
    with pytest.raises(ValidationError, match="NextToken"):
        packaged.packaging.page("circuits", token=next_token("models/1", 5))


def test_jobs_stay_without_their_model_and_go_with_the_project(packaged: House) -> None:
    start(packaged, "first")
    with packaged.database.writing() as rows:
        rows.models.delete(packaged.models.describe("circuits", "1").id)
    packaged.datasets.delete("circuits", DatasetType.TRAIN)
    packaged.settle()
    assert [job.name for job in jobs(packaged)] == ["first"]

    packaged.projects.delete("circuits")

    packaged.project()
    assert jobs(packaged) == []
