"""A model that is started and stopped, with its status as it changes."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from blemish.console.ui.frame import text, visitor
from blemish.console.ui.permissions import permit
from blemish.console.visitor import in_thread
from blemish.domain.entities import Model, ModelStatus
from blemish.domain.lifecycle import MODEL_MOVES

LOOK_S = 1.0

ANSWERING = frozenset({ModelStatus.HOSTED, ModelStatus.SYSTEM_UPDATING})

_WORDS = {
    ModelStatus.TRAINED: ("stopped", ""),
    ModelStatus.STARTING_HOSTING: ("starting", "busy"),
    ModelStatus.HOSTED: ("hosted", "good"),
    ModelStatus.HOSTING_FAILED: ("failed", "bad"),
    ModelStatus.STOPPING_HOSTING: ("stopping", "busy"),
    ModelStatus.SYSTEM_UPDATING: ("updating", "busy"),
}

NEEDS = (
    "A started model stays in this server's memory. Each inference unit judges one image at a "
    "time; more units than processor cores give nothing. Stop it when nobody needs it."
)


class Hosting:
    """The row that starts and stops a model."""

    def __init__(self, project: str, version: str) -> None:
        self._project = project
        self._version = version
        self._visitor = visitor()
        self._told: Callable[[bool], None] = lambda _: None
        self._status: ModelStatus | None = None
        with ui.element("section").classes("panel hosting"):
            with ui.element("div").classes("line"):
                self._pill = ui.label().classes("pill").props("role=status")
                self._message = ui.label().classes("quiet")
                ui.element("div").classes("room")
                self._units = ui.number("Inference units", value=1, min=1, precision=0)
                self._start = ui.button("Start the model", on_click=self._begin)
                self._stop = ui.button("Stop the model", on_click=self._end).props("outline")
            text(NEEDS, classes="quiet", tag="p")
        ui.timer(LOOK_S, self.refresh, immediate=False)

    def on_ready(self, told: Callable[[bool], None]) -> None:
        """Have it called whenever the model begins or ceases to answer."""
        self._told = told

    async def refresh(self) -> None:
        """Show what is so now."""
        model = await in_thread(self._look)
        self._message.text = "" if model.status is ModelStatus.TRAINED else model.status_message
        if model.status is self._status:
            return
        self._status = model.status
        words, kind = _WORDS.get(model.status, (model.status.lower().replace("_", " "), ""))
        self._pill.text = words
        self._pill.classes(replace=f"pill {kind}")
        moves = MODEL_MOVES[model.status]
        startable = ModelStatus.STARTING_HOSTING in moves
        stoppable = ModelStatus.STOPPING_HOSTING in moves
        self._units.set_visibility(startable)
        self._start.set_visibility(startable)
        self._stop.set_visibility(stoppable)
        await self._allow()
        self._told(model.status in ANSWERING)

    async def _allow(self) -> None:
        for button, operation in ((self._start, "StartModel"), (self._stop, "StopModel")):
            await permit(self._visitor, button, operation, **self._names)

    @property
    def _names(self) -> dict[str, str]:
        return {"ProjectName": self._project, "ModelVersion": self._version}

    def _look(self) -> Model:
        self._visitor.check_here("DescribeModel", **self._names)
        return self._visitor.services.models.describe(self._project, self._version)

    async def _begin(self) -> None:
        units = int(self._units.value or 1)
        await self._visitor.call("StartModel", **self._names, MinInferenceUnits=units)
        await self.refresh()

    async def _end(self) -> None:
        await self._visitor.call("StopModel", **self._names)
        await self.refresh()
