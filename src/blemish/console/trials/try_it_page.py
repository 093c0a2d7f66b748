"""The page Try it: start a model, show it images, correct its verdicts, copy code that calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.images.dataset_changes import change_entries
from blemish.console.images.entry import DatasetKey, entry_line
from blemish.console.language.messages import later, say
from blemish.console.models.code_snippets import NEEDS, SnippetTarget, snippets
from blemish.console.models.start_stop_panel import StartStopPanel
from blemish.console.paths import API_PORT, project_path
from blemish.console.trials.detect_requests import detect_url, upload_url
from blemish.console.trials.trials_panel import draw_trials
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType
from blemish.domain.lifecycle import MODEL_ANSWERING, MODEL_WITH_BUNDLE

TRAIN = DatasetType.TRAIN


class TryImages(ui.element, component="../static/try_images.js"):
    """Images that a person drops, with the verdicts of a model."""


class CodeBlock(ui.element, component="../static/code_block.js"):
    """Code to paste."""


@page("/projects/{project}/try", title=later("Try it"))
async def try_it(project: str, version: str = "") -> None:
    """Show a model at work."""
    looking = visitor()
    models = await _models(looking, project)
    ui.add_head_html('<link rel="stylesheet" href="/console/static/try_it.css">')
    with frame(say("Try it"), project=project, section="try"):
        if not models:
            heading(say("Try it"))
            with empty(
                say("No model to try yet"), say("Train one first; then show it images here.")
            ):
                link(say("Train a model"), project_path(project, "/train"), classes="button")
            return
        version = _version_to_try(models, version)
        with ui.element("div").classes("head"):
            heading(say("Try it"))
            ui.element("div").classes("room")
            _draw_choice(project, models, version)
        panel = StartStopPanel(project, version)
        await _draw_images(looking, project, version, panel)
        await panel.refresh()
        with ui.element("div").classes("columns"):
            await draw_trials(project, version)
            _draw_code(looking, project, version)


async def _models(looking: Visitor, project: str) -> Sequence[Mapping[str, Any]]:
    answer = await looking.call("ListModels", ProjectName=project, MaxResults=100)
    return [model for model in answer["Models"] if model["Status"] in MODEL_WITH_BUNDLE]


def _version_to_try(models: Sequence[Mapping[str, Any]], version: str) -> str:
    """Return the version to try: the wanted one, else one that runs, else the newest."""
    versions = [model["ModelVersion"] for model in models]
    running = [model["ModelVersion"] for model in models if model["Status"] in MODEL_ANSWERING]
    selection: str = version if version in versions else (running or versions)[0]
    return selection


def _draw_choice(project: str, models: Sequence[Mapping[str, Any]], version: str) -> None:
    titles = {
        model["ModelVersion"]: say("Model {model_version}", model_version=model["ModelVersion"])
        + (say(", running") if model["Status"] in MODEL_ANSWERING else "")
        for model in models
    }
    path = project_path(project, "/try")
    choice = ui.select(
        titles,
        value=version,
        label=say("Model"),
        on_change=lambda event: ui.navigate.to(f"{path}?version={event.value}"),
    )
    choice.classes("model-choice")


async def _draw_images(
    looking: Visitor, project: str, version: str, panel: StartStopPanel
) -> TryImages:
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
        labels = {str(image["ref"]): str(image["label"]) for image in event.args}
        added: list[str] = []
        try:
            await _add(looking, project, labels)
            added = list(labels)
        finally:
            images.run_method("added", added)
        ui.notify(
            say("{added} images are in the training set now.", added=len(added)), type="positive"
        )

    panel.on_ready(show)
    images.on("add", add)
    return images


async def _add(looking: Visitor, project: str, labels: Mapping[str, str]) -> None:
    def check() -> None:
        looking.check("UpdateDatasetEntries", ProjectName=project, DatasetType=TRAIN)
        looking.services.trials.check_apart(project, TRAIN, labels.keys())

    await in_thread(check)
    now = looking.services.clock()
    lines = [entry_line(ref, label=label, now=now) for ref, label in labels.items()]
    await change_entries(looking, DatasetKey(project=project, type=TRAIN), lines)


def _draw_code(looking: Visitor, project: str, version: str) -> None:
    request = ui.context.client.request
    address = request.base_url
    if API_PORT in request.scope:
        address = address.replace(port=request.scope[API_PORT])
    endpoint = str(address).removesuffix("/").removesuffix("/console")
    target = SnippetTarget(
        endpoint=endpoint, region=looking.services.region, project=project, version=version
    )
    with ui.element("section").classes("panel"):
        heading(say("Call it from a program"), 2)
        text(say(NEEDS), classes="quiet", tag="p")
        tools = snippets(target)
        with ui.tabs().props("align=left no-caps dense") as tabs:
            for tool in tools:
                ui.tab(tool)
        with ui.tab_panels(tabs, value=next(iter(tools))).classes("tools"):
            for tool, examples in tools.items():
                with ui.tab_panel(tool):
                    for example in examples:
                        heading(example.title, 3)
                        block = CodeBlock()
                        block.props["code"] = example.code
                        block.props["name"] = f"{tool}: {example.title}"
