from __future__ import annotations

from blemish.storage.database.database import Database
from tests.unit.storage.samples import NOW, add_project


def test_projects_are_found_by_their_exact_name(database: Database) -> None:
    with database.writing() as rows:
        project = rows.projects.add("circuits", created_at=NOW)

    with database.reading() as rows:
        assert rows.projects.find("circuits") == project
        assert rows.projects.find("Circuits") is None
        assert rows.projects.count() == 1


def test_pages_of_projects_go_from_the_newest_to_the_oldest(database: Database) -> None:
    with database.writing() as rows:
        oldest, *_, newest = [add_project(rows, name) for name in "abcde"]

    with database.reading() as rows:
        first = rows.projects.page(before=None, limit=3)
        second = rows.projects.page(before=first[-1].id, limit=3)
        assert rows.projects.page(before=oldest.id, limit=3) == []

    assert [project.name for project in first] == ["e", "d", "c"]
    assert [project.name for project in second] == ["b", "a"]
    assert first[0] == newest


def test_a_deleted_project_is_gone(database: Database) -> None:
    with database.writing() as rows:
        kept, deleted = add_project(rows, "kept"), add_project(rows, "deleted")

        rows.projects.delete(deleted.id)

        assert rows.projects.page(before=None, limit=3) == [kept]


def test_versions_are_counted_for_each_project_and_never_given_again(database: Database) -> None:
    with database.writing() as rows:
        one, other = add_project(rows, "one"), add_project(rows, "other")
        versions = [
            rows.projects.next_model_version(project.id) for project in (one, one, other, one)
        ]

    assert versions == [1, 2, 1, 3]
