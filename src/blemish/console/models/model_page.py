"""One model: how good it is, by which threshold, and what it says of each test image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from blemish.console.models.evaluation import Cell
from blemish.console.models.image_layers import Seen
from blemish.console.models.model_actions import (
    FORBIDDEN,
    MOVING,
    POLL_S,
    actions,
    allowed,
    share,
    status_pill,
    style,
)
from blemish.console.models.model_data import (
    Evaluated,
    bundle_info,
    described,
    evaluated,
    may_download,
)
from blemish.console.models.model_panels import (
    choice_panel,
    curve_panels,
    matrix_panel,
    tags_panel,
    threshold_panel,
    types_panel,
)
from blemish.console.models.preview_requests import bundle_url
from blemish.console.models.test_images import JudgedImages
from blemish.console.paths import project_path
from blemish.console.ui.frame import frame, heading, link, page, text, visitor
from blemish.domain.entities import ModelStatus
from blemish.engine.bundle import BundleInfo

QUIET = frozenset({ModelStatus.TRAINED, ModelStatus.HOSTED})
"""Where a status says all that its message does."""


@page("/projects/{project}/models/{version}", title="Model")
async def model(
    project: str, version: str, cell: str = "", order: str = "wrong", part: int = 1
) -> None:
    """Show a model; the query says which test images."""
    style()
    found = await described(visitor(), project, version)
    info = await bundle_info(visitor(), project, found)
    files = await evaluated(visitor(), found)
    with frame(f"Model {found['ModelVersion']}", project=project, here="models"):
        await _head(project, found)
        _numbers(found, info)
        if files.judged or info is not None:
            images = JudgedImages(
                project,
                found["ModelVersion"],
                files.judged,
                seen=await _seen(project, found["ModelVersion"], info),
                cell=Cell(cell) if cell in set(Cell) else None,
                order=order,
                part=part,
            )
            await _Measured(project=project, model=found, info=info, files=files).draw(images)
        await tags_panel(found["ModelArn"])


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What was measured of a model, as panels."""

    project: str
    model: Mapping[str, Any]
    info: BundleInfo | None
    files: Evaluated

    async def draw(self, images: JudgedImages) -> None:
        with ui.element("div").classes("columns"):
            matrix_panel(self.files, images)
            if self.info is not None:
                await threshold_panel(self.project, self.model, self.info)
        if self.info is not None:
            with ui.element("div").classes("columns"):
                curve_panels(self.info)
                choice_panel(self.info)
        types_panel(self.files.types)
        if self.files.judged:
            images.draw()


async def _seen(project: str, version: str, info: BundleInfo | None) -> Seen | None:
    named = {"ProjectName": project, "ModelVersion": version}
    if info is None or not await visitor().may("DetectAnomalies", **named):
        return None
    return Seen(
        project=project,
        version=version,
        threshold=info.threshold,
        mask=bool(info.anomaly_types),
    )


async def _head(project: str, model: Mapping[str, Any]) -> None:
    version = model["ModelVersion"]
    with ui.element("div").classes("head"):
        heading(f"Model {version}")
        status_pill(model["Status"])
        ui.element("div").classes("room")
        if model.get("Performance"):
            link("Compare", project_path(project, f"/compare?a={version}"))
            _download(project, version, may=await may_download(visitor(), project, version))
        actions(project, model, await allowed(project, version))
    if model["Status"] not in QUIET and model.get("StatusMessage"):
        failed = model["Status"] in {ModelStatus.TRAINING_FAILED, ModelStatus.HOSTING_FAILED}
        text(model["StatusMessage"], tag="p", classes="problem" if failed else "quiet")
    if model["Status"] == ModelStatus.TRAINING:
        link("Watch the training", project_path(project, "/train"))
    _follow(project, model)


def _follow(project: str, model: Mapping[str, Any]) -> None:
    """Load the page anew when the status is another."""

    async def look() -> None:
        now = await described(visitor(), project, model["ModelVersion"])
        if now["Status"] != model["Status"]:
            ui.navigate.reload()

    ui.timer(POLL_S if model["Status"] in MOVING else 2 * POLL_S, look, immediate=False)


def _download(project: str, version: str, *, may: bool) -> None:
    """Draw the link to the bundle: the ONNX graph, and what belongs to it."""
    if may:
        anchor = ui.element("a").props("download")
        anchor.props["href"] = bundle_url(project, version)
        with anchor:
            text("Download as ONNX")
        return
    with text("Download as ONNX", classes="quiet"):
        ui.tooltip(FORBIDDEN)


def _numbers(model: Mapping[str, Any], info: BundleInfo | None) -> None:
    performance = model.get("Performance") or {}
    with ui.element("div").classes("panel"):
        with ui.element("div").classes("figures"):
            for name, told in (("F1Score", "F1"), ("Precision", "Precision"), ("Recall", "Recall")):
                with ui.element("div"):
                    text(told, classes="quiet")
                    text(share(performance.get(name)), classes="number")
            with ui.element("dl").classes("facts"):
                _fact("Made", f"{model['CreationTimestamp']:%Y-%m-%d %H:%M} UTC")
                _fact("Description", model.get("Description") or "-")
                if info is not None:
                    kind = "finds and marks anomaly types" if info.anomaly_types else "classifies"
                    _fact("Kind", f"{kind}, {info.graph_size[0]} x {info.graph_size[1]} pixels")
        if performance:
            text(
                "Measured by the training on its test images, at the threshold that it chose. "
                "A moved threshold does not change these numbers.",
                tag="p",
                classes="quiet",
            )


def _fact(told: str, value: str) -> None:
    text(told, tag="dt")
    text(value, tag="dd")
