"""Where else the visitor is signed in, and how to end it. A part of the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from nicegui import ui

from blemish.console.ui.dialog import confirm
from blemish.console.ui.frame import visitor
from blemish.console.ui.pill import pill
from blemish.console.ui.table import Cell, table
from blemish.console.ui.table_panel import draw_table_panel
from blemish.console.visitor import in_thread
from blemish.service.access.sessions import ListedSession

COLUMNS = ("Address", "Signed in", "Last used", "End")


class SessionsPanel:
    """The table of the visitor's sessions."""

    async def draw(self) -> None:
        """Draw it."""
        self._panel = draw_table_panel("Your sessions", anchor="sessions")
        await self._fill()

    async def _fill(self) -> None:
        looking = visitor()
        sessions = await in_thread(looking.services.sessions.of_holder, looking.token)
        self._panel.clear()
        with self._panel.bar:
            button = ui.button("End all others", on_click=lambda: self._end(None))
            if len(sessions) < 2:
                button.disable()
        with self._panel.body:
            table(COLUMNS, [self._row(session) for session in sessions])

    def _row(self, session: ListedSession) -> tuple[Cell, ...]:
        return (
            session.address or "unknown",
            _time(session.started_at),
            _time(session.last_used_at),
            _own if session.is_own else self._button(session),
        )

    def _button(self, session: ListedSession) -> Callable[[], None]:
        def draw() -> None:
            button = ui.button("End", on_click=lambda: self._end(session)).props("flat dense")
            button.props["aria-label"] = f"End the session from {session.address or 'unknown'}"

        return draw

    def _end(self, session: ListedSession | None) -> None:
        async def end() -> None:
            await visitor().end_other_sessions(session.id if session else None)
            await self._fill()

        subject = f"the session from {session.address}" if session else "all other sessions"
        consequence = "The pages there show the sign-in form within seconds."
        with self._panel.dialogs:
            confirm(f"End {subject}?", consequence, "End", end, negative=True)


def _own() -> None:
    pill("This one", "good")


def _time(moment: datetime | None) -> str:
    return "unknown" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
