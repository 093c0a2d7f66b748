"""The test images of a model: of one cell of its confusion matrix or of all, in an order."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.models.evaluation import CELL_NAMES, ORDERS, Cell, Judged, arranged
from blemish.console.models.image_layers import Faders, Seen, layers
from blemish.console.ui.frame import heading, text

PART = 24
"""Images that are shown at once; each is judged when it is first looked at."""

_VALUE = "(event) => emit(event.target.value)"


class JudgedImages:
    """The test images on one page; what is chosen stands in its address."""

    def __init__(
        self,
        project: str,
        version: str,
        judged: Sequence[Judged],
        *,
        seen: Seen | None,
        cell: Cell | None,
        order: str,
        part: int,
    ) -> None:
        self._project = project
        self._version = version
        self._judged = judged
        self._seen = seen
        self._cell = cell
        self._order = order if order in ORDERS else "wrong"
        self._part = max(1, part)
        self._faders = Faders(mask=seen is not None and seen.mask)
        self._buttons: dict[Cell, ui.element] = {}

    def tell(self, cell: Cell, button: ui.element) -> None:
        """Show at a button whether its cell is the one that is shown."""
        self._buttons[cell] = button
        button.props["aria-pressed"] = "true" if cell is self._cell else "false"

    def choose(self, cell: Cell | None) -> None:
        """Show the images of a cell; all, if it was shown already."""
        self._cell = None if cell is self._cell else cell
        self._part = 1
        for each, button in self._buttons.items():
            button.props["aria-pressed"] = "true" if each is self._cell else "false"
        self._show()

    def draw(self) -> None:
        """Draw the section."""
        with ui.element("section").classes("stack").props("id=test-images"):
            with ui.element("div").classes("head"):
                heading("Test images", 2)
                ui.element("div").classes("room")
                if self._seen is None:
                    text("No heat maps: your access key may not detect with this model.")
                else:
                    self._faders.draw()
                self._orders()
            self._images()

    def _orders(self) -> None:
        choice = ui.element("select").classes("choice").props('aria-label="Order"')
        with choice:
            for name, told in ORDERS.items():
                option = text(told, tag="option").props(f"value={name}")
                if name == self._order:
                    option.props("selected")
        choice.on("change", self._ordered, js_handler=_VALUE)

    def _ordered(self, event: GenericEventArguments) -> None:
        self._order = event.args if event.args in ORDERS else "wrong"
        self._part = 1
        self._show()

    @ui.refreshable_method
    def _images(self) -> None:
        found = arranged(self._judged, cell=self._cell, order=self._order)
        parts = max(1, -(-len(found) // PART))
        self._part = min(self._part, parts)
        with ui.element("div").classes("line"):
            which = "all test images" if self._cell is None else CELL_NAMES[self._cell]
            text(f"{len(found)}: {which}", classes="quiet").props("role=status")
            if self._cell is not None:
                ui.button("Show all", on_click=lambda: self.choose(None)).props("flat dense")
        with ui.element("div").classes("judged"):
            for each in found[(self._part - 1) * PART : self._part * PART]:
                self._image(each)
        if parts > 1:
            self._turner(parts)

    def _image(self, judged: Judged) -> None:
        with ui.element("figure"):
            image = layers(judged.ref, judged.name, model=self._seen, button=True)
            image.on("click", lambda: self._look(judged))
            verdict_caption(judged)

    def _look(self, judged: Judged) -> None:
        """Show an image large; closed, the dialog is gone."""
        with ui.dialog() as dialog, ui.element("div").classes("large"):
            dialog.props["aria-label"] = judged.name
            with ui.element("div").classes("head"):
                heading(judged.name, 2)
                ui.element("div").classes("room")
                if self._seen is not None:
                    self._faders.draw()
                ui.button("Close", on_click=dialog.close).props("flat")
            layers(judged.ref, judged.name, model=self._seen, large=True)
            verdict_caption(judged, name=False)
        dialog.on("hide", dialog.delete)
        dialog.open()

    def _turner(self, parts: int) -> None:
        with ui.element("nav").classes("line").props('aria-label="Pages of test images"'):
            for told, to in (("Previous", self._part - 1), ("Next", self._part + 1)):
                button = ui.button(told, on_click=lambda _, to=to: self._turn(to)).props("flat")
                button.set_enabled(1 <= to <= parts)
            text(f"Page {self._part} of {parts}", classes="quiet")

    def _turn(self, part: int) -> None:
        self._part = part
        self._show()

    def _show(self) -> None:
        query = {"cell": self._cell or "", "order": self._order, "part": self._part}
        ui.navigate.history.replace(f"?{urlencode(query)}")
        self._images.refresh()


def verdict_caption(judged: Judged, *, name: bool = True) -> None:
    """Draw what is true of an image, what the model said, and how sure it was."""
    with ui.element("figcaption"):
        if name:
            text(judged.name, classes="name")
        text(judged.truth, classes=f"pill {judged.truth}")
        if judged.right:
            text(f"right, {judged.confidence:.0%} sure", classes="quiet")
        else:
            text(f"wrong: {judged.verdict}, {judged.confidence:.0%} sure", classes="pill warning")
