from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from blemish.engine.runtime import Detection
from blemish.station.config import ImageRule, RecordsConfig, SinkConfig, WhenFull
from blemish.station.errors import DirectoryError, RecordsError
from blemish.station.lock import locked_directory
from blemish.station.records import Records
from blemish.station.schema import DATABASE
from tests.unit.station.captured import DETECTION, PNG, RULES, captured, sink_config, verdict_on
from tests.unit.station.verdicts import TIME

OpenRecords = Callable[..., Records]


@pytest.fixture
def open_records(folder: Path) -> Iterator[OpenRecords]:
    """Opens records in one directory."""
    opened: list[Records] = []

    def open_again(
        *sinks: SinkConfig, rules: RecordsConfig = RULES, now: Callable[[], datetime] = lambda: TIME
    ) -> Records:
        opened.append(Records(folder / "station", rules=rules, sinks=sinks, now=now))
        return opened[-1]

    yield open_again
    for records in opened:
        records.close()


def add(records: Records, number: int, *, detection: Detection | None = None) -> str:
    """Record the verdict on an image; return its id."""
    image = captured(number)
    stored = records.images.store(image, detection) if detection else None
    return records.add(verdict_on(image), image, stored=stored).id


def test_a_verdict_is_there_after_a_restart(open_records: OpenRecords) -> None:
    records = open_records(sink_config("a"))
    first, second = add(records, 1), add(records, 2)

    again = open_records(sink_config("a"))

    assert [entry.id for entry in again.last(10)] == [second, first]
    assert again.verdict(first) == verdict_on(captured(1))
    assert [entry.id for entry in again.pending("a", limit=10)] == [first, second]
    assert again.waiting("a") == 2
    assert again.remembered("line-1") == {first, second}


def test_a_repeated_verdict_changes_nothing(open_records: OpenRecords) -> None:
    records = open_records(sink_config("a"))
    name = add(records, 1)
    records.delivered("a", name)

    add(records, 1)

    assert records.waiting("a") == 0
    assert records.counters() == {
        ("source line-1", "detections"): 1,
        ("station", "anomalous"): 1,
        ("sink a", "delivered"): 1,
    }


def test_a_delivered_verdict_waits_for_the_other_sinks_alone(open_records: OpenRecords) -> None:
    records = open_records(sink_config("a"), sink_config("b"))
    name = add(records, 1)

    records.delivered("a", name)
    records.delivered("a", name)

    assert (records.waiting("a"), records.waiting("b")) == (0, 1)
    assert records.counters()["sink a", "delivered"] == 1


def test_verdicts_of_a_sink_that_is_not_configured_wait(open_records: OpenRecords) -> None:
    name = add(open_records(sink_config("a")), 1)

    assert open_records(sink_config("b")).waiting_for_others() == {"a": 1}
    again = open_records(sink_config("a"))
    assert again.waiting_for_others() == {}
    assert [entry.id for entry in again.pending("a", limit=10)] == [name]


def test_a_full_sink_leaves_no_room(open_records: OpenRecords) -> None:
    records = open_records(sink_config("a", limit=2))
    name = add(records, 1)
    assert records.has_room()

    add(records, 2)

    assert not records.has_room()
    records.delivered("a", name)
    assert records.has_room()


def test_a_full_sink_that_drops_has_the_newest_and_a_count(open_records: OpenRecords) -> None:
    sinks = (sink_config("a", limit=2, when_full=WhenFull.DROP_OLDEST), sink_config("b"))
    records = open_records(*sinks)

    names = [add(records, number) for number in range(5)]

    assert [entry.id for entry in records.pending("a", limit=10)] == names[3:]
    assert records.waiting("a") == 2
    assert records.counters()["sink a", "dropped"] == 3
    assert records.waiting("b") == 5
    assert records.has_room()


def test_a_refused_verdict_is_counted(open_records: OpenRecords) -> None:
    records = open_records(sink_config("a"))
    name = add(records, 1)

    records.refused("a", name)

    assert records.waiting("a") == 0
    assert records.counters()["sink a", "refused"] == 1


@pytest.mark.parametrize(
    ("rules", "scores"),
    [
        ({ImageRule.NONE}, []),
        ({ImageRule.ALL}, [0.5, 0.95, 1.05, 2.0]),
        ({ImageRule.ANOMALIES}, [1.05, 2.0]),
        ({ImageRule.UNCERTAIN}, [0.95, 1.05]),
        ({ImageRule.ANOMALIES, ImageRule.UNCERTAIN}, [0.95, 1.05, 2.0]),
    ],
)
def test_rules_say_which_images_are_stored(
    open_records: OpenRecords, rules: set[ImageRule], scores: list[float]
) -> None:
    records = open_records(rules=replace(RULES, images=frozenset(rules)))

    stored = [
        score
        for score in (0.5, 0.95, 1.05, 2.0)
        if records.wants_image(verdict_on(captured(), score=score, is_anomalous=score >= 1))
    ]

    assert stored == scores


def test_a_share_of_the_rest_is_stored(open_records: OpenRecords) -> None:
    records = open_records(rules=replace(RULES, images=frozenset(), share_of_rest=0.25))

    stored = [records.wants_image(verdict_on(captured(number))) for number in range(400)]

    assert 60 < sum(stored) < 140


def test_an_image_is_stored_with_heat_map_and_mask(open_records: OpenRecords) -> None:
    mask = np.zeros((16, 16), dtype=np.uint8)
    records = open_records()

    name = add(
        records, 1, detection=replace(DETECTION, classes=mask, colors=("#FFFFFF", "#23A436"))
    )

    entry = records.verdict(name)
    assert entry is not None
    assert entry.image_path is not None
    assert entry.image_path.read_bytes() == PNG + b"1"
    assert entry.heat_map_path is not None
    assert entry.heat_map_path.read_bytes().startswith(PNG)
    assert entry.mask_path is not None
    assert entry.mask_path.read_bytes().startswith(PNG)


def test_the_oldest_images_make_room_for_new_ones(open_records: OpenRecords) -> None:
    size_bytes = open_records().images.store(captured(1), DETECTION).size_bytes
    records = open_records(rules=replace(RULES, image_budget_bytes=2 * size_bytes))

    names = [add(records, number, detection=DETECTION) for number in range(1, 5)]

    paths = [entry.image_path for entry in map(records.verdict, names) if entry is not None]
    assert [path is not None for path in paths] == [False, False, True, True]
    folder = next(path.parent for path in paths if path)
    assert {path.name[:32] for path in folder.iterdir()} == set(names[2:])
    assert records.counters()["station", "images removed"] == 2


def test_what_a_kill_left_of_images_is_removed(open_records: OpenRecords) -> None:
    records = open_records()
    name = add(records, 1, detection=DETECTION)
    records.images.store(captured(2), DETECTION)

    records.remove_unfinished()

    entry = records.verdict(name)
    assert entry is not None
    assert entry.image_path is not None
    assert {path.name[:32] for path in entry.image_path.parent.iterdir()} == {name}


def test_the_oldest_delivered_verdicts_are_pruned(open_records: OpenRecords) -> None:
    records = open_records(sink_config("a"), rules=replace(RULES, most_verdicts=10))
    names = [add(records, number) for number in range(109)]
    for name in names[:105]:
        if name != names[3]:
            records.delivered("a", name)

    add(records, 109)

    left = {entry.id for entry in records.last(1_000)}
    assert names[3] in left
    assert len(left) == 10
    assert records.waiting("a") == 6


def test_verdicts_and_images_go_with_age_once_every_sink_has_them(
    open_records: OpenRecords, folder: Path
) -> None:
    now = TIME
    rules = replace(RULES, retention=timedelta(days=30))
    records = open_records(sink_config("a"), rules=rules, now=lambda: now)
    names = [add(records, number, detection=DETECTION) for number in range(3)]
    records.delivered("a", names[0])
    records.delivered("a", names[1])

    now = TIME + timedelta(days=29)
    records.remove_expired()
    before = [entry.id for entry in records.last(9)]
    now = TIME + timedelta(days=31)
    records.remove_expired()
    after = [entry.id for entry in records.last(9)]

    assert (before, after) == (names[::-1], [names[2]])
    files = [path.name[:32] for path in (folder / "station" / "images").iterdir()]
    assert set(files) == {names[2]}


def test_a_new_verdict_makes_old_ones_go(open_records: OpenRecords) -> None:
    now = TIME
    rules = replace(RULES, retention=timedelta(days=1))
    records = open_records(rules=rules, now=lambda: now)
    old = add(records, 1)

    now = TIME + timedelta(days=2)
    new = add(records, 2)

    assert [entry.id for entry in records.last(9)] == [new]
    assert records.remembered("line-1") == {old, new}  # neither is judged again


def test_images_for_the_server_are_the_stored_ones_that_it_lacks(
    open_records: OpenRecords,
) -> None:
    records = open_records()
    first, second = (add(records, number, detection=DETECTION) for number in (1, 2))
    add(records, 3)

    records.mark_synced([first])

    assert [e.id for e in records.unsynced(limit=9, only_uncertain=False)] == [second]
    assert records.unsynced(limit=9, only_uncertain=True) == []


def test_a_source_knows_what_it_dropped_and_forgets_what_is_gone(
    open_records: OpenRecords,
) -> None:
    records = open_records()
    records.fail(captured(1))
    records.drop(["x", "y"], source="line-1", is_remembered=True)

    records.forget("line-1", ["x"])

    assert records.remembered("line-1") == {captured(1).id, "y"}
    assert records.counters() == {
        ("source line-1", "failed"): 1,
        ("source line-1", "dropped"): 2,
    }


def test_a_position_is_that_of_the_last_image(open_records: OpenRecords) -> None:
    records = open_records()
    assert records.position("line-1") is None

    for position in ("7", "8"):
        image = captured(int(position), position=position)
        records.add(verdict_on(image), image)

    assert records.position("line-1") == "8"


def test_a_write_that_fails_changes_nothing(open_records: OpenRecords, folder: Path) -> None:
    records = open_records(sink_config("a"))
    with sqlite3.connect(folder / "station" / DATABASE) as other:
        other.execute("DROP TABLE deliveries")

    with pytest.raises(RecordsError, match="cannot be written"):
        add(records, 1)

    assert records.last(10) == []
    assert records.waiting("a") == 0


def test_records_of_a_newer_version_are_refused(open_records: OpenRecords, folder: Path) -> None:
    open_records()
    with sqlite3.connect(folder / "station" / DATABASE) as other:
        other.execute("PRAGMA user_version = 99")

    with pytest.raises(DirectoryError, match="version 99"):
        open_records()


def test_a_directory_that_cannot_be_used_is_refused(folder: Path) -> None:
    (folder / "file").write_text("")

    with pytest.raises(DirectoryError, match="cannot be used"):
        Records(folder / "file", rules=RULES)
    with pytest.raises(DirectoryError, match="cannot be used"), locked_directory(folder / "file"):
        pass


def test_a_directory_is_for_one_station(folder: Path) -> None:
    with (
        locked_directory(folder),
        pytest.raises(DirectoryError, match="Another station runs"),
        locked_directory(folder),
    ):
        pass

    with locked_directory(folder):
        pass
