"""Deleting a project and all that belongs to it: to the trash, after its name was typed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui

from blemish.console.language.messages import say
from blemish.console.language.numbers import number_text
from blemish.console.projects.project_summary import ProjectSummary, summary_of
from blemish.console.ui.dialog import dialog
from blemish.console.ui.frame import text
from blemish.console.visitor import Visitor
from blemish.domain.entities import ModelStatus
from blemish.domain.errors import ResourceNotFoundError
from blemish.domain.lifecycle import DATASET_IN_PROGRESS, MODEL_DELETABLE, MODEL_STOPPABLE

POLL_S = 0.3
PATIENCE_S = 600.0
"""How long the deletion waits for models or data sets."""

ReportProgress = Callable[[str], None]


async def ask_to_delete(visitor: Visitor, project: str) -> None:
    """Show what is lost with a project, and delete it when its name is typed."""
    summary = await summary_of(visitor, project)
    if summary is None:
        ui.navigate.to("/")
        return
    allowed = await visitor.may("DeleteProject", ProjectName=project)
    with dialog(
        say("Delete {name}?", name=summary.name), persistent=True, classes="delete-dialog"
    ) as opened:
        _Question(visitor, summary, opened, allowed=allowed)


class _Question:
    """What the dialog shows, and what it does."""

    def __init__(
        self, visitor: Visitor, summary: ProjectSummary, opened: ui.dialog, *, allowed: bool
    ) -> None:
        self._visitor = visitor
        self._project = summary.name
        self._allowed = allowed
        text(say("It goes to the trash. Restore it within a day; then this is deleted:"), tag="p")
        with ui.element("ul"):
            for line in losses(summary):
                text(line, tag="li")
        text(say("The images, masks and reports in the buckets stay where they are."), tag="p")
        self._name = ui.input(say("Type {name} to delete it", name=summary.name)).props("autofocus")
        self._name.on_value_change(self._show)
        if not allowed:
            text(say("You may not delete this project."), classes="quiet")
        with ui.element("div").classes("line dialog-actions"):
            self._cancel = ui.button(say("Cancel"), on_click=opened.close).props("flat")
            self._delete = ui.button(say("Delete project"), color="negative", on_click=self._act)
        self._show()

    def _show(self) -> None:
        self._delete.set_enabled(self._allowed and self._name.value == self._project)

    async def _act(self) -> None:
        for element in (self._name, self._cancel):
            element.disable()
        self._delete.disable()
        self._delete.props("loading")
        try:
            await trash_project(self._visitor, self._project)
            ui.navigate.to("/")
        finally:  # what went wrong is shown above the page, and may be tried again
            for element in (self._name, self._cancel):
                element.enable()
            self._delete.props(remove="loading")
            self._show()


def losses(summary: ProjectSummary) -> list[str]:
    """Return what is lost with a project, in words."""
    lines = []
    for kind, dataset in summary.datasets.items():
        stats = dataset["ImageStats"]
        lines.append(
            say(
                "{set}: {total} entries, {labeled} of them labelled.",
                set=say("Training set") if kind == "train" else say("Test set"),
                total=number_text(stats["Total"]),
                labeled=number_text(stats["Labeled"]),
            )
        )
    if summary.models:
        count = number_text(len(summary.models))
        lines.append(
            say("Models: {number} or more, and all that they learned.", number=count)
            if summary.more_models
            else say("Models: {number}, and all that they learned.", number=count)
        )
    if summary.running:
        lines.append(
            say(
                "Running now, and stopped at once: version {join}.", join=", ".join(summary.running)
            )
        )
    if summary.training:
        lines.append(
            say(
                "In training, and cancelled after the day: version {join}.",
                join=", ".join(summary.training),
            )
        )
    return [*lines, say("The counts of its dashboard.")]


async def trash_project(visitor: Visitor, project: str) -> None:
    """Stop a project's models, and move it to the trash.

    Raises:
        ServiceError: the visitor may not delete it, or may not stop a model that runs.
    """
    models = (await visitor.call("ListModels", ProjectName=project, MaxResults=100))["Models"]
    for model in models:
        if ModelStatus(model["Status"]) in MODEL_STOPPABLE:
            version = model["ModelVersion"]
            await visitor.call("StopModel", ProjectName=project, ModelVersion=version)
    trash = visitor.services.trash
    await visitor.act_if_allowed(
        "MoveProjectToTrash",
        "DeleteProject",
        lambda name: trash.move_project(project, by=name),
        ProjectName=project,
    )


async def delete_project(visitor: Visitor, project: str, *, report: ReportProgress) -> None:
    """Delete a project's models, its datasets, then the project; `report` gets the progress.

    What is deleted before an error stays deleted; another try goes on from there.

    Raises:
        ServiceError: what the API says of a step that it does not allow.
    """
    await _repeat(lambda: _models_step(visitor, project, report))
    await _repeat(lambda: _datasets_step(visitor, project, report))
    report(say("Deleting the project."))
    await visitor.call("DeleteProject", ProjectName=project)


async def _repeat(step: Callable[[], Awaitable[bool]]) -> None:
    """Do a step until it says that nothing is left."""
    deadline = time.monotonic() + PATIENCE_S
    while await step():
        if time.monotonic() > deadline:
            raise TimeoutError(say("The deletion makes no progress."))
        await asyncio.sleep(POLL_S)


async def _models_step(visitor: Visitor, project: str, report: ReportProgress) -> bool:
    models = (await visitor.call("ListModels", ProjectName=project, MaxResults=100))["Models"]
    if models:
        report(say("Deleting models: {models} to go.", models=len(models)))
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
    """Return the next operation on the way to a deleted model; None if it has to be waited for."""
    status = ModelStatus(model["Status"])
    if status is ModelStatus.TRAINING:
        return "CancelModelTraining"
    if status in MODEL_DELETABLE:
        return "DeleteModel"
    return "StopModel" if status in MODEL_STOPPABLE else None


async def _datasets_step(visitor: Visitor, project: str, report: ReportProgress) -> bool:
    answer = await visitor.call("DescribeProject", ProjectName=project)
    datasets = answer["ProjectDescription"].get("Datasets") or ()
    for dataset in datasets:
        if dataset["Status"] in DATASET_IN_PROGRESS:
            continue
        report(say("Deleting the data sets."))
        kind = dataset["DatasetType"]
        await visitor.call("DeleteDataset", ProjectName=project, DatasetType=kind)
    return bool(datasets)
