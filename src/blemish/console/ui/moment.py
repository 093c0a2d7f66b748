"""A moment, which browsers show by the clock of the person who looks."""

from __future__ import annotations

from datetime import UTC, datetime

from nicegui import ui

from blemish.console.language.numbers import utc_text


def moment(at: datetime, *, tag: str = "span", seconds: bool = False) -> None:
    """Draw a moment: local time, with UTC as its tooltip."""
    utc = at.astimezone(UTC)
    with ui.element(tag):
        time = ui.html(utc_text(at), sanitize=False, tag="time")
        time.props(f'datetime="{utc:%Y-%m-%dT%H:%M:%SZ}"')
        if seconds:
            time.props("data-seconds")
