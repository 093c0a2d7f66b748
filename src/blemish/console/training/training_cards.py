"""The trainings of a project as they go on: the step, the time left, the log; to be cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from nicegui import ui

from blemish.console.paths import project_path
from blemish.console.training.training_progress import duration_text, log_text, progress_of
from blemish.console.ui.frame import heading, link, text, visitor
from blemish.console.ui.permissions import permit
from blemish.console.visitor import in_thread
from blemish.domain.entities import Model, ModelStatus
from blemish.service.training.log import TrainingStep

LOOKED_AT = 50
"""The newest models, among which those are looked for that are being trained."""

ENDED = 1
"""The last trainings that are through, shown below those that run."""

LOOK_S = 1.0

CANCEL = "CancelModelTraining"

Seen = tuple[Model, Sequence[TrainingStep]]

_FAILED = frozenset({ModelStatus.TRAINING_FAILED})


class Trainings:
    """Cards of the running trainings, and of the last that ended."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._visitor = visitor()
        self._cards: dict[int, _Card] = {}
        self._column = (
            ui.element("div").classes("stack").props('role=region aria-label="Trainings"')
        )
        ui.timer(LOOK_S, self.refresh, immediate=False)

    async def refresh(self) -> None:
        """Show what is so now."""
        seen = await in_thread(self._look)
        ids = [model.id for model, _ in seen]
        for gone in set(self._cards) - set(ids):
            self._cards.pop(gone).panel.delete()
        for place, (model, steps) in enumerate(seen):
            if model.id not in self._cards:
                with self._column:
                    self._cards[model.id] = _Card(model)
                self._cards[model.id].panel.move(target_index=place)
            await self._cards[model.id].show(model, steps)

    def _look(self) -> list[Seen]:
        services = self._visitor.services
        self._visitor.check_here("ListModels", ProjectName=self._project)
        models, _ = services.models.page(self._project, token=None, limit=LOOKED_AT)
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
                heading(f"Model {model.version}", 2)
                self._pill = ui.label().classes("pill")
                if model.description:
                    text(model.description, classes="quiet")
                ui.element("div").classes("room")
                self._actions = ui.element("div").classes("line")
            self._bar = ui.element("progress").classes("training")
            self._bar.props(f'max=100 aria-label="Model {model.version}"')
            self._told = ui.label().props("role=status")
            with ui.element("details").classes("log") as self._details:
                with ui.element("summary"):
                    text("Log")
                self._log = ui.label().classes("steps")
        self._shown: tuple[object, ...] = ()

    async def show(self, model: Model, steps: Sequence[TrainingStep]) -> None:
        """Show what is so now; what is so already is not sent again."""
        running = model.status is ModelStatus.TRAINING
        now = self._visitor.services.clock()
        if self._shown[:1] != (model.status,):
            await self._show_status(model, running=running)
        self._shown = (model.status,)
        self._log.text = log_text(steps, now=now if running else _end(steps, model))
        self._details.set_visibility(bool(steps))
        if not running:
            self._told.text = model.status_message
            return
        progress = progress_of(steps, now=now)
        if progress is None:
            self._told.text = "It waits for its turn."
            return
        percent = round(100 * progress.share)
        if self._bar.props.get("value") != percent:
            self._bar.props["value"] = percent
            self._bar.update()
        left = ""
        if progress.left is not None:
            moment = progress.left < timedelta(seconds=1)
            left = f", about {'a moment' if moment else duration_text(progress.left)} left"
        self._told.text = f"{progress.step.capitalize()}: {percent}% of all done{left}"

    async def _show_status(self, model: Model, *, running: bool) -> None:
        self._bar.set_visibility(running)
        kind = "busy" if running else "bad" if model.status in _FAILED else "good"
        if model.status_message.startswith("Cancelled by"):
            kind = "cancelled"
        words = "being trained" if running else {"bad": "failed", "good": "trained"}.get(kind, kind)
        self._pill.text = words
        self._pill.classes(replace=f"pill {kind}")
        self._actions.clear()
        with self._actions:
            if running:
                button = ui.button("Cancel", on_click=self._ask).props("outline")
                await permit(self._visitor, button, CANCEL, **self._names)
            elif kind == "good":
                path = project_path(model.project, f"/models/{model.version}")
                link("See what it learned", path, classes="button")

    async def _ask(self) -> None:
        model = self._model
        asked = f"Cancel the training of model {model.version}?"
        with ui.dialog() as dialog, ui.card():
            dialog.props["aria-label"] = asked
            heading(asked, 2)
            text("What it has done so far is lost. The images and labels stay.", tag="p")
            with ui.element("div").classes("line"):
                ui.button("Cancel the training", on_click=lambda: dialog.submit(True)).props(
                    "color=negative"
                )
                ui.button("Go on", on_click=lambda: dialog.submit(False)).props("flat autofocus")
        if await dialog:
            await self._visitor.call(CANCEL, **self._names)
        dialog.delete()

    @property
    def _names(self) -> dict[str, str]:
        return {"ProjectName": self._model.project, "ModelVersion": str(self._model.version)}


def _end(steps: Sequence[TrainingStep], model: Model) -> datetime:
    return steps[-1].reported_at if steps else model.created_at
