from __future__ import annotations

import pytest

from blemish.domain.entities import ModelStatus
from blemish.domain.errors import ConflictError, ResourceNotFoundError
from blemish.service.deletions import UNDO_AGE, TrashService
from tests.unit.house import PROJECT, House


@pytest.fixture
def trash(house: House) -> TrashService:
    house.project()
    return house.services.trash


def pass_a_day(house: House, trash: TrashService, *, passes: int = 1) -> None:
    """Let a day pass, and the housekeeper come so many times."""
    house.clock.advance(UNDO_AGE.total_seconds() + 1)
    for _ in range(passes):
        trash.delete_older(house.clock() - UNDO_AGE)


def test_a_project_in_the_trash_is_unchanged_and_comes_back(
    house: House, trash: TrashService
) -> None:
    house.images(normal=15)
    model = house.trained(ModelStatus.HOSTED)

    trash.move_project(PROJECT, by="anna")
    trash.move_project(PROJECT, by="berta")
    (item,) = trash.items()
    names = trash.projects()
    trash.restore_project(PROJECT)
    pass_a_day(house, trash)

    assert (item.project, item.version, item.moved_by) == (PROJECT, None, "anna")
    assert names == {PROJECT}
    assert trash.items() == []
    assert house.described(model).status is ModelStatus.HOSTED


def test_what_may_be_half_deleted_is_not_restored(house: House, trash: TrashService) -> None:
    house.images(normal=15)
    house.trained()
    trash.move_project(PROJECT, by="anna")

    pass_a_day(house, trash)  # the model is deleted, the project follows
    with pytest.raises(ResourceNotFoundError, match="being deleted"):
        trash.restore_project(PROJECT)

    assert trash.projects() == {PROJECT}


def test_nothing_is_deleted_before_the_day_is_over(house: House, trash: TrashService) -> None:
    trash.move_project(PROJECT, by="anna")
    house.clock.advance(UNDO_AGE.total_seconds() - 1)

    trash.delete_older(house.clock() - UNDO_AGE)

    assert house.projects.describe(PROJECT)
    assert trash.projects() == {PROJECT}


def test_after_a_day_a_project_is_stopped_emptied_and_deleted_step_by_step(
    house: House, trash: TrashService
) -> None:
    house.images(normal=15)
    model = house.trained(ModelStatus.HOSTED)
    trash.move_project(PROJECT, by="anna")

    pass_a_day(house, trash)
    assert house.described(model).status is ModelStatus.STOPPING_HOSTING
    house.put_into(model, ModelStatus.TRAINED)
    for _ in range(3):  # the model, the dataset, the project
        assert house.projects.describe(PROJECT)
        trash.delete_older(house.clock())

    with pytest.raises(ResourceNotFoundError):
        house.projects.describe(PROJECT)
    assert trash.items() == []


def test_a_model_is_deleted_after_a_day_and_the_project_stays(
    house: House, trash: TrashService
) -> None:
    house.images(normal=15)
    model = house.trained()
    trash.move_model(PROJECT, "1", by="anna")
    assert trash.versions(PROJECT) == {"1"}

    pass_a_day(house, trash)

    assert house.described(model).status is ModelStatus.DELETING
    assert trash.projects() == frozenset()


def test_what_the_api_deleted_is_no_longer_in_the_trash(house: House, trash: TrashService) -> None:
    trash.move_project(PROJECT, by="anna")

    house.projects.delete(PROJECT)
    house.project()  # another one of the same name

    assert trash.items() == []
    with pytest.raises(ResourceNotFoundError, match="not in the trash"):
        trash.restore_project(PROJECT)
    pass_a_day(house, trash)
    assert house.projects.describe(PROJECT)


def test_a_hosted_model_and_an_unknown_project_are_refused(
    house: House, trash: TrashService
) -> None:
    house.images(normal=15)
    house.trained(ModelStatus.HOSTED)

    with pytest.raises(ConflictError, match="HOSTED"):
        trash.move_model(PROJECT, "1", by="anna")
    with pytest.raises(ResourceNotFoundError):
        trash.move_project("none", by="anna")
