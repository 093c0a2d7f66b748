"""The models of a project, the newest first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from blemish.console.models.model_actions import POLL_S, actions, allowed, share, status_pill, style
from blemish.console.paths import project_path
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor

COLUMNS = ("Model", "Status", "Made", "F1", "Precision", "Recall", "Description", "Tags", "")

Model = Mapping[str, Any]


@page("/projects/{project}/models", title="Models")
async def models(project: str) -> None:
    """Show the models in a table that follows what becomes of them."""
    found = await all_models(project)
    style()
    with frame("Models", project=project, here="models"):
        with ui.element("div").classes("head"):
            heading("Models")
            ui.element("div").classes("room")
            measured = [each["ModelVersion"] for each in found if each.get("Performance")]
            if len(measured) > 1:
                a, b = measured[1], measured[0]
                link("Compare two models", project_path(project, f"/compare?a={a}&b={b}"))
            link("Train a model", project_path(project, "/train"))
        shown = _Table(project, found)
        await shown.draw()
        ui.timer(POLL_S, shown.follow, immediate=False)


async def all_models(project: str) -> list[Model]:
    """Return all models of a project, the newest first."""
    found: list[Model] = []
    token: str | None = None
    while True:
        answer = await visitor().call(
            "ListModels", ProjectName=project, MaxResults=100, NextToken=token
        )
        found += answer["Models"]
        token = answer.get("NextToken")
        if token is None:
            return sorted(found, key=lambda model: -int(model["ModelVersion"]))


class _Table:
    """The table on one page."""

    def __init__(self, project: str, found: Sequence[Model]) -> None:
        self._project = project
        self._found = found

    async def follow(self) -> None:
        """Draw it anew when anything changed."""
        found = await all_models(self._project)
        if _told(found) != _told(self._found):
            self._found = found
            await self.draw.refresh()

    @ui.refreshable_method
    async def draw(self) -> None:
        """Draw the table, or what to do to get a first model."""
        if not self._found:
            with empty(
                "No models yet",
                "Label a few images as normal and anomaly; then train a first model.",
            ):
                link("Go to training", project_path(self._project, "/train"))
            return
        rows = [
            (each, await self._tags(each), await allowed(self._project, each["ModelVersion"]))
            for each in self._found
        ]
        with ui.element("div").classes("panel"), ui.element("table").classes("plain"):
            with ui.element("thead"), ui.element("tr"):
                for column in COLUMNS:
                    text(column, tag="th")
            with ui.element("tbody"):
                for model, tags, may in rows:
                    with ui.element("tr"):
                        self._row(model, tags, may)

    def _row(self, model: Model, tags: str, may: frozenset[str]) -> None:
        version, performance = model["ModelVersion"], model.get("Performance") or {}
        with ui.element("td"):
            link(f"Model {version}", project_path(self._project, f"/models/{version}"))
        with ui.element("td"):
            status_pill(model["Status"])
        text(f"{model['CreationTimestamp']:%Y-%m-%d %H:%M}", tag="td")
        for name in ("F1Score", "Precision", "Recall"):
            text(share(performance.get(name)), tag="td")
        text(model.get("Description") or "", tag="td")
        text(tags, tag="td", classes="quiet")
        with ui.element("td"), ui.element("div").classes("line"):
            actions(self._project, model, may)

    async def _tags(self, model: Model) -> str:
        arn = model["ModelArn"]
        if not await visitor().may("ListTagsForResource", ResourceArn=arn):
            return ""
        tags = (await visitor().call("ListTagsForResource", ResourceArn=arn))["Tags"]
        return ", ".join(f"{each['Key']}: {each['Value']}" for each in tags)


def _told(found: Sequence[Model]) -> str:
    return json.dumps(found, default=str)
