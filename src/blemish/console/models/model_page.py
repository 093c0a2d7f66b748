"""One model: how good it is, at which threshold, and its verdict on each test image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.models.evaluation import Cell, EvaluatedImage, TypeResult
from blemish.console.models.model_actions import (
    POLL_S,
    allowed_actions,
    draw_actions,
    draw_delete,
    load_style,
)
from blemish.console.models.model_data import (
    bundle_info,
    describe_model,
    may_download,
    previewed_model,
    read_evaluation,
)
from blemish.console.models.model_panels import (
    choice_panel,
    curve_panels,
    matrix_panel,
    notes_panel,
    threshold_panel,
    types_panel,
)
from blemish.console.models.model_tags import tags_panel
from blemish.console.models.preview_requests import bundle_url
from blemish.console.models.regions_panel import regions_panel
from blemish.console.models.results_panel import results_panel, subject_of
from blemish.console.models.test_images import TestImages
from blemish.console.models.threshold_results import UNPAIRED, images_in_force
from blemish.console.paths import project_path
from blemish.console.ui.frame import frame, heading, link, page, text, visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.pill import model_status, pill
from blemish.domain.entities import ModelStatus
from blemish.domain.lifecycle import MODEL_FAILED, MODEL_IN_PROGRESS
from blemish.engine.bundle import BundleInfo

QUIET = frozenset({ModelStatus.TRAINED, ModelStatus.HOSTED})
"""Statuses whose message says nothing more."""


@page("/projects/{project}/models/{version}", title=later("Model"))
async def model(
    project: str, version: str, cell: str = "", order: str = "wrong", part: int = 1
) -> None:
    """Show a model; the query says which test images."""
    load_style()
    description = await describe_model(visitor(), project, version)
    info = await bundle_info(visitor(), project, description)
    files = await read_evaluation(visitor(), description)
    with frame(say("Model {version}", version=version), project=project, section="models"):
        allowed = await allowed_actions(project, version)
        await _head(project, description, allowed)
        results_panel(description, info)
        _facts(description, info)
        in_force = images_in_force(files.images, info)
        if files.images or info is not None:
            gallery = TestImages(
                project,
                version,
                in_force or (),
                model=await previewed_model(visitor(), project, version),
                subject=subject_of(description),
                cell=Cell(cell) if cell in set(Cell) else None,
                order=order,
                part=part,
            )
            measured = _Measured(
                project=project,
                model=description,
                info=info,
                images=in_force or (),
                types=files.types,
                problem=say(UNPAIRED) if in_force is None else files.problem,
            )
            await measured.draw(gallery)
        await tags_panel(description["ModelArn"])
        with ui.element("div").classes("line"):
            draw_delete(project, description, allowed)


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """The measurements of a model, as panels."""

    project: str
    model: Mapping[str, Any]
    info: BundleInfo | None
    images: Sequence[EvaluatedImage]
    types: Sequence[TypeResult]
    problem: str

    async def draw(self, gallery: TestImages) -> None:
        with ui.element("div").classes("columns"):
            matrix_panel(self.images, gallery, problem=self.problem)
            if self.info is not None:
                await threshold_panel(self.project, self.model, self.info)
        if self.info is not None:
            await regions_panel(self.project, self.model, self.info)
            notes_panel(self.info)
        if self.info is not None:
            with ui.element("div").classes("columns"):
                curve_panels(self.info)
                choice_panel(self.info)
        types_panel(self.types)
        if self.images:
            gallery.draw()


async def _head(project: str, model: Mapping[str, Any], allowed: frozenset[str]) -> None:
    version = model["ModelVersion"]
    with ui.element("div").classes("head"):
        heading(say("Model {version}", version=version))
        status = model_status(model["Status"])
        pill(status.words, status.look)
        ui.element("div").classes("room")
        if model.get("Performance"):
            link(say("Compare"), project_path(project, f"/compare?a={version}"))
            link(say("Package"), project_path(project, f"/packages?version={version}"))
            _download(project, version, may=await may_download(visitor(), project, version))
        draw_actions(project, model, allowed)
    if model["Status"] not in QUIET and model.get("StatusMessage"):
        failed = model["Status"] in MODEL_FAILED
        text(model["StatusMessage"], tag="p", classes="problem" if failed else "quiet")
    if model["Status"] == ModelStatus.TRAINING:
        link(say("Watch the training"), project_path(project, "/train"))
    _follow(project, model)


def _follow(project: str, model: Mapping[str, Any]) -> None:
    """Load the page anew when the status is another."""

    async def look() -> None:
        now = await describe_model(visitor(), project, model["ModelVersion"])
        if now["Status"] != model["Status"]:
            ui.navigate.reload()

    ui.timer(POLL_S if model["Status"] in MODEL_IN_PROGRESS else 2 * POLL_S, look, immediate=False)


def _download(project: str, version: str, *, may: bool) -> None:
    """Draw the link to the bundle: the ONNX graph with its description."""
    if may:
        anchor = ui.element("a").props("download")
        anchor.props["href"] = bundle_url(project, version)
        with anchor:
            text(say("Download as ONNX"))


def _facts(model: Mapping[str, Any], info: BundleInfo | None) -> None:
    with ui.element("dl").classes("facts panel"):
        text(say("Made"), tag="dt")
        moment(model["CreationTimestamp"], tag="dd")
        _fact(say("Description"), model.get("Description") or "-")
        if info is not None:
            kind = say("finds and marks anomaly types") if info.anomaly_types else say("classifies")
            _fact(
                say("Kind"),
                say(
                    "{kind}, {width} x {height} pixels",
                    kind=kind,
                    width=info.graph_size[0],
                    height=info.graph_size[1],
                ),
            )


def _fact(title: str, value: str) -> None:
    text(title, tag="dt")
    text(value, tag="dd")
