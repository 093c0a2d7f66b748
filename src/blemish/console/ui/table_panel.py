"""A panel with a title, buttons beside it, and a table whose rows open dialogs."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui

from blemish.console.ui.frame import text


@dataclass(frozen=True, kw_only=True)
class TablePanel:
    """The places of a panel that are filled, and filled again when something changes."""

    #: for buttons, beside the title
    bar: ui.element
    #: for the table
    body: ui.element
    #: for dialogs, which outlive the rows that open them
    dialogs: ui.element

    def clear(self) -> None:
        """Empty the bar and the body."""
        self.bar.clear()
        self.body.clear()


def draw_table_panel(title: str, *, anchor: str) -> TablePanel:
    """Draw an empty panel; `anchor` is the id of its title."""
    with ui.element("section").classes("panel").props(f"aria-labelledby={anchor}"):
        with ui.element("div").classes("head"):
            with ui.element("h2").props(f"id={anchor}"):
                text(title)
            ui.element("div").classes("room")
            bar = ui.element("div")
        # a wide table scrolls in it, also by the keyboard
        body = ui.element("div").props(f"tabindex=0 role=group aria-labelledby={anchor}")
    dialogs = ui.element("div").classes("dialogs")
    return TablePanel(bar=bar, body=body, dialogs=dialogs)
