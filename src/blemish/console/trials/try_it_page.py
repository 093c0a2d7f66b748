"""Try it: start a model, show it images, correct it, and take the code that calls it along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.images.dataset_changes import change_entries
from blemish.console.images.entry import DatasetKey, entry_line
from blemish.console.models.code_snippets import NEEDS, Target, snippets
from blemish.console.models.start_stop_panel import Hosting
from blemish.console.paths import project_path
from blemish.console.trials import trials_panel as trials
from blemish.console.trials.detect_requests import detect_url, upload_url
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType, ModelStatus

UNTRIED = frozenset({ModelStatus.TRAINING, ModelStatus.TRAINING_FAILED, ModelStatus.DELETING})
"""Statuses of models that can judge nothing."""

TRAIN = DatasetType.TRAIN


class TryImages(ui.element, component="../static/try_images.js"):
    """Images that a person drops, as a model judges them."""


class CodeBlock(ui.element, component="../static/code_block.js"):
    """Code to paste."""


@page("/projects/{project}/try", title="Try it")
async def try_it(project: str, version: str = "") -> None:
    """Show a model at work."""
    looking = visitor()
    models = await _models(looking, project)
    ui.add_head_html('<link rel="stylesheet" href="/console/static/try_it.css">')
    with frame("Try it", project=project, here="try"):
        if not models:
            heading("Try it")
            with empty("No model to try yet", "Train one first; then show it images here."):
                link("Train a model", project_path(project, "/train"), classes="button")
            return
        version = _chosen(models, version)
        with ui.element("div").classes("head"):
            heading("Try it")
            ui.element("div").classes("room")
            _draw_choice(project, models, version)
        hosting = Hosting(project, version)
        await _draw_images(looking, project, version, hosting)
        await hosting.refresh()
        with ui.element("div").classes("columns"):
            await trials.draw_trials(project, version)
            _draw_code(looking, project, version)


async def _models(looking: Visitor, project: str) -> Sequence[Mapping[str, Any]]:
    found = await looking.call("ListModels", ProjectName=project, MaxResults=100)
    return [model for model in found["Models"] if model["Status"] not in UNTRIED]


def _chosen(models: Sequence[Mapping[str, Any]], version: str) -> str:
    """Return the version to try: the one asked for, else one that is hosted, else the newest."""
    versions = [model["ModelVersion"] for model in models]
    hosted = [model["ModelVersion"] for model in models if model["Status"] == ModelStatus.HOSTED]
    chosen: str = version if version in versions else (hosted or versions)[0]
    return chosen


def _draw_choice(project: str, models: Sequence[Mapping[str, Any]], version: str) -> None:
    told = {
        model["ModelVersion"]: f"Model {model['ModelVersion']}"
        + (", hosted" if model["Status"] == ModelStatus.HOSTED else "")
        for model in models
    }
    path = project_path(project, "/try")
    choice = ui.select(
        told,
        value=version,
        label="Model",
        on_change=lambda event: ui.navigate.to(f"{path}?version={event.value}"),
    )
    choice.classes("model-choice")


async def _draw_images(looking: Visitor, project: str, version: str, hosting: Hosting) -> TryImages:
    images = TryImages()
    images.props["detectUrl"] = detect_url(project, version)
    images.props["uploadUrl"] = upload_url(project)
    images.props["ready"] = False
    images.props["mayAdd"] = await looking.may(
        "UpdateDatasetEntries", ProjectName=project, DatasetType=TRAIN
    )

    def show(ready: bool) -> None:
        images.props["ready"] = ready
        images.update()

    async def add(event: GenericEventArguments) -> None:
        labels = {str(each["ref"]): str(each["label"]) for each in event.args}
        added: list[str] = []
        try:
            await _add(looking, project, labels)
            added = list(labels)
        finally:
            images.run_method("added", added)
        ui.notify(f"{len(added)} images are in the training set now.", type="positive")

    hosting.on_ready(show)
    images.on("add", add)
    return images


async def _add(looking: Visitor, project: str, labels: Mapping[str, str]) -> None:
    def check() -> None:
        looking.check_here("UpdateDatasetEntries", ProjectName=project, DatasetType=TRAIN)
        looking.services.trials.check_apart(project, TRAIN, labels.keys())

    await in_thread(check)
    now = looking.services.clock()
    lines = [entry_line(ref, label=label, now=now) for ref, label in labels.items()]
    await change_entries(looking, DatasetKey(project=project, type=TRAIN), lines)


def _draw_code(looking: Visitor, project: str, version: str) -> None:
    address = str(ui.context.client.request.base_url)
    endpoint = address.removesuffix("/").removesuffix("/console")
    target = Target(
        endpoint=endpoint, region=looking.services.region, project=project, version=version
    )
    with ui.element("section").classes("panel"):
        heading("Call it from a program", 2)
        text(NEEDS, classes="quiet", tag="p")
        tools = snippets(target)
        with ui.tabs().props("align=left no-caps dense") as tabs:
            for tool in tools:
                ui.tab(tool)
        with ui.tab_panels(tabs, value=next(iter(tools))).classes("tools"):
            for tool, pieces in tools.items():
                with ui.tab_panel(tool):
                    for piece in pieces:
                        heading(piece.title, 3)
                        block = CodeBlock()
                        block.props["code"] = piece.code
                        block.props["name"] = f"{tool}: {piece.title}"
