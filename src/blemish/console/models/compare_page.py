"""Two models of a project, image by image: where they do not agree comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.models.evaluation import Compared, compared
from blemish.console.models.image_layers import Faders, Seen, layers
from blemish.console.models.model_actions import share, style
from blemish.console.models.model_data import Evaluated, bundle_info, described, evaluated
from blemish.console.models.model_panels import table
from blemish.console.models.models_page import all_models
from blemish.console.models.test_images import PART, verdict_caption
from blemish.console.paths import project_path
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor

_VALUE = "(event) => emit(event.target.value)"


@page("/projects/{project}/compare", title="Compare")
async def compare(project: str, a: str = "", b: str = "", part: int = 1) -> None:
    """Compare the models of two versions."""
    style()
    measured = [each for each in await all_models(project) if each.get("Performance")]
    versions = [each["ModelVersion"] for each in measured]
    with frame("Compare", project=project, here="models"):
        heading("Compare two models")
        if len(versions) < 2:
            with empty("There are not two models yet", "Two trained models can be compared here."):
                link("Train a model", project_path(project, "/train"))
            return
        a, b = chosen(versions, a, b)
        _choices(project, versions, a, b)
        sides = [await _Side.of(project, version) for version in (a, b)]
        _summary(sides)
        _images(project, sides, part)


def chosen(versions: Sequence[str], a: str, b: str) -> tuple[str, str]:
    """Return which two of the versions, newest first, are compared."""
    first = a if a in versions else next(each for each in versions[1:] if each != b)
    second = b if b in versions and b != first else next(v for v in versions if v != first)
    return first, second


class _Side:
    """One of the two models."""

    def __init__(self, model: Mapping[str, Any], files: Evaluated, seen: Seen | None) -> None:
        self.model = model
        self.version = model["ModelVersion"]
        self.files = files
        self.seen = seen

    @classmethod
    async def of(cls, project: str, version: str) -> _Side:
        model = await described(visitor(), project, version)
        info = await bundle_info(visitor(), project, model)
        named = {"ProjectName": project, "ModelVersion": version}
        seen = None
        if info is not None and await visitor().may("DetectAnomalies", **named):
            mask = bool(info.anomaly_types)
            seen = Seen(project=project, version=version, threshold=info.threshold, mask=mask)
        return cls(model, await evaluated(visitor(), model), seen)


def _choices(project: str, versions: Sequence[str], a: str, b: str) -> None:
    with ui.element("div").classes("line"):
        for told, mine, other, first in (("Model A", a, b, True), ("Model B", b, a, False)):
            with ui.element("label").classes("line"):
                text(told)
                choice = ui.element("select").classes("choice").props(f'aria-label="{told}"')
            with choice:
                for version in versions:
                    option = text(f"Model {version}", tag="option").props(f"value={version}")
                    if version == mine:
                        option.props("selected")

            def go(event: GenericEventArguments, other: str = other, first: bool = first) -> None:
                now = (event.args, other) if first else (other, event.args)
                ui.navigate.to(project_path(project, f"/compare?a={now[0]}&b={now[1]}"))

            choice.on("change", go, js_handler=_VALUE)


def _summary(sides: Sequence[_Side]) -> None:
    rows = []
    for told, side in zip("AB", sides, strict=True):
        performance = side.model.get("Performance") or {}
        numbers = (share(performance.get(name)) for name in ("F1Score", "Precision", "Recall"))
        right = sum(each.right for each in side.files.judged)
        count = f"{right} of {len(side.files.judged)}" if side.files.judged else "-"
        rows.append((f"{told}: model {side.version}", *numbers, count))
    with ui.element("section").classes("panel"):
        table(("", "F1", "Precision", "Recall", "Right verdicts"), rows)
        for side in sides:
            if side.files.problem:
                text(f"Model {side.version}: {side.files.problem}", tag="p", classes="problem")


def _images(project: str, sides: Sequence[_Side], part: int) -> None:
    a, b = sides
    pairs = compared(a.files.judged, b.files.judged)
    differing = sum(pair.differs for pair in pairs)
    alone = len(a.files.judged) + len(b.files.judged) - 2 * len(pairs)
    with ui.element("div").classes("head"):
        heading("Image by image", 2)
        ui.element("div").classes("room")
        Faders(mask=any(side.seen is not None and side.seen.mask for side in sides)).draw()
    told = f"{len(pairs)} images that both were tested on; other verdicts at {differing}."
    if alone:
        told += f" {alone} more were tested with one of them alone."
    text(told, tag="p", classes="quiet")
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


def _pair(pair: Compared, a: _Side, b: _Side) -> None:
    look = "pair differs" if pair.differs else "pair"
    with ui.element("article").classes(look):
        text(pair.a.name, tag="h3", classes="name")
        with ui.element("div").classes("sides"):
            for told, side, judged in (("A", a, pair.a), ("B", b, pair.b)):
                with ui.element("figure"):
                    layers(judged.ref, f"{judged.name}, model {side.version}", model=side.seen)
                    text(f"{told}: model {side.version}", classes="quiet")
                    verdict_caption(judged, name=False)
