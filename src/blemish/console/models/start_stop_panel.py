"""The panel that starts and stops a model, with its status as it changes."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.ui.frame import text, visitor
from blemish.console.ui.pill import ChangingPill, PillContent, model_status
from blemish.console.visitor import in_thread
from blemish.domain.entities import Model, ModelStatus
from blemish.domain.lifecycle import MODEL_ANSWERING, MODEL_STARTABLE, MODEL_STOPPABLE

POLL_S = 1.0

NEEDS = later(
    "A running model stays in this server's memory. Each inference unit scores "
    "one image at a time; more units than processor cores give nothing. Stop it "
    "when nobody needs it."
)

STOPPED = later("stopped")


class StartStopPanel:
    """The panel of one model."""

    def __init__(self, project: str, version: str) -> None:
        self._names = {"ProjectName": project, "ModelVersion": version}
        self._visitor = visitor()
        self._on_ready: Callable[[bool], None] = lambda _: None
        self._status: ModelStatus | None = None
        with ui.element("section").classes("panel hosting"):
            with ui.element("div").classes("line"):
                self._pill = ChangingPill()
                self._message = ui.label().classes("quiet")
                ui.element("div").classes("room")
                self._units = ui.number(say("Inference units"), value=1, min=1, precision=0)
                self._start = ui.button(say("Start the model"), on_click=self._start_model)
                self._stop = ui.button(say("Stop the model"), on_click=self._stop_model)
                self._stop.props("outline")
            text(say(NEEDS), classes="quiet", tag="p")
        ui.timer(POLL_S, self.refresh, immediate=False)

    def on_ready(self, callback: Callable[[bool], None]) -> None:
        """Have it called when the model begins or ceases to answer."""
        self._on_ready = callback

    async def refresh(self) -> None:
        """Show the status of now."""
        model = await in_thread(self._describe)
        stopped = model.status is ModelStatus.TRAINED
        self._message.text = "" if stopped else model.status_message
        if model.status is self._status:
            return
        self._status = model.status
        self._pill.show(PillContent(say(STOPPED)) if stopped else model_status(model.status))
        may_start = await self._visitor.may("StartModel", **self._names)
        may_stop = await self._visitor.may("StopModel", **self._names)
        startable = model.status in MODEL_STARTABLE and may_start
        self._units.set_visibility(startable)
        self._start.set_visibility(startable)
        self._stop.set_visibility(model.status in MODEL_STOPPABLE and may_stop)
        self._on_ready(model.status in MODEL_ANSWERING)

    def _describe(self) -> Model:
        self._visitor.check("DescribeModel", **self._names)
        return self._visitor.services.models.describe(
            self._names["ProjectName"], self._names["ModelVersion"]
        )

    async def _start_model(self) -> None:
        units = int(self._units.value or 1)
        await self._visitor.call("StartModel", **self._names, MinInferenceUnits=units)
        await self.refresh()

    async def _stop_model(self) -> None:
        await self._visitor.call("StopModel", **self._names)
        await self.refresh()
