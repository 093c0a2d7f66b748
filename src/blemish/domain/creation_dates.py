"""Dates of annotations, in the forms that Ground Truth, browsers and scripts write."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_JAVASCRIPT = re.compile(
    r"[a-z]{3},? (?P<month>[a-z]{3}) (?P<day>\d{1,2}) (?P<year>\d{4}) (?P<time>\d\d:\d\d:\d\d)"
    r"(?: (?:GMT|UTC)(?P<zone>[+-]\d{4})?)?(?: \(.*\))?",
    re.IGNORECASE | re.ASCII,
)
"""`Date.toString()`: Mon Aug 22 2022 13:52:52 GMT-0700 (Pacific Daylight Time)."""
_SLASHES = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?!\d)", re.ASCII)
_EPOCH = re.compile(r"\d{9,13}(?:\.\d+)?", re.ASCII)
_LEAST_SECONDS = 1e8
"""In 1973. Smaller numbers are something else, such as 20240501."""
_MILLISECONDS_FROM = 1e11
"""Larger numbers are milliseconds: as seconds, they would be later than the year 5100."""


def date_of(value: object) -> datetime | None:
    """Read a date; None if there is none, or if it cannot be understood.

    A date is ISO (also with slashes), the text of JavaScript's `Date`, or the seconds or
    milliseconds since 1970. A date without a time zone is in UTC.
    """
    try:
        if isinstance(value, str):
            return _date_of_text(value.strip())
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _date_of_number(value)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def is_unreadable_date(value: object) -> bool:
    """Return whether there is a date that cannot be understood."""
    return value is not None and value != "" and date_of(value) is None


def _date_of_text(text: str) -> datetime:
    if _EPOCH.fullmatch(text):
        return _date_of_number(float(text))
    if match := _JAVASCRIPT.fullmatch(text):
        month = _MONTHS.index(match["month"].lower()) + 1
        day = f"{match['year']}-{month:02}-{int(match['day']):02}"
        date = datetime.fromisoformat(f"{day}T{match['time']}{match['zone'] or ''}")
    else:
        date = datetime.fromisoformat(_SLASHES.sub(_with_hyphens, text, count=1))
    return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)


def _date_of_number(number: float) -> datetime:
    if number < _LEAST_SECONDS:
        raise ValueError(f"{number} may be no seconds since 1970")
    seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
    return datetime.fromtimestamp(seconds, UTC)


def _with_hyphens(match: re.Match[str]) -> str:
    year, month, day = match.groups()
    return f"{year}-{int(month):02}-{int(day):02}"
