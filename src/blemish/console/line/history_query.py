"""The address of a history: which verdicts a person wants to see."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from blemish.domain.errors import ValidationError
from blemish.line.history import VERDICTS, HistoryFilter

FIELDS = ("since", "until", "verdict", "lowest", "highest", "type", "model", "zone", "stored")


def history_filter(query: Mapping[str, str]) -> HistoryFilter:
    """Read the members of an address; times without an offset are those of `zone`.

    Raises:
        ValidationError: one cannot be read.
    """
    verdict = query.get("verdict", "")
    if verdict and verdict not in VERDICTS:
        raise ValidationError(f"verdict is {verdict[:50]!r}; it must be {', '.join(VERDICTS)}.")
    return HistoryFilter(
        since=_moment(query, "since"),
        until=_moment(query, "until"),
        verdict=verdict,
        lowest_score=_number(query, "lowest"),
        highest_score=_number(query, "highest"),
        anomaly_type=query.get("type", ""),
        model=query.get("model", ""),
        only_stored=query.get("stored", "") == "yes",
    )


def query_text(query: Mapping[str, str], **more: str) -> str:
    """Return the wanted members as the query of an address."""
    members = {name: query[name] for name in FIELDS if query.get(name)} | more
    return urlencode(members)


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            zone = query.get("zone", "")
            moment = moment.replace(tzinfo=ZoneInfo(zone) if zone else UTC)
        return moment.astimezone(UTC)
    except (ValueError, LookupError, OSError, OverflowError):
        raise ValidationError(
            f"{name} is {text[:50]!r}; it must be a time like 2026-01-31T06:00."
        ) from None


def _number(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValidationError(f"{name} is {text[:50]!r}; it must be a number.")
    return number
