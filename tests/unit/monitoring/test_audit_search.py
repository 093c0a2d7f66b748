from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest

from blemish.domain.audit_search import AuditFilter, AuditOutcome
from blemish.domain.errors import ValidationError
from blemish.monitoring.audit_search import PAGE, AuditSearch

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(number: int, *, user: str = "anna", error: str | None = None) -> str:
    """Return the line of a record; four of them share a second."""
    at = START + timedelta(seconds=number // 4)
    members = {
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "userIdentity": {"userName": user},
        "eventName": "UpdateModelThreshold" if number % 2 else "DeleteModel",
        "requestParameters": {"number": number},
        "sourceIPAddress": "192.0.2.7",
    }
    ending = {"errorCode": "AccessDeniedException", "errorMessage": error} if error else {}
    return json.dumps(members | ending) + "\n"


def numbers(search: AuditSearch, wanted: AuditFilter) -> list[list[int]]:
    """Return the numbers of the entries on each page."""
    pages, position = [], None
    while True:
        results = search.page(wanted, position=position)
        pages.append([int(entry.details.removeprefix("number: ")) for entry in results.entries])
        position = results.next_position
        if position is None:
            return pages


def test_pages_show_every_entry_once_the_newest_first(tmp_path: Path) -> None:
    lines = [record(number) for number in range(130)]
    (tmp_path / "2026-03-01.0001.jsonl.gz").write_bytes(gzip.compress("".join(lines[:50]).encode()))
    (tmp_path / "2026-03-01.0002.jsonl").write_text("".join(lines[50:]) + '{"eventTime": "20')

    pages = numbers(AuditSearch(tmp_path), AuditFilter())

    assert [len(page) for page in pages] == [PAGE, PAGE, 30]
    assert list(chain(*pages)) == list(reversed(range(130)))


def test_a_page_stays_as_it_is_while_records_are_added(tmp_path: Path) -> None:
    path = tmp_path / "2026-03-01.0001.jsonl"
    path.write_text("".join(record(number) for number in range(100)))
    search = AuditSearch(tmp_path)
    position = search.page(AuditFilter(), position=None).next_position
    before = search.page(AuditFilter(), position=position)

    with path.open("a") as file:
        file.writelines(record(number) for number in range(100, 300))

    assert search.page(AuditFilter(), position=position) == before


def test_commands_stand_among_the_calls_by_their_time(tmp_path: Path) -> None:
    (tmp_path / "2026-03-01.0001.jsonl").write_text(record(0) + record(8))
    (tmp_path / "2026-03-01.commands.jsonl").write_text(record(4, user="root"))

    assert numbers(AuditSearch(tmp_path), AuditFilter()) == [[8, 4, 0]]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (AuditFilter(user="BERTA"), [2]),
        (AuditFilter(user="ber"), []),
        (AuditFilter(action="deletemodel"), [2, 0]),
        (AuditFilter(outcome=AuditOutcome.FAILED), [3]),
        (AuditFilter(outcome=AuditOutcome.DONE, action="threshold"), [1]),
        (AuditFilter(last_day=date(2026, 2, 28)), []),
        (AuditFilter(first_day=date(2026, 3, 1)), [3, 2, 1, 0]),
    ],
)
def test_a_filter_leaves_out_the_rest(
    tmp_path: Path, wanted: AuditFilter, expected: list[int]
) -> None:
    lines = [record(0), record(1), record(2, user="berta"), record(3, error="no")]
    (tmp_path / "2026-03-01.0001.jsonl").write_text("".join(lines))

    assert numbers(AuditSearch(tmp_path), wanted) == [expected]


def test_a_long_search_says_how_far_it_came_and_goes_on_from_there(tmp_path: Path) -> None:
    lines = [record(0, user="berta"), *(record(number) for number in range(1, 100))]
    (tmp_path / "2026-03-01.0001.jsonl").write_text("".join(lines))
    search = AuditSearch(tmp_path, most_read=30)

    first = search.page(AuditFilter(user="berta"), position=None)

    assert first.entries == ()
    assert first.read_back_to is not None
    assert list(chain(*numbers(search, AuditFilter(user="berta")))) == [0]


@pytest.mark.parametrize("position", ["x", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z.x"])
def test_a_position_that_is_none_is_refused(tmp_path: Path, position: str) -> None:
    with pytest.raises(ValidationError, match="no position"):
        AuditSearch(tmp_path).page(AuditFilter(), position=position)
