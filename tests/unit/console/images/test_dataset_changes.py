from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.console.images.dataset_changes import CHANGE_BYTES, batches
from blemish.console.images.dataset_entries import remember_changes
from blemish.console.images.entry import entry_of
from blemish.console.memory import ConsoleMemory, DatasetState
from blemish.console.visitor import Visitor
from blemish.domain.entities import Dataset, DatasetType, Label
from tests.unit.house import House
from tests.unit.manifests import json_line


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=300), max_size=30))
def test_batches_hold_every_line_in_its_order(lines: list[str]) -> None:
    joined = b"".join(batches(lines))

    assert joined == b"".join(line.encode() + b"\n" for line in lines)


def test_a_batch_is_no_larger_than_the_api_takes() -> None:
    lines = ["x" * (CHANGE_BYTES // 3)] * 5

    sizes = [len(batch) for batch in batches(lines)]

    assert len(sizes) == 3
    assert max(sizes) <= CHANGE_BYTES


@pytest.fixture
def memory() -> ConsoleMemory:
    return ConsoleMemory()


@pytest.fixture
def visitor(memory: ConsoleMemory) -> Visitor:
    return cast(Visitor, SimpleNamespace(services=SimpleNamespace(memory=memory)))


def state(dataset: Dataset) -> DatasetState:
    return dataset.id, dataset.updated_at, dataset.status


def apply(house: House, *lines: str) -> Any:
    house.clock.advance(1)
    changes = "\n".join(lines).encode()
    return house.datasets.update_now("circuits", DatasetType.TRAIN, changes=changes)


def test_changed_entries_are_remembered_as_they_would_be_read(
    house: House, memory: ConsoleMemory, visitor: Visitor
) -> None:
    house.project()
    dataset = house.dataset(house.lines(Label.NORMAL, 4))
    memory.entries.put(state(dataset), tuple(map(entry_of, house.entry_lines())))
    house.put("new.png")

    applied = apply(house, json_line("new.png"), json_line("normal-2.png", "anomaly"))
    remember_changes(visitor, applied)

    entries = tuple(map(entry_of, house.entry_lines()))
    assert memory.entries.find(state(applied.after)) == entries


def test_entries_that_somebody_else_changed_too_are_read_again(
    house: House, memory: ConsoleMemory, visitor: Visitor
) -> None:
    house.project()
    dataset = house.dataset(house.lines(Label.NORMAL, 4))
    memory.entries.put(state(dataset), tuple(map(entry_of, house.entry_lines())))
    apply(house, json_line("normal-1.png", "anomaly"))

    applied = apply(house, json_line("normal-2.png", "anomaly"))
    remember_changes(visitor, applied)

    assert memory.entries.find(state(applied.after)) is None
