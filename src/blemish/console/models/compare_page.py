"""Two models of a project, image by image: different verdicts come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.models.evaluation import ComparedImage, compared_images
from blemish.console.models.image_layers import Faders, PreviewedModel, draw_image_layers
from blemish.console.models.model_actions import load_style
from blemish.console.models.model_data import (
    EvaluationFiles,
    bundle_info,
    describe_model,
    read_evaluation,
)
from blemish.console.models.models_page import all_models
from blemish.console.models.test_images import PART, verdict_caption
from blemish.console.paths import project_path
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor
from blemish.console.ui.table import table
from blemish.console.ui.words import share_text

_VALUE = "(event) => emit(event.target.value)"


@page("/projects/{project}/compare", title="Compare")
async def compare(project: str, a: str = "", b: str = "", part: int = 1) -> None:
    """Compare the models of two versions."""
    load_style()
    models = await all_models(project)
    versions = [model["ModelVersion"] for model in models if model.get("Performance")]
    with frame("Compare", project=project, section="models"):
        heading("Compare two models")
        if len(versions) < 2:
            with empty("There are not two models yet", "Two trained models can be compared here."):
                link("Train a model", project_path(project, "/train"))
            return
        a, b = compared_versions(versions, a, b)
        _choices(project, versions, a, b)
        sides = [await _Side.of(project, version) for version in (a, b)]
        _summary(sides)
        _images(project, sides, part)


def compared_versions(versions: Sequence[str], a: str, b: str) -> tuple[str, str]:
    """Return the two versions to compare, of all versions, newest first."""
    first = a if a in versions else next(v for v in versions[1:] if v != b)
    second = b if b in versions and b != first else next(v for v in versions if v != first)
    return first, second


class _Side:
    """One of the two models."""

    def __init__(
        self, model: Mapping[str, Any], files: EvaluationFiles, preview: PreviewedModel | None
    ) -> None:
        self.model = model
        self.version = model["ModelVersion"]
        self.files = files
        self.preview = preview

    @classmethod
    async def of(cls, project: str, version: str) -> _Side:
        model = await describe_model(visitor(), project, version)
        info = await bundle_info(visitor(), project, model)
        names = {"ProjectName": project, "ModelVersion": version}
        preview = None
        if info is not None and await visitor().may("DetectAnomalies", **names):
            preview = PreviewedModel(
                project=project,
                version=version,
                threshold=info.threshold,
                mask=bool(info.anomaly_types),
            )
        return cls(model, await read_evaluation(visitor(), model), preview)


def _choices(project: str, versions: Sequence[str], a: str, b: str) -> None:
    with ui.element("div").classes("line"):
        for title, selected, other, first in (("Model A", a, b, True), ("Model B", b, a, False)):
            with ui.element("label").classes("line"):
                text(title)
                choice = ui.element("select").classes("choice").props(f'aria-label="{title}"')
            with choice:
                for version in versions:
                    option = text(f"Model {version}", tag="option").props(f"value={version}")
                    if version == selected:
                        option.props("selected")

            def go(event: GenericEventArguments, other: str = other, first: bool = first) -> None:
                now = (event.args, other) if first else (other, event.args)
                ui.navigate.to(project_path(project, f"/compare?a={now[0]}&b={now[1]}"))

            choice.on("change", go, js_handler=_VALUE)


def _summary(sides: Sequence[_Side]) -> None:
    rows = []
    for letter, side in zip("AB", sides, strict=True):
        performance = side.model.get("Performance") or {}
        numbers = (share_text(performance.get(name)) for name in ("F1Score", "Precision", "Recall"))
        right = sum(image.right for image in side.files.images)
        count = f"{right} of {len(side.files.images)}" if side.files.images else "-"
        rows.append((f"{letter}: model {side.version}", *numbers, count))
    with ui.element("section").classes("panel"):
        table(("", "F1", "Precision", "Recall", "Right verdicts"), rows)
        for side in sides:
            if side.files.problem:
                text(f"Model {side.version}: {side.files.problem}", tag="p", classes="problem")


def _images(project: str, sides: Sequence[_Side], part: int) -> None:
    a, b = sides
    pairs = compared_images(a.files.images, b.files.images)
    differing = sum(pair.differs for pair in pairs)
    alone = len(a.files.images) + len(b.files.images) - 2 * len(pairs)
    with ui.element("div").classes("head"):
        heading("Image by image", 2)
        ui.element("div").classes("room")
        Faders(mask=any(side.preview is not None and side.preview.mask for side in sides)).draw()
    summary = f"{len(pairs)} images that both were tested on; verdicts differ at {differing}."
    if alone:
        summary += f" {alone} more were tested with only one of them."
    text(summary, tag="p", classes="quiet")
    parts = max(1, -(-len(pairs) // PART))
    part = min(max(1, part), parts)
    with ui.element("div").classes("pairs"):
        for pair in pairs[(part - 1) * PART : part * PART]:
            _pair(pair, a, b)
    if parts > 1:
        with ui.element("nav").classes("line").props('aria-label="Pages of images"'):
            for name, to in (("Previous", part - 1), ("Next", part + 1)):
                if 1 <= to <= parts:
                    query = f"/compare?a={a.version}&b={b.version}&part={to}"
                    link(name, project_path(project, query))
            text(f"Page {part} of {parts}", classes="quiet")


def _pair(pair: ComparedImage, a: _Side, b: _Side) -> None:
    look = "pair differs" if pair.differs else "pair"
    with ui.element("article").classes(look):
        text(pair.a.name, tag="h3", classes="name")
        with ui.element("div").classes("sides"):
            for letter, side, image in (("A", a, pair.a), ("B", b, pair.b)):
                with ui.element("figure"):
                    draw_image_layers(
                        image.ref, f"{image.name}, model {side.version}", model=side.preview
                    )
                    text(f"{letter}: model {side.version}", classes="quiet")
                    verdict_caption(image, name=False)
