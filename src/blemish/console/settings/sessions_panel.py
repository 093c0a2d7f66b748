"""Where else the visitor is signed in, and how to end it. A part of the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.ui.dialog import confirm
from blemish.console.ui.frame import visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.pill import pill
from blemish.console.ui.table import Cell, table
from blemish.console.ui.table_panel import draw_table_panel
from blemish.console.visitor import in_thread
from blemish.service.access.sessions import ListedSession

COLUMNS = (later("Address"), later("Signed in"), later("Last used"), later("End"))


class SessionsPanel:
    """The table of the visitor's sessions."""

    async def draw(self) -> None:
        """Draw it."""
        self._panel = draw_table_panel(say("Your sessions"), anchor="sessions")
        await self._fill()

    async def _fill(self) -> None:
        looking = visitor()
        sessions = await in_thread(looking.services.sessions.of_holder, looking.token)
        self._panel.clear()
        with self._panel.bar:
            button = ui.button(say("End all others"), on_click=lambda: self._end(None))
            if len(sessions) < 2:
                button.disable()
        with self._panel.body:
            table([say(title) for title in COLUMNS], [self._row(session) for session in sessions])

    def _row(self, session: ListedSession) -> tuple[Cell, ...]:
        return (
            session.address or say("unknown"),
            _time(session.started_at),
            _time(session.last_used_at),
            _own if session.is_own else self._button(session),
        )

    def _button(self, session: ListedSession) -> Callable[[], None]:
        def draw() -> None:
            button = ui.button(say("End"), on_click=lambda: self._end(session)).props("flat dense")
            button.props["aria-label"] = say(
                "End the session from {value}", value=session.address or "unknown"
            )

        return draw

    def _end(self, session: ListedSession | None) -> None:
        async def end() -> None:
            await visitor().end_other_sessions(session.id if session else None)
            await self._fill()

        subject = (
            say("the session from {address}", address=session.address)
            if session
            else say("all other sessions")
        )
        consequence = say("The pages there show the sign-in form within seconds.")
        with self._panel.dialogs:
            confirm(
                say("End {subject}?", subject=subject), consequence, say("End"), end, negative=True
            )


def _own() -> None:
    pill(say("This one"), "good")


def _time(at: datetime | None) -> Cell:
    return say("unknown") if at is None else partial(moment, at)
