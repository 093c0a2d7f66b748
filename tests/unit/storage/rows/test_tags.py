from __future__ import annotations

import pytest

from blemish.domain.entities import Model
from blemish.storage.database.database import Database
from tests.unit.storage.samples import add_model, add_project


@pytest.fixture
def models(database: Database) -> tuple[Model, Model]:
    """Two models of one project, without tags."""
    with database.writing() as rows:
        project = add_project(rows)
        return add_model(rows, project), add_model(rows, project)


def test_tags_come_back_in_the_order_of_their_keys(
    database: Database, models: tuple[Model, Model]
) -> None:
    model, _ = models
    tags = {"stage": "", "Ä": "ö", "line": "4", "Line": "5", "a b": "=+-@_.:/"}

    with database.writing() as rows:
        rows.tags.put(model, tags)

    with database.reading() as rows:
        found = rows.tags.of(model)
    assert found == tags
    assert list(found) == ["Line", "a b", "line", "stage", "Ä"]


def test_a_known_key_gets_the_new_value(database: Database, models: tuple[Model, Model]) -> None:
    model, _ = models
    with database.writing() as rows:
        rows.tags.put(model, {"stage": "dev", "line": "4"})

        rows.tags.put(model, {"stage": "prod", "shift": "late"})
        rows.tags.put(model, {})

        assert rows.tags.of(model) == {"stage": "prod", "line": "4", "shift": "late"}


def test_tags_are_removed_by_their_keys(database: Database, models: tuple[Model, Model]) -> None:
    model, _ = models
    with database.writing() as rows:
        rows.tags.put(model, {"stage": "dev", "line": "4", "shift": "late"})

        rows.tags.remove(model, ["line", "stage", "unknown", "SHIFT"])
        rows.tags.remove(model, [])

        assert rows.tags.of(model) == {"shift": "late"}


def test_tags_belong_to_one_model(database: Database, models: tuple[Model, Model]) -> None:
    model, other = models
    with database.writing() as rows:
        for each in models:
            rows.tags.put(each, {"line": str(each.version), "stage": "dev"})

        rows.tags.remove(model, ["line"])

        assert rows.tags.of(model) == {"stage": "dev"}
        assert rows.tags.of(other) == {"line": "2", "stage": "dev"}


def test_tags_go_with_their_model(database: Database, models: tuple[Model, Model]) -> None:
    model, other = models
    with database.writing() as rows:
        for each in models:
            rows.tags.put(each, {"line": "4"})

        rows.models.delete(model.id)

        assert rows.tags.of(model) == {}
        assert rows.tags.of(other) == {"line": "4"}
