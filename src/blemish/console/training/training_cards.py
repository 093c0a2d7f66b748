"""The running trainings of a project: the step, the time left, the log; and how to cancel one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import percent_text
from blemish.console.paths import project_path
from blemish.console.training.training_progress import (
    duration_text,
    log_text,
    progress_of,
    step_words,
)
from blemish.console.ui.dialog import confirm
from blemish.console.ui.frame import heading, labelled, link, text, visitor
from blemish.console.ui.permissions import permit
from blemish.console.ui.pill import ChangingPill, PillContent, model_status
from blemish.console.visitor import in_thread
from blemish.domain.entities import Model, ModelStatus
from blemish.domain.lifecycle import MODEL_FAILED
from blemish.service.training.log import TrainingStep

NEWEST_MODELS = 50
"""How many models are searched for running trainings."""

ENDED = 1
"""How many of the last trainings are shown below the running ones."""

POLL_S = 1.0

CANCEL = "CancelModelTraining"

CANCELLED = later("cancelled")

LoggedTraining = tuple[Model, Sequence[TrainingStep]]


class TrainingCards:
    """Cards of the running trainings, and of the last one that ended."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._visitor = visitor()
        self._cards: dict[int, _Card] = {}
        self._column = labelled(
            ui.element("div").classes("stack").props("role=region"), say("Trainings")
        )
        ui.timer(POLL_S, self.refresh, immediate=False)

    async def refresh(self) -> None:
        """Show the trainings of now."""
        trainings = await in_thread(self._trainings)
        ids = [model.id for model, _ in trainings]
        for gone in set(self._cards) - set(ids):
            self._cards.pop(gone).panel.delete()
        for row, (model, steps) in enumerate(trainings):
            if model.id not in self._cards:
                with self._column:
                    self._cards[model.id] = _Card(model)
                self._cards[model.id].panel.move(target_index=row)
            await self._cards[model.id].show(model, steps)

    def _trainings(self) -> list[LoggedTraining]:
        services = self._visitor.services
        self._visitor.check("ListModels", ProjectName=self._project)
        models, _ = services.models.page(self._project, token=None, limit=NEWEST_MODELS)
        running = [model for model in models if model.status is ModelStatus.TRAINING]
        ended = [model for model in models if model.status is not ModelStatus.TRAINING][:ENDED]
        return [(model, services.training_log.steps(model.id)) for model in running + ended]


class _Card:
    """One training."""

    def __init__(self, model: Model) -> None:
        self._visitor = visitor()
        self._model = model
        self.panel = ui.element("section").classes("panel")
        with self.panel:
            with ui.element("div").classes("head"):
                heading(say("Model {version}", version=model.version), 2)
                self._pill = ChangingPill()
                if model.description:
                    text(model.description, classes="quiet")
                ui.element("div").classes("room")
                self._actions = ui.element("div").classes("line")
            self._bar = ui.element("progress").classes("training")
            labelled(self._bar.props("max=100"), say("Model {version}", version=model.version))
            self._progress = ui.label().props("role=status")
            with ui.element("details").classes("log") as self._details:
                with ui.element("summary"):
                    text(say("Log"))
                self._log = ui.label().classes("steps")
        self._shown: tuple[object, ...] = ()

    async def show(self, model: Model, steps: Sequence[TrainingStep]) -> None:
        """Show the training as it is now; only changes are sent."""
        running = model.status is ModelStatus.TRAINING
        now = self._visitor.services.clock()
        if self._shown[:1] != (model.status,):
            await self._show_status(model, running=running)
        self._shown = (model.status,)
        self._log.text = log_text(steps, now=now if running else _end(steps, model))
        self._details.set_visibility(bool(steps))
        if not running:
            self._progress.text = model.status_message
            return
        progress = progress_of(steps, now=now)
        if progress is None:
            self._progress.text = say("It waits for its turn.")
            return
        percent = round(100 * progress.share)
        if self._bar.props.get("value") != percent:
            self._bar.props["value"] = percent
            self._bar.update()
        left = ""
        if progress.left is not None:
            moment = progress.left < timedelta(seconds=1)
            left = (
                say(", about a moment left")
                if moment
                else say(", about {duration} left", duration=duration_text(progress.left))
            )
        step = step_words(progress.step)
        self._progress.text = say(
            "{step}: {percent} of all done{left}",
            step=step[:1].upper() + step[1:],
            percent=percent_text(percent / 100),
            left=left,
        )

    async def _show_status(self, model: Model, *, running: bool) -> None:
        self._bar.set_visibility(running)
        cancelled = model.status_message.startswith("Cancelled by")
        self._pill.show(PillContent(say(CANCELLED)) if cancelled else model_status(model.status))
        self._actions.clear()
        with self._actions:
            if running:
                button = ui.button(say("Cancel"), on_click=self._ask).props("outline")
                await permit(self._visitor, button, CANCEL, **self._names)
            elif model.status not in MODEL_FAILED:
                path = project_path(model.project, f"/models/{model.version}")
                link(say("See what it learned"), path, classes="button")

    def _ask(self) -> None:
        async def cancel() -> None:
            await self._visitor.call(CANCEL, **self._names)

        with self.panel:
            confirm(
                say("Cancel the training of model {version}?", version=self._model.version),
                say("The work of the training is lost. The images and labels stay."),
                say("Cancel the training"),
                cancel,
                cancel=say("Go on"),
                negative=True,
            )

    @property
    def _names(self) -> dict[str, str]:
        return {"ProjectName": self._model.project, "ModelVersion": str(self._model.version)}


def _end(steps: Sequence[TrainingStep], model: Model) -> datetime:
    return steps[-1].reported_at if steps else model.created_at
