"""The table: headings, and rows of texts, numbers, or anything that a cell draws itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from nicegui import ui

from blemish.console.language.numbers import number_text
from blemish.console.ui.frame import text

Cell = str | int | Callable[[], object]


def table(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Draw a table.

    Args:
        headings: of the columns; none for a table without a head.
        rows: a cell is a text, a number, or a function that draws what is in it.
    """
    with ui.element("table").classes("plain"):
        if headings:
            with ui.element("thead"), ui.element("tr"):
                for heading in headings:
                    text(heading, tag="th").props("scope=col")
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for cell in row:
                        _draw(cell)


def _draw(cell: Cell) -> None:
    if callable(cell):
        with ui.element("td"):
            cell()
    else:
        text(number_text(cell) if isinstance(cell, int) else cell, tag="td")
