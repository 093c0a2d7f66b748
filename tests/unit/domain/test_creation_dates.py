from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.creation_dates import date_of, is_unreadable_date

OCTOBER = datetime(2020, 10, 16, 17, 53, 39, tzinfo=UTC)
SECONDS = int(OCTOBER.timestamp())


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2020-10-16T17:53:39.871Z", OCTOBER.replace(microsecond=871_000)),
        ("2020-10-16T17:53:39", OCTOBER),
        ("2020-10-16T19:53:39+02:00", OCTOBER),
        ("2020-10-16", datetime(2020, 10, 16, tzinfo=UTC)),
        ("2020/10/16", datetime(2020, 10, 16, tzinfo=UTC)),
        ("2020/5/1", datetime(2020, 5, 1, tzinfo=UTC)),
        ("2020/10/16 17:53:39", OCTOBER),
        ("Fri Oct 16 2020 10:53:39 GMT-0700 (Pacific Daylight Time)", OCTOBER),
        ("Fri Oct 16 2020 17:53:39 GMT+0000", OCTOBER),
        ("Fri Oct 16 2020 17:53:39", OCTOBER),
        (SECONDS, OCTOBER),
        (float(SECONDS), OCTOBER),
        (SECONDS * 1000, OCTOBER),
        (str(SECONDS), OCTOBER),
        (str(SECONDS * 1000), OCTOBER),
    ],
)
def test_a_date_is_read_in_any_usual_form(value: object, date: datetime) -> None:
    assert date_of(value) == date
    assert not is_unreadable_date(value)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "0001-01-01T00:00:00+23:59",
        "Fri Abc 16 2020 17:53:39",
        "Fri Feb 31 2020 17:53:39",
        "2020/13/01",
        20240501,
        1e300,
        True,
        [],
    ],
)
def test_a_date_that_cannot_be_understood_is_unreadable(value: object) -> None:
    assert date_of(value) is None
    assert is_unreadable_date(value)


@pytest.mark.parametrize("value", [None, ""])
def test_no_date_is_not_unreadable(value: object) -> None:
    assert date_of(value) is None
    assert not is_unreadable_date(value)


@given(st.one_of(st.text(), st.integers(), st.floats()))
def test_any_value_is_a_date_in_utc_or_none(value: object) -> None:
    date = date_of(value)

    assert date is None or date.tzinfo is UTC
