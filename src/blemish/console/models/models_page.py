"""The models of a project, the newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.models.model_actions import (
    POLL_S,
    allowed_actions,
    draw_actions,
    draw_delete,
    load_style,
)
from blemish.console.paths import project_path
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.pill import model_status, pill
from blemish.console.ui.table import Cell, table
from blemish.console.ui.words import share_text
from blemish.console.visitor import in_thread

COLUMNS = (
    later("Model"),
    later("Status"),
    "",
    later("Made"),
    "F1",
    later("Precision"),
    later("Recall"),
    later("Description"),
    later("Tags"),
    "",
)

ModelMembers = Mapping[str, Any]


@page("/projects/{project}/models", title=later("Models"))
async def models(project: str) -> None:
    """Show the models in a table that follows what becomes of them."""
    listed = await all_models(project)
    load_style()
    with frame(say("Models"), project=project, section="models"):
        with ui.element("div").classes("head"):
            heading(say("Models"))
            ui.element("div").classes("room")
            measured = [model["ModelVersion"] for model in listed if model.get("Performance")]
            if len(measured) > 1:
                a, b = measured[1], measured[0]
                link(say("Compare two models"), project_path(project, f"/compare?a={a}&b={b}"))
            link(say("Train a model"), project_path(project, "/train"))
        shown = _ModelTable(project, listed)
        await shown.draw()
        ui.timer(POLL_S, shown.follow, immediate=False)


async def all_models(project: str) -> list[ModelMembers]:
    """Return all models of a project that are not in the trash, the newest first."""
    trashed = await in_thread(visitor().services.trash.versions, project)
    listed: list[ModelMembers] = []
    token: str | None = None
    while True:
        answer = await visitor().call(
            "ListModels", ProjectName=project, MaxResults=100, NextToken=token
        )
        listed += [model for model in answer["Models"] if model["ModelVersion"] not in trashed]
        token = answer.get("NextToken")
        if token is None:
            return sorted(listed, key=lambda model: -int(model["ModelVersion"]))


class _ModelTable:
    """The table on one page."""

    def __init__(self, project: str, models: Sequence[ModelMembers]) -> None:
        self._project = project
        self._models = models

    async def follow(self) -> None:
        """Draw it anew when anything changed."""
        models = await all_models(self._project)
        if models != self._models:
            self._models = models
            await self.draw.refresh()

    @ui.refreshable_method
    async def draw(self) -> None:
        """Draw the table, or what to do to get a first model."""
        if not self._models:
            with empty(
                say("No models yet"),
                say("Label a few images as normal and anomaly; then train a first model."),
            ):
                link(say("Go to training"), project_path(self._project, "/train"))
            return
        rows = [await self._row(model) for model in self._models]
        with ui.element("div").classes("panel"):
            table([say(title) for title in COLUMNS], rows)

    async def _row(self, model: ModelMembers) -> tuple[Cell, ...]:
        version, performance = model["ModelVersion"], model.get("Performance") or {}
        path = project_path(self._project, f"/models/{version}")
        tags = await self._tags(model)
        allowed = await allowed_actions(self._project, version)

        def draw_buttons() -> None:
            with ui.element("div").classes("line"):
                draw_actions(self._project, model, allowed)

        status = model_status(model["Status"])
        return (
            lambda: link(say("Model {version}", version=version), path),
            lambda: pill(status.words, status.look),
            draw_buttons,
            lambda: moment(model["CreationTimestamp"]),
            *(share_text(performance.get(name)) for name in ("F1Score", "Precision", "Recall")),
            model.get("Description") or "",
            lambda: text(tags, classes="quiet"),
            lambda: draw_delete(self._project, model, allowed),
        )

    async def _tags(self, model: ModelMembers) -> str:
        arn = model["ModelArn"]
        if not await visitor().may("ListTagsForResource", ResourceArn=arn):
            return ""
        tags = (await visitor().call("ListTagsForResource", ResourceArn=arn))["Tags"]
        return ", ".join(f"{tag['Key']}: {tag['Value']}" for tag in tags)
