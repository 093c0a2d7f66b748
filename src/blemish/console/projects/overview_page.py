"""The overview of a project: where it stands, and what its models found over time."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, tzinfo
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nicegui import ui

from blemish.console.paths import ROOT, project_path
from blemish.console.projects.delete_project import ask_to_delete
from blemish.console.projects.detection_chart import RANGES, bars, beginning, ratio_line, spans_of
from blemish.console.projects.project_summary import ProjectSummary, summary_of
from blemish.console.ui.frame import frame, heading, link, page, text, visitor
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DetectionCount

DEFAULT_RANGE = "7d"
REFRESH_S = 15.0

ZONE = "Intl.DateTimeFormat().resolvedOptions().timeZone"

STYLE = f'<link rel="stylesheet" href="{ROOT}/static/projects.css">'


@page("/projects/{project}", title="Overview")
async def dashboard(project: str, span: str = DEFAULT_RANGE, model: str = "") -> None:
    """Show the overview of a project."""
    who = visitor()
    await who.call("DescribeProject", ProjectName=project)
    summary = await summary_of(who, project)
    assert summary is not None
    ui.add_head_html(STYLE)
    with frame("Overview", project=project, here="overview"):
        _head(summary)
        _next_step(summary)
        _standing(summary)
        found = _Detections(who, project, span if span in RANGES else DEFAULT_RANGE, model)
        await found.draw()
        ui.timer(REFRESH_S, found.refresh, immediate=False)
        ui.timer(0.05, found.take_zone, once=True)


def _head(summary: ProjectSummary) -> None:
    with ui.element("div").classes("head"):
        heading(summary.name)
        ui.element("div").classes("room")
        link("Add images", project_path(summary.name, "/add"), classes="action")
        ui.button(
            "Delete project",
            icon="delete_outline",
            color=None,
            on_click=lambda: ask_to_delete(visitor(), summary.name),
        ).props("flat").classes("quiet")


def next_step(summary: ProjectSummary) -> tuple[str, str, str] | None:
    """Return what is to be done next, in words, with a link's text and path; None if nothing."""
    if not summary.images:
        words = (
            "Begin with images of the product: good ones, and some with defects if you have any."
        )
        return words, "Add images", "/add"
    if summary.labeled < summary.images and not summary.models:
        missing = summary.images - summary.labeled
        words = f"Say which images are good: {missing:,} have no label yet, and teach nothing."
        return words, "Label images", "/images"
    if summary.training:
        return f"Version {summary.training[0]} is in training.", "See how far it is", "/train"
    if summary.measured is None:
        return "The images are labelled. Let a model learn from them.", "Train a model", "/train"
    if not summary.hosted:
        version = summary.measured["ModelVersion"]
        return f"Version {version} is trained. Start it, and show it images.", "Try it", "/try"
    return None


def _next_step(summary: ProjectSummary) -> None:
    found = next_step(summary)
    if found is None:
        return
    words, told, rest = found
    with ui.element("div").classes("panel next-step"):
        text(words, tag="p")
        link(told, project_path(summary.name, rest), classes="action")


def _standing(summary: ProjectSummary) -> None:
    with ui.element("div").classes("figures"):
        for kind, told in (("train", "Training set"), ("test", "Test set")):
            stats = summary.datasets.get(kind, {}).get("ImageStats")
            if stats is None:
                if kind == "train":
                    _figure(told, "0", "No images yet")
                continue
            labels = f"{stats['Normal']:,} normal, {stats['Anomaly']:,} anomalous"
            missing = stats["Total"] - stats["Labeled"]
            _figure(
                told, f"{stats['Total']:,}", labels + (f", {missing:,} to label" * bool(missing))
            )
        measured = summary.measured
        if measured is None:
            _figure("Newest model", "-", "None is trained yet")
        else:
            told = measured["Performance"]
            rates = f"Precision {told['Precision']:.0%}, recall {told['Recall']:.0%}"
            _figure(f"F1, version {measured['ModelVersion']}", f"{told['F1Score']:.0%}", rates)
        hosted = summary.hosted
        _figure("Hosting", "On" if hosted else "Off", _hosting_told(hosted))


def _hosting_told(hosted: list[str]) -> str:
    if not hosted:
        return "No model is started"
    return f"Version{'' if len(hosted) == 1 else 's'} {', '.join(hosted)}"


def _figure(name: str, number: str, told: str) -> None:
    with ui.element("div").classes("panel figure"):
        text(name, classes="quiet", tag="p")
        text(number, classes="number", tag="p")
        text(told, classes="quiet", tag="p")


class _Detections:
    """What the models of a project judged in a time."""

    def __init__(self, who: Visitor, project: str, range_name: str, model: str) -> None:
        self._visitor = who
        self._project = project
        self._range_name = range_name
        self._model = model
        self._zone: tzinfo = UTC
        self._seen: list[DetectionCount] = []

    async def draw(self) -> None:
        """Draw it, with what it can be narrowed to."""
        self._seen = await self._counts()
        with ui.element("section").classes("panel").props("aria-labelledby=detections"):
            with ui.element("div").classes("head"):
                with ui.element("h2").props("id=detections"):
                    text("Detections")
                self._model_choice()
                ui.element("div").classes("room")
                with ui.element("nav").classes("choices").props('aria-label="Time"'):
                    for name, wanted in RANGES.items():
                        self._choice(wanted.told, name, self._model, name == self._range_name)
            self._body = ui.element("div").classes("stack")
            self._fill()

    async def refresh(self) -> None:
        """Draw anew what was counted since."""
        counts = await self._counts()
        if counts != self._seen:
            self._seen = counts
            self._body.clear()
            self._fill()

    async def take_zone(self) -> None:
        """Draw anew by the clocks that the visitor lives by."""
        name = await ui.run_javascript(ZONE)
        try:
            self._zone = ZoneInfo(str(name))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return  # the server does not know the zone: UTC then
        self._seen = await self._counts()
        self._body.clear()
        self._fill()

    async def _counts(self) -> list[DetectionCount]:
        begin = self._begin().astimezone(UTC)
        return await in_thread(self._visitor.services.counts.since, self._project, begin)

    def _begin(self) -> datetime:
        return beginning(RANGES[self._range_name], self._visitor.services.clock(), self._zone)

    def _fill(self) -> None:
        wanted = RANGES[self._range_name]
        counts = [each for each in self._seen if self._model in {"", str(each.model_version)}]
        spans = spans_of(counts, wanted, self._begin())
        with self._body:
            if not any(span.images for span in spans):
                advice = "No image was judged in this time. Start a model, and try it."
                text(advice, classes="quiet", tag="p")
                return
            images, anomalies = (
                sum(getattr(span, name) for span in spans) for name in ("images", "anomalies")
            )
            with ui.element("div").classes("line totals"):
                _total("Images processed", f"{images:,}")
                _total("Anomalies found", f"{anomalies:,}")
                _total("Anomaly ratio", f"{anomalies / images:.1%}")
            with ui.element("div").classes("head"):
                heading("Images processed", 3)
                for key, told in (("found", "anomalies"), ("rest", "the others")):
                    with ui.element("span").classes("legend"):
                        ui.element("i").classes(key)
                        text(told, classes="quiet")
            ui.html(bars(spans, wanted), sanitize=False)
            heading("Anomaly ratio", 3)
            ui.html(ratio_line(spans, wanted), sanitize=False)
            text(f"Times are those of {self._zone}.", classes="quiet", tag="p")
            _by_model(self._project, counts)

    def _model_choice(self) -> None:
        versions = sorted({each.model_version for each in self._seen}, reverse=True)
        if len(versions) < 2 and not self._model:
            return
        with ui.element("nav").classes("choices").props('aria-label="Model"'):
            self._choice("All models", self._range_name, "", not self._model)
            for version in versions[:8]:
                here = self._model == str(version)
                self._choice(f"Version {version}", self._range_name, str(version), here)

    def _choice(self, told: str, range_name: str, model: str, here: bool) -> None:
        query = urlencode({"span": range_name} | ({"model": model} if model else {}))
        chosen = link(told, f"{project_path(self._project)}?{query}")
        if here:
            chosen.props("aria-current=true")


def _total(name: str, number: str) -> None:
    with ui.element("div"):
        text(number, classes="number", tag="p")
        text(name, classes="quiet", tag="p")


def _by_model(project: str, counts: list[DetectionCount]) -> None:
    sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for count in counts:
        sums[count.model_version][0] += count.images
        sums[count.model_version][1] += count.anomalies
    with ui.element("table").classes("plain"):
        with ui.element("thead"), ui.element("tr"):
            for name in ("Model", "Images processed", "Anomalies found", "Anomaly ratio"):
                text(name, tag="th").props("scope=col")
        with ui.element("tbody"):
            for version, (images, anomalies) in sorted(sums.items(), reverse=True):
                with ui.element("tr"):
                    with ui.element("td"):
                        link(f"Version {version}", project_path(project, f"/models/{version}"))
                    for told in (f"{images:,}", f"{anomalies:,}", f"{anomalies / images:.1%}"):
                        text(told, tag="td")
