from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from blemish.domain.entities import DatasetEntry, ImageStats, Label
from blemish.domain.line_notes import NO_NOTES
from blemish.domain.manifest import parse_line
from blemish.storage.database.database import Database
from blemish.storage.database.sqlite import SqliteEngine
from blemish.storage.rows.entries import BATCH, Entries
from tests.unit.manifests import json_line, mask_fields, url
from tests.unit.storage.samples import NOW, add_dataset, add_project, entry

NO_FILTER: dict[str, Any] = {
    "labeled": None,
    "label": None,
    "created_before": None,
    "created_after": None,
    "contains": None,
}
TIMES = [NOW + timedelta(microseconds=i) for i in range(4)]
KEYS = st.text(st.sampled_from("aA%_\\/ä'"), min_size=1, max_size=4)
ENTRIES = st.builds(
    entry,
    KEYS,
    st.sampled_from([None, *Label]),
    at=st.sampled_from([None, *TIMES]),
    line=st.uuids().map(str),
)
SAME_DATABASE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def dataset_id(database: Database) -> int:
    with database.writing() as rows:
        return add_dataset(rows, add_project(rows)).id


def put(database: Database, dataset_id: int, entries: Iterable[DatasetEntry]) -> None:
    with database.writing() as rows:
        rows.entries.put(dataset_id, entries, now=NOW)


def saved(database: Database, dataset_id: int) -> list[str]:
    with database.reading() as rows:
        return list(rows.entries.lines(dataset_id))


def new_dataset(database: Database) -> int:
    """Add a dataset for one example of a property."""
    with database.writing() as rows:
        count = rows.projects.count()
        return add_dataset(rows, add_project(rows, f"example-{count}")).id


def remove(database: Database, dataset_id: int, keys: Iterable[str]) -> None:
    with database.writing() as rows:
        rows.entries.remove(dataset_id, [url(key) for key in keys])


def positions(database: Database, dataset_id: int, *, after: int = 0) -> dict[str, int]:
    with database.reading() as rows:
        found = rows.entries.page(dataset_id, after=after, limit=10_000, **NO_FILTER)
    return {line: position for position, line in found}


def test_removed_entries_are_gone_and_the_others_keep_their_positions(
    database: Database, dataset_id: int
) -> None:
    other = new_dataset(database)
    keys = [str(number) for number in range(2 * BATCH + 5)]
    for each in (dataset_id, other):
        put(database, each, [entry(key, line=key) for key in keys])
    before = positions(database, dataset_id)
    doomed = keys[1 : 2 * BATCH + 2 : 2]

    remove(database, dataset_id, doomed)

    assert positions(database, dataset_id) == {
        key: position for key, position in before.items() if key not in doomed
    }
    assert positions(database, other) == before


@SAME_DATABASE
@given(entries=st.lists(ENTRIES, max_size=8), removed=st.lists(KEYS, max_size=4))
def test_removed_entries_are_counted_no_longer(
    database: Database, entries: list[DatasetEntry], removed: list[str]
) -> None:
    dataset_id = new_dataset(database)
    put(database, dataset_id, entries)

    remove(database, dataset_id, removed)

    remaining = {entry.image.key: entry.label for entry in entries}
    labels = [label for key, label in remaining.items() if key not in removed]
    with database.reading() as rows:
        stats = rows.entries.stats(dataset_id)
    assert (stats.total, stats.normal, stats.anomaly) == (
        len(labels),
        labels.count(Label.NORMAL),
        labels.count(Label.ANOMALY),
    )


def test_those_without_an_entry_are_told_in_their_order(
    database: Database, dataset_id: int
) -> None:
    keys = [str(number) for number in range(BATCH + 5)]
    put(database, dataset_id, [entry(key, line=key) for key in keys])
    put(database, new_dataset(database), [entry("of another", line="{}")])
    asked = [url(key) for key in ("of another", *keys, "none")]

    with database.reading() as rows:
        assert rows.entries.unknown(dataset_id, asked) == [url("of another"), url("none")]


def test_the_position_of_a_removed_entry_is_not_given_again(
    database: Database, dataset_id: int
) -> None:
    put(database, dataset_id, [entry(key, line=key) for key in "abcd"])
    (paged_to,) = (at for key, at in positions(database, dataset_id).items() if key == "b")
    remove(database, dataset_id, "bcd")

    put(database, dataset_id, [entry("e", line="e")])

    assert list(positions(database, dataset_id, after=paged_to)) == ["e"]


@SAME_DATABASE
@given(puts=st.lists(st.lists(ENTRIES, max_size=6), max_size=4))
def test_a_known_image_keeps_its_place_and_gets_the_new_line(
    database: Database, puts: list[list[DatasetEntry]]
) -> None:
    dataset_id = new_dataset(database)
    expected: dict[str, DatasetEntry] = {}

    for entries in puts:
        put(database, dataset_id, entries)
        expected |= {each.image.key: each for each in entries}

    assert saved(database, dataset_id) == [each.line for each in expected.values()]
    labels = [each.label for each in expected.values()]
    with database.reading() as rows:
        assert rows.entries.stats(dataset_id) == ImageStats(
            total=len(labels),
            labeled=len(labels) - labels.count(None),
            normal=labels.count(Label.NORMAL),
            anomaly=labels.count(Label.ANOMALY),
        )


def test_an_image_that_comes_again_in_a_later_batch_replaces_its_line(
    database: Database, dataset_id: int
) -> None:
    keys = [str(i) for i in range(2 * BATCH)]
    again = entry("5", Label.ANOMALY, line="again")

    put(database, dataset_id, [*map(entry, keys), again])

    lines = saved(database, dataset_id)
    assert len(lines) == len(keys)
    assert lines[5] == "again"


@SAME_DATABASE
@given(
    entries=st.lists(ENTRIES, max_size=12),
    filters=st.fixed_dictionaries(
        {
            "labeled": st.sampled_from([None, True, False]),
            "label": st.sampled_from([None, *Label]),
            "created_before": st.sampled_from([None, *TIMES]),
            "created_after": st.sampled_from([None, *TIMES]),
            "contains": st.none() | KEYS,
        }
    ),
)
def test_pages_hold_what_passes_every_filter(
    database: Database, entries: list[DatasetEntry], filters: dict[str, Any]
) -> None:
    dataset_id = new_dataset(database)
    put(database, dataset_id, entries)

    found: list[str] = []
    after = 0
    with database.reading() as rows:
        while page := rows.entries.page(dataset_id, after=after, limit=2, **filters):
            found += [line for _, line in page]
            after = page[-1][0]

    remaining = {each.image.key: each for each in entries}
    assert found == [each.line for each in remaining.values() if passes(each, **filters)]


def passes(
    entry: DatasetEntry,
    *,
    labeled: bool | None,
    label: Label | None,
    created_before: datetime | None,
    created_after: datetime | None,
    contains: str | None,
) -> bool:
    created_at = entry.created_at or NOW
    return (
        (labeled is None or labeled == (entry.label is not None))
        and (label is None or entry.label is label)
        and (created_before is None or created_at < created_before)
        and (created_after is None or created_at > created_after)
        and (contains is None or contains in str(entry.image))
    )


def test_a_page_begins_at_the_first_position(database: Database, dataset_id: int) -> None:
    put(database, dataset_id, [entry("a", line="a"), entry("b", line="b")])

    with database.reading() as rows:
        page = rows.entries.page(dataset_id, after=0, limit=9, **NO_FILTER)

    assert page == [(1, "a"), (2, "b")]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"labeled": True},
        {"labeled": False},
        {"label": Label.ANOMALY},
        {"created_before": NOW, "created_after": NOW},
        {"contains": "x"},
    ],
)
def test_filters_are_decided_within_an_index(
    database: Database, dataset_id: int, filters: dict[str, Any]
) -> None:
    asked: list[tuple[str, Any]] = []

    engine = database._engine
    assert isinstance(engine, SqliteEngine)

    @event.listens_for(engine._readers, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, parameters: Any, *___: object) -> None:
        asked.append((statement, parameters))

    with database.reading() as rows:
        rows.entries.page(dataset_id, after=0, limit=9, **(NO_FILTER | filters))
        statement, parameters = asked[-1]
        connection = rows.entries._connection
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [step.detail for step in plan]

    assert [step for step in steps if "SEARCH entries USING COVERING INDEX" in step]
    assert not [step for step in steps if re.search("SCAN|TEMP B-TREE", step)]


def test_entries_are_read_back_as_they_were_parsed(database: Database, dataset_id: int) -> None:
    entries = [parse_line(json_line(f"{label}.png", label)) for label in (None, *Label)]

    put(database, dataset_id, entries)

    with database.reading() as rows:
        assert list(rows.entries.stream(dataset_id)) == entries


MASKS = st.lists(st.sampled_from(["dent", "scratch", "crack", "ä"]), max_size=3)
NOTED = st.sampled_from([None, "normal", "anomaly", "good", "defect"])


@SAME_DATABASE
@given(puts=st.lists(st.lists(st.tuples(KEYS, NOTED, MASKS), max_size=6), max_size=3))
def test_types_and_notes_are_those_of_the_lines_that_are_there(
    database: Database, puts: list[list[tuple[str, str | None, list[str]]]]
) -> None:
    dataset_id = new_dataset(database)
    expected: dict[str, DatasetEntry] = {}

    for values in puts:
        entries = [parse_line(line_of(key, label, types)) for key, label, types in values]
        put(database, dataset_id, entries)
        expected |= {entry.image.key: entry for entry in entries}

    noted = Counter(entry.notes for entry in expected.values() if entry.notes != NO_NOTES)
    with database.reading() as rows:
        assert rows.entries.anomaly_types(dataset_id) == {
            name for entry in expected.values() for name in entry.anomaly_types
        }
        assert dict(rows.entries.notes(dataset_id)) == noted


def line_of(key: str, label: str | None, types: list[str]) -> str:
    colors = {name: f"#0000{number:02X}" for number, name in enumerate(dict.fromkeys(types))}
    return json_line(key, label, **(mask_fields(url("mask.png"), colors) if colors else {}))


@pytest.mark.sqlite
@pytest.mark.parametrize("question", [Entries.anomaly_types, Entries.notes])
def test_a_dataset_is_summed_up_within_an_index(
    database: Database, dataset_id: int, question: Callable[[Entries, int], object]
) -> None:
    asked: list[tuple[str, Any]] = []

    engine = database._engine
    assert isinstance(engine, SqliteEngine)

    @event.listens_for(engine._readers, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, parameters: Any, *___: object) -> None:
        asked.append((statement, parameters))

    with database.reading() as rows:
        question(rows.entries, dataset_id)
        statement, parameters = asked[-1]
        connection = rows.entries._connection
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [step.detail for step in plan]

    assert [step for step in steps if "SEARCH entries USING COVERING INDEX" in step]
    assert not [step for step in steps if re.search("SCAN entries|TEMP B-TREE", step)]


def test_entries_know_their_bucket(database: Database, dataset_id: int) -> None:
    with database.writing() as rows:
        assert rows.entries.image_bucket(dataset_id) is None

        rows.entries.put(dataset_id, [entry("a")], now=NOW)

        assert rows.entries.image_bucket(dataset_id) == "images"


def test_a_dataset_has_no_entries_of_another(database: Database, dataset_id: int) -> None:
    other = new_dataset(database)

    put(database, dataset_id, [entry("a", line="mine"), entry("b", line="mine too")])
    put(database, other, [entry("a", line="other")])
    put(database, dataset_id, [entry("a", line="changed")])

    assert saved(database, dataset_id) == ["changed", "mine too"]
    assert saved(database, other) == ["other"]
    with database.reading() as rows:
        assert rows.entries.page(other, after=0, limit=9, **NO_FILTER) == [(1, "other")]
