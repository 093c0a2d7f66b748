"""Who did what: the audit log, filtered, one page at a time. The address holds the filter."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from blemish.console.language.messages import later, say, say_all
from blemish.console.ui.frame import empty, frame, heading, labelled, link, page, text, visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.pill import pill
from blemish.console.ui.table import Cell, table
from blemish.domain.audit_search import AuditEntry, AuditFilter, AuditOutcome, AuditResults
from blemish.domain.errors import ValidationError

LOOK = "cloudtrail:LookupEvents"

COLUMNS = (
    later("When"),
    later("Who"),
    later("Did what"),
    later("Details"),
    later("Outcome"),
    later("From"),
)

OUTCOMES: dict[str, str] = {
    "": later("any outcome"),
    "done": later("done"),
    "failed": later("failed"),
}

DAY = "type=date stack-label"

DETAIL_CHARACTERS = 200
"""Of the details and of a problem; the files of the log have the rest."""


@page("/audit", title=later("Who did what"))
async def show_audit(  # noqa: PLR0917 - the framework reads the query by position
    user: str = "",
    action: str = "",
    outcome: str = "",
    first: str = "",
    last: str = "",
    position: str = "",
) -> None:
    """Show the newest records that the filter lets through, or those after a position."""
    query = {"user": user, "action": action, "outcome": outcome, "first": first, "last": last}
    wanted = _filter(query)
    looking = visitor()
    results = await looking.act_on_keys(
        LOOK, partial(looking.services.audits.reader.page, wanted, position=position or None)
    )
    with frame(say("Who did what")):
        with ui.element("div").classes("head"):
            heading(say("Who did what"))
            ui.element("div").classes("room")
            link(say("Settings"), "/settings")
        _draw_filter(query)
        if results.entries:
            table([say(title) for title in COLUMNS], [_row(entry) for entry in results.entries])
        else:
            empty(say("Nothing here"), say("No record of this time matches the filter."))
        _draw_pages(query, results, position)


def _filter(query: dict[str, str]) -> AuditFilter:
    """Return what the address asks for.

    Raises:
        ValidationError: a value is not allowed.
    """
    outcome = query["outcome"]
    if outcome not in OUTCOMES:
        raise ValidationError(f"The outcome is done or failed, not {outcome!r:.100}.")
    return AuditFilter(
        user=query["user"].strip() or None,
        action=query["action"].strip() or None,
        outcome=AuditOutcome(outcome) if outcome else None,
        first_day=_day(query["first"]),
        last_day=_day(query["last"]),
    )


def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise ValidationError(f"A day is written as 2030-01-31, not {value!r:.100}.") from None


def _draw_filter(query: dict[str, str]) -> None:
    panel = labelled(ui.element("section").classes("panel"), say("Filter"))
    with panel, ui.element("div").classes("line"):
        fields: dict[str, Any] = {
            "user": ui.input(say("Who"), value=query["user"]),
            "action": ui.input(say("Did what"), value=query["action"]),
            "outcome": ui.select(say_all(OUTCOMES), label=say("Outcome"), value=query["outcome"]),
            "first": ui.input(say("First day (UTC)"), value=query["first"]).props(DAY),
            "last": ui.input(say("Last day (UTC)"), value=query["last"]).props(DAY),
        }

        def show() -> None:
            values = {name: str(field.value or "") for name, field in fields.items()}
            ui.navigate.to(f"/audit?{_encoded(values)}")

        for name in ("user", "action"):
            fields[name].on("keydown.enter", show)
        ui.button(say("Show"), on_click=show)


def _draw_pages(query: dict[str, str], results: AuditResults, position: str) -> None:
    if results.read_back_to is not None:
        words = say("The search has read back to {read_back_to}.", read_back_to="\n")
        with ui.element("p").classes("quiet"):
            before, after = words.split("\n")
            text(before)
            moment(results.read_back_to, seconds=True)
            text(after)
    with ui.element("div").classes("line"):
        if position:
            link(say("Newest"), f"/audit?{_encoded(query)}")
        if results.next_position is not None:
            link(say("Older"), f"/audit?{_encoded({**query, 'position': results.next_position})}")


def _encoded(values: dict[str, str]) -> str:
    return urlencode({name: value for name, value in values.items() if value})


def _row(entry: AuditEntry) -> tuple[Cell, ...]:
    return (
        partial(moment, entry.at, seconds=True),
        entry.user,
        entry.action,
        _shortened(entry.details),
        partial(_draw_outcome, entry),
        entry.address,
    )


def _draw_outcome(entry: AuditEntry) -> None:
    if entry.outcome is AuditOutcome.DONE:
        pill(say("done"), "good")
        return
    pill(say("failed"), "bad")
    text(f" {_shortened(entry.problem)}", classes="quiet")


def _shortened(words: str) -> str:
    return words if len(words) <= DETAIL_CHARACTERS else words[:DETAIL_CHARACTERS] + "…"
