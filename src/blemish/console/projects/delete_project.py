"""Deleting a project with all that belongs to it, once its name was typed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui

from blemish.console.projects.project_summary import ProjectSummary, summary_of
from blemish.console.ui.frame import heading, text
from blemish.console.visitor import Visitor
from blemish.domain.errors import ResourceNotFoundError

LOOK_S = 0.3
PATIENCE_S = 600.0
"""How long a model or a dataset is waited for."""

Tell = Callable[[str], None]


async def ask_to_delete(visitor: Visitor, project: str) -> None:
    """Show what goes with a project, and delete it when its name is typed."""
    summary = await summary_of(visitor, project)
    if summary is None:
        ui.navigate.to("/")
        return
    allowed = await visitor.may("DeleteProject", ProjectName=project)
    with ui.dialog().props('persistent aria-label="Delete project"') as dialog:
        _Question(visitor, summary, dialog, allowed=allowed)
    dialog.open()


class _Question:
    """What the dialog shows, and what it does."""

    def __init__(
        self, visitor: Visitor, summary: ProjectSummary, dialog: ui.dialog, *, allowed: bool
    ) -> None:
        self._visitor = visitor
        self._project = summary.name
        self._allowed = allowed
        with ui.card().classes("stack delete-dialog"):
            heading(f"Delete {summary.name}?", 2)
            with ui.element("ul"):
                for line in losses(summary):
                    text(line, tag="li")
            text("The images, masks and reports in the buckets stay where they are.", tag="p")
            self._name = ui.input(f"Type {summary.name} to delete it").props("autofocus")
            self._name.on_value_change(self._show)
            self._told = text("", classes="quiet").props("role=status")
            with ui.element("div").classes("line dialog-actions"):
                self._cancel = ui.button("Cancel", on_click=dialog.close).props("flat")
                self._delete = ui.button("Delete project", color="negative", on_click=self._act)
            if not allowed:
                self._told.set_content("Your access key may not delete this project.")
        self._show()

    def _show(self) -> None:
        self._delete.set_enabled(self._allowed and self._name.value == self._project)

    async def _act(self) -> None:
        for each in (self._name, self._cancel):
            each.disable()
        self._delete.disable()
        self._delete.props("loading")
        try:
            await delete_project(self._visitor, self._project, tell=self._tell)
            ui.navigate.to("/")
        finally:  # what went wrong is shown above the page, and may be tried again
            self._tell("")
            for each in (self._name, self._cancel):
                each.enable()
            self._delete.props(remove="loading")
            self._show()

    def _tell(self, words: str) -> None:
        self._told.set_content(words.replace("&", "&amp;").replace("<", "&lt;"))


def losses(summary: ProjectSummary) -> list[str]:
    """Return what goes with a project, in words."""
    lines = []
    for kind, told in summary.datasets.items():
        stats = told["ImageStats"]
        word = "Training" if kind == "train" else "Test"
        lines.append(
            f"{word} set: {stats['Total']:,} entries, {stats['Labeled']:,} of them labelled."
        )
    if summary.models:
        count = f"{len(summary.models)}{' or more' if summary.more_models else ''}"
        lines.append(f"Models: {count}, with all that they learned.")
    if summary.hosted:
        lines.append(f"Hosted now, and stopped first: version {', '.join(summary.hosted)}.")
    if summary.training:
        lines.append(f"In training, and cancelled first: version {', '.join(summary.training)}.")
    return [*lines, "The counts of its dashboard."]


async def delete_project(visitor: Visitor, project: str, *, tell: Tell) -> None:
    """Delete a project's models, its datasets, then the project; `tell` hears how far it is.

    Whatever of it is done when an error comes stays done, and may be gone on with.

    Raises:
        ServiceError: what the API says of a step that it does not allow.
    """
    await _repeat(lambda: _models_step(visitor, project, tell))
    await _repeat(lambda: _datasets_step(visitor, project, tell))
    tell("Deleting the project.")
    await visitor.call("DeleteProject", ProjectName=project)


async def _repeat(step: Callable[[], Awaitable[bool]]) -> None:
    """Do a step until it says that nothing is left."""
    deadline = time.monotonic() + PATIENCE_S
    while await step():
        if time.monotonic() > deadline:
            raise TimeoutError("The deletion does not get on.")
        await asyncio.sleep(LOOK_S)


async def _models_step(visitor: Visitor, project: str, tell: Tell) -> bool:
    models = (await visitor.call("ListModels", ProjectName=project, MaxResults=100))["Models"]
    if models:
        tell(f"Deleting models: {len(models)} to go.")
    for model in models:
        operation = _model_operation(model)
        if operation is None:
            continue
        version = model["ModelVersion"]
        try:
            await visitor.call(operation, ProjectName=project, ModelVersion=version)
        except ResourceNotFoundError:  # just gone
            continue
    return bool(models)


def _model_operation(model: Mapping[str, Any]) -> str | None:
    """Return what brings a model nearer to its end; None where it is to be waited for."""
    match model["Status"]:
        case "TRAINING":
            return "CancelModelTraining"
        case "HOSTED":
            return "StopModel"
        case "TRAINED" | "TRAINING_FAILED" | "HOSTING_FAILED":
            return "DeleteModel"
        case _:
            return None


async def _datasets_step(visitor: Visitor, project: str, tell: Tell) -> bool:
    described = await visitor.call("DescribeProject", ProjectName=project)
    datasets = described["ProjectDescription"].get("Datasets") or ()
    for dataset in datasets:
        if dataset["Status"].endswith("_IN_PROGRESS"):
            continue
        tell("Deleting the data sets.")
        kind = dataset["DatasetType"]
        await visitor.call("DeleteDataset", ProjectName=project, DatasetType=kind)
    return bool(datasets)
