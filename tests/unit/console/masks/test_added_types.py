from __future__ import annotations

from blemish.console.masks.added_types import MAX_ADDED_PROJECTS, AddedTypes


def test_added_types_are_remembered_for_a_while() -> None:
    added = AddedTypes()
    for number in range(MAX_ADDED_PROJECTS + 1):
        added.add(f"project-{number}", "crack")
    added.forget("project-1", "crack")
    added.forget("project-2", "chip")

    assert added.of("project-0") == ()
    assert added.of("project-1") == ()
    assert added.of("project-2") == ("crack",)
