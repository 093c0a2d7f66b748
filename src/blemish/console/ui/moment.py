"""A moment, which browsers show by the clock of the person who looks."""

from __future__ import annotations

from datetime import UTC, datetime

from nicegui import ui


def moment(at: datetime, *, tag: str = "span") -> None:
    """Draw a moment: local time, with UTC as its tooltip."""
    utc = at.astimezone(UTC)
    with ui.element(tag):
        ui.html(f"{utc:%Y-%m-%d %H:%M} UTC", sanitize=False, tag="time").props(
            f'datetime="{utc:%Y-%m-%dT%H:%M:%SZ}"'
        )
