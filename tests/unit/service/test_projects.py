from __future__ import annotations

from dataclasses import replace

import pytest

from blemish.domain.entities import DatasetType, ModelStatus
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ServiceQuotaExceededError,
    ValidationError,
)
from blemish.domain.limits import OURS
from blemish.service.next_tokens import next_token
from tests.unit.fakes import FakeHosting
from tests.unit.house import House


def names(house: House, token: str | None = None, *, limit: int) -> tuple[list[str], str | None]:
    page, token = house.projects.page(token=token, limit=limit)
    return [project.name for project in page], token


def test_a_project_is_described_as_it_was_made(house: House) -> None:
    made = house.projects.create("circuits")

    project, datasets = house.projects.describe("circuits")

    assert project == made
    assert (project.name, project.created_at) == ("circuits", house.clock.time)
    assert datasets == []


def test_a_project_is_described_with_its_datasets(house: House) -> None:
    house.project()
    for kind in (DatasetType.TEST, DatasetType.TRAIN):
        house.datasets.create("circuits", kind, manifest=None)

    _, datasets = house.projects.describe("circuits")

    assert [dataset.type for dataset in datasets] == [DatasetType.TRAIN, DatasetType.TEST]


def test_a_name_is_given_once(house: House) -> None:
    house.project("circuits")

    with pytest.raises(ConflictError) as caught:
        house.projects.create("circuits")

    assert caught.value.message == "Project circuits exists already."
    assert caught.value.resource_type is ResourceType.PROJECT
    assert caught.value.resource_id == "circuits"


def test_names_differ_by_case(house: House) -> None:
    house.project("circuits")

    assert house.projects.create("Circuits").name == "Circuits"


def test_there_are_no_more_projects_than_allowed(house: House) -> None:
    house.apply(replace(OURS, max_projects=2))
    house.project("a")
    house.project("b")

    with pytest.raises(ServiceQuotaExceededError) as caught:
        house.projects.create("c")

    assert caught.value.message == "There can be at most 2 projects."
    assert names(house, limit=5)[0] == ["b", "a"]


@pytest.mark.parametrize("operation", ["describe", "delete"])
def test_an_unknown_project_is_not_found(house: House, operation: str) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        getattr(house.projects, operation)("..")

    assert caught.value.message == "Project .. does not exist."
    assert caught.value.resource_type is ResourceType.PROJECT
    assert caught.value.resource_id == ".."


def test_projects_are_listed_newest_first_and_page_by_page(house: House) -> None:
    for name in ("a", "b", "c", "d", "e"):
        house.project(name)

    first, token = names(house, limit=2)
    second, token = names(house, token, limit=2)
    third, end = names(house, token, limit=2)

    assert [first, second, third] == [["e", "d"], ["c", "b"], ["a"]]
    assert end is None


def test_a_page_that_is_just_full_is_the_last(house: House) -> None:
    house.project("a")
    house.project("b")

    assert names(house, limit=2) == (["b", "a"], None)


def test_no_project_is_an_empty_page(house: House) -> None:
    assert names(house, limit=2) == ([], None)


def test_a_project_made_or_deleted_between_pages_shifts_nothing(house: House) -> None:
    for name in ("a", "b", "c", "d"):
        house.project(name)
    _, token = names(house, limit=2)
    house.project("new")
    house.projects.delete("c")

    assert names(house, token, limit=2) == (["b", "a"], None)


def test_the_token_of_another_list_is_refused(house: House) -> None:
    with pytest.raises(ValidationError):
        house.projects.page(token=next_token("models/1", 5))


def test_a_deleted_project_is_gone_and_its_name_is_free(house: House) -> None:
    first = house.projects.create("circuits")

    house.projects.delete("circuits")

    assert names(house, limit=5) == ([], None)
    assert house.projects.create("circuits").id != first.id


def test_a_project_with_a_dataset_is_not_deleted(house: House) -> None:
    house.project()
    house.datasets.create("circuits", DatasetType.TRAIN, manifest=None)

    with pytest.raises(ConflictError) as caught:
        house.projects.delete("circuits")

    assert caught.value.message == (
        "Project circuits still has 1 datasets and 0 models. Delete them first."
    )
    assert house.projects.describe("circuits")


def test_a_project_with_a_model_is_not_deleted(house: House) -> None:
    house.project()
    house.images(normal=15)
    house.model()
    house.datasets.delete("circuits", DatasetType.TRAIN)
    house.settle()

    with pytest.raises(ConflictError) as caught:
        house.projects.delete("circuits")

    assert "0 datasets and 1 models" in caught.value.message


def test_a_project_whose_datasets_and_models_are_being_deleted_goes_with_them(
    trainable: House,
) -> None:
    model = trainable.trained()
    trainable.models.delete("circuits", "1")
    trainable.datasets.delete("circuits", DatasetType.TRAIN)
    dataset, attempt = trainable.claim_dataset()

    trainable.projects.delete("circuits")

    assert names(trainable, limit=5) == ([], None)
    assert list(trainable.directory.bundles.iterdir()) == []
    assert trainable.stored_names() == set()
    trainable.project()
    trainable.dataset_work.carry_out(dataset, attempt=attempt)
    trainable.hosting_work(FakeHosting()).carry_out(
        replace(model, status=ModelStatus.DELETING), attempt=1
    )
    assert trainable.projects.describe("circuits")[1] == []


def test_a_project_with_a_dataset_beside_one_that_is_being_deleted_stays(house: House) -> None:
    house.project()
    for kind in DatasetType:
        house.datasets.create("circuits", kind, manifest=None)
    house.datasets.delete("circuits", DatasetType.TEST)

    with pytest.raises(ConflictError, match="still has 1 datasets and 0 models"):
        house.projects.delete("circuits")

    assert len(house.projects.describe("circuits")[1]) == 2
