"""The test images of a model: of one cell of its confusion matrix or of all, in an order."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.language.messages import say, say_all
from blemish.console.models.evaluation import (
    CELL_NAMES,
    ORDERS,
    Cell,
    EvaluatedImage,
    arranged_images,
)
from blemish.console.models.image_inspector import ImageInspector
from blemish.console.models.image_layers import Faders, PreviewedModel, draw_image_layers
from blemish.console.models.verdicts import verdict_caption
from blemish.console.ui.frame import heading, labelled, text

PART = 24
"""Images that are shown at once; a heat map is made when its image is shown first."""

INTO_SIGHT = "document.getElementById('test-images').scrollIntoView()"

_VALUE = "(event) => emit(event.target.value)"


class TestImages:
    """The test images on one page; the address says which are shown."""

    def __init__(
        self,
        project: str,
        version: str,
        images: Sequence[EvaluatedImage],
        *,
        model: PreviewedModel | None,
        subject: str,
        cell: Cell | None,
        order: str,
        part: int,
    ) -> None:
        """Show images.

        Args:
            project: name of the project.
            version: of the model.
            images: with the verdicts of the model.
            model: None if the visitor may not see its heat maps.
            subject: what the images are, such as "test images".
            cell: of the confusion matrix; None for all images.
            order: one of `ORDERS`.
            part: which page of them, from 1.
        """
        self._project = project
        self._version = version
        self._images = images
        self._subject = subject
        self._model = model
        self._cell = cell
        self._order = order if order in ORDERS else "wrong"
        self._part = max(1, part)
        self._faders = Faders(mask=model is not None and model.mask)
        self._buttons: dict[Cell, ui.element] = {}

    def connect(self, cell: Cell, button: ui.element) -> None:
        """Let a button show whether its cell is the one in view."""
        self._buttons[cell] = button
        button.props["aria-pressed"] = "true" if cell is self._cell else "false"

    def select(self, cell: Cell | None) -> None:
        """Show the images of a cell, or all if it is shown already."""
        self._cell = None if cell is self._cell else cell
        self._part = 1
        for shown, button in self._buttons.items():
            button.props["aria-pressed"] = "true" if shown is self._cell else "false"
        self._show()
        if self._cell is not None:
            ui.run_javascript(INTO_SIGHT)

    def draw(self) -> None:
        """Draw the section."""
        with ui.element("section").classes("stack").props("id=test-images"):
            with ui.element("div").classes("head"):
                heading(self._subject[:1].upper() + self._subject[1:], 2)
                ui.element("div").classes("room")
                if self._model is None:
                    text(say("No heat maps: you may not detect with this model."))
                else:
                    self._faders.draw()
                self._orders()
            self._draw_images()

    def _orders(self) -> None:
        choice = labelled(ui.element("select").classes("choice"), say("Order"))
        with choice:
            for name, title in say_all(ORDERS).items():
                option = text(title, tag="option").props(f"value={name}")
                if name == self._order:
                    option.props("selected")
        choice.on("change", self._ordered, js_handler=_VALUE)

    def _ordered(self, event: GenericEventArguments) -> None:
        self._order = event.args if event.args in ORDERS else "wrong"
        self._part = 1
        self._show()

    @ui.refreshable_method
    def _draw_images(self) -> None:
        matching = arranged_images(self._images, cell=self._cell, order=self._order)
        parts = max(1, -(-len(matching) // PART))
        self._part = min(self._part, parts)
        with ui.element("div").classes("line"):
            which = (
                say("all {subject}", subject=self._subject)
                if self._cell is None
                else say(CELL_NAMES[self._cell])
            )
            text(f"{len(matching)}: {which}", classes="quiet").props("role=status")
            if self._cell is not None:
                ui.button(say("Show all"), on_click=lambda: self.select(None)).props("flat dense")
        with ui.element("div").classes("judged"):
            for image in matching[(self._part - 1) * PART : self._part * PART]:
                self._draw_image(image)
        if parts > 1:
            self._turner(parts)

    def _draw_image(self, image: EvaluatedImage) -> None:
        with ui.element("figure"):
            button = draw_image_layers(image.ref, image.name, model=self._model, button=True)
            button.on("click", lambda: self._enlarge(image))
            verdict_caption(image)

    async def _enlarge(self, image: EvaluatedImage) -> None:
        images = arranged_images(self._images, cell=self._cell, order=self._order)
        await ImageInspector(
            self._project,
            images,
            row=images.index(image),
            model=self._model,
            faders=self._faders,
        ).open()

    def _turner(self, parts: int) -> None:
        with labelled(ui.element("nav").classes("line"), say("Pages of images")):
            for word, to in ((say("Previous"), self._part - 1), (say("Next"), self._part + 1)):
                button = ui.button(word, on_click=lambda _, to=to: self._turn(to)).props("flat")
                button.set_enabled(1 <= to <= parts)
            text(say("Page {part} of {parts}", part=self._part, parts=parts), classes="quiet")

    def _turn(self, part: int) -> None:
        self._part = part
        self._show()

    def _show(self) -> None:
        query = {"cell": self._cell or "", "order": self._order, "part": self._part}
        ui.navigate.history.replace(f"?{urlencode(query)}")
        self._draw_images.refresh()
