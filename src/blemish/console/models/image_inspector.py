"""A judged image at full size, with what cures a wrong verdict: label, paint, leave out, move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from blemish.console.images.entry import LABEL_NAMES
from blemish.console.language.messages import later, say
from blemish.console.models.evaluation import EvaluatedImage
from blemish.console.models.image_cures import (
    PlacedEntry,
    find_placed_entry,
    move_to,
    put_back,
    relabel,
)
from blemish.console.models.image_layers import Faders, PreviewedModel
from blemish.console.models.image_panes import ImagePanes
from blemish.console.models.verdicts import verdict_caption
from blemish.console.paths import project_path
from blemish.console.ui.dialog import dialog
from blemish.console.ui.frame import link, text, visitor
from blemish.domain.entities import DatasetType, Label

GONE = later("This image is no longer in the project.")
STAYS = later("The numbers of this page change with the next training.")


class ImageInspector:
    """The dialog: one image of several, with the next and the one before it."""

    def __init__(
        self,
        project: str,
        images: Sequence[EvaluatedImage],
        *,
        row: int,
        model: PreviewedModel | None,
        faders: Faders,
    ) -> None:
        self._project = project
        self._images = images
        self._row = row
        self._model = model
        self._faders = faders
        self._visitor = visitor()
        self._may: dict[tuple[str, DatasetType], bool] = {}

    async def open(self) -> None:
        """Open the dialog on its first image."""
        with (
            ui.context.client.content,
            dialog(say("Image"), classes="large", heads=False) as opened,
        ):
            with ui.element("div").classes("line"):
                self._name = text("", tag="h2", classes="name")
                self._position = text("", classes="quiet").props("role=status")
                ui.element("div").classes("room")
                self._buttons = {
                    by: ui.button(word, on_click=lambda by=by: self._step(by)).props("flat")
                    for word, by in ((say("Previous"), -1), (say("Next"), 1))
                }
                ui.button(say("Close"), on_click=opened.close).props("flat")
            with ui.element("div").classes("line"):
                self._verdict = ui.element("div").classes("verdict")
                ui.element("div").classes("room")
                if self._model is not None:
                    self._faders.draw()
            self._panes = ImagePanes(self._step)
            self._acts = ui.element("div").classes("line acts")
        await self._show()

    async def _step(self, by: int) -> None:
        row = min(len(self._images) - 1, max(0, self._row + by))
        if row != self._row:
            self._row = row
            await self._show()

    async def _show(self) -> None:
        image = self._images[self._row]
        self._name.set_content(_escaped(image.name))
        self._position.set_content(
            say("{value} of {images}", value=self._row + 1, images=len(self._images))
        )
        self._buttons[-1].set_enabled(self._row > 0)
        self._buttons[1].set_enabled(self._row < len(self._images) - 1)
        self._verdict.clear()
        with self._verdict:
            verdict_caption(image, name=False)
        await self._show_entry()

    async def _show_entry(self, done: str = "", before: PlacedEntry | None = None) -> None:
        """Show the entry of the image as it is now.

        Args:
            done: what was done to it, for people.
            before: the entry before that, to take it back.
        """
        image = self._images[self._row]
        placed = await find_placed_entry(self._visitor, self._project, image.ref)
        if image is not self._images[self._row]:  # somebody went on
            return
        self._panes.show(image.ref, image.name, placed=placed, model=self._model)
        self._acts.clear()
        with self._acts:
            if placed is None:
                text(say(GONE), classes="quiet")
                return
            await self._draw_acts(placed)
            ui.element("div").classes("room")
            if done:
                text(f"{done} {say(STAYS)}", classes="quiet").props("role=status")
            if before is not None:
                self._act(say("Take it back"), lambda: put_back(self._visitor, before), placed, "")

    async def _draw_acts(self, placed: PlacedEntry) -> None:
        label = placed.entry.label
        words = (
            say("left out: it has no label")
            if label is None
            else say("labelled {label}", label=say(LABEL_NAMES[label]))
        )
        text(say("In the {title}, {words}.", title=placed.dataset.title, words=words))
        may_change = await self._allowed("UpdateDatasetEntries", placed.dataset.type)
        if may_change:
            for other in Label:
                if other is not label:
                    if other is Label.ANOMALY:
                        words, done = say("It is an anomaly"), say("It is an anomaly now.")
                    else:
                        words, done = say("It is normal"), say("It is normal now.")
                    self._relabelling(words, placed, other, done)
        ref = urlencode({"set": placed.dataset.type, "ref": placed.entry.ref})
        words = say("Paint") if may_change else say("Look at the mask")
        link(words, project_path(self._project, f"/paint?{ref}"), classes="action")
        if may_change and label is not None:
            self._relabelling(say("Leave out"), placed, None, say("It is left out now."))
        if placed.dataset.type is DatasetType.TEST and await self._may_move():
            self._act(
                say("Move to training"),
                lambda: move_to(self._visitor, placed, DatasetType.TRAIN),
                placed,
                say("It is in the training set now."),
            )

    def _relabelling(self, words: str, placed: PlacedEntry, label: Label | None, done: str) -> None:
        self._act(words, lambda: relabel(self._visitor, placed, label), placed, done)

    def _act(
        self, words: str, act: Callable[[], Awaitable[None]], placed: PlacedEntry, done: str
    ) -> None:
        """Draw a button; without `done` it takes something back."""

        async def do() -> None:
            await act()
            await self._show_entry(done, placed if done else None)

        ui.button(words, on_click=do).props("outline dense")

    async def _may_move(self) -> bool:
        adds = await self._allowed("UpdateDatasetEntries", DatasetType.TRAIN)
        return adds and await self._allowed("DeleteDatasetEntries", DatasetType.TEST)

    async def _allowed(self, operation: str, kind: DatasetType) -> bool:
        key = (operation, kind)
        if key not in self._may:
            names: dict[str, Any] = {"ProjectName": self._project, "DatasetType": kind}
            self._may[key] = await self._visitor.may(operation, **names)
        return self._may[key]


def _escaped(name: str) -> str:
    return name.replace("&", "&amp;").replace("<", "&lt;")
