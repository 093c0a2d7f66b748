"""The page Overview: the state of a project, and what its models detected over time."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, tzinfo
from functools import partial
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import number_text, percent_text
from blemish.console.line.line_access import line_path, visible_lines
from blemish.console.paths import ROOT, project_path
from blemish.console.projects.delete_project import ask_to_delete
from blemish.console.projects.detection_chart import (
    RANGES,
    Range,
    Span,
    bar_options,
    beginning,
    length_text,
    ratio_options,
    span_title,
    spans_of,
)
from blemish.console.projects.detector_panel import detector_panel
from blemish.console.projects.project_summary import ProjectSummary, summary_of
from blemish.console.ui.chart import chart
from blemish.console.ui.frame import frame, heading, labelled, link, page, text, visitor
from blemish.console.ui.table import table
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DetectionCount

DEFAULT_RANGE = "7d"
REFRESH_S = 15.0

ZONE = "Intl.DateTimeFormat().resolvedOptions().timeZone"

STYLE = f'<link rel="stylesheet" href="{ROOT}/static/projects.css">'


@page("/projects/{project}", title=later("Overview"))
async def dashboard(project: str, span: str = DEFAULT_RANGE, model: str = "") -> None:
    """Show the overview of a project."""
    looking = visitor()
    description = await looking.call("DescribeProject", ProjectName=project)
    summary = await summary_of(looking, project)
    assert summary is not None
    ui.add_head_html(STYLE)
    with frame(say("Overview"), project=project, section="overview"):
        await _head(summary)
        _next_step(summary)
        _state(summary)
        range_name = span if span in RANGES else DEFAULT_RANGE
        detections = _Detections(looking, project, range_name, model)
        await detections.draw()
        await detector_panel(project, description["ProjectDescription"]["DetectorSettings"])
        ui.timer(REFRESH_S, detections.refresh, immediate=False)
        ui.timer(0.05, detections.take_zone, once=True)


async def _head(summary: ProjectSummary) -> None:
    names = {"ProjectName": summary.name}
    with ui.element("div").classes("head"):
        heading(summary.name)
        ui.element("div").classes("room")
        if await visitor().may("UpdateDatasetEntries", **names, DatasetType="train"):
            link(say("Add images"), project_path(summary.name, "/add"), classes="action")
        if not await visitor().may("DeleteProject", **names):
            return
        ui.button(
            say("Delete project"),
            icon="delete_outline",
            color=None,
            on_click=lambda: ask_to_delete(visitor(), summary.name),
        ).props("flat").classes("quiet")


def next_step(summary: ProjectSummary) -> tuple[str, str, str] | None:
    """Return the next step: a sentence, a link's text and its path; None if there is none."""
    if not summary.images:
        words = say(
            "Begin with images of the product: good ones, and some with anomalies if you have any."
        )
        return words, say("Add images"), "/add"
    if summary.labeled < summary.images and not summary.models:
        missing = summary.images - summary.labeled
        words = say(
            "Say which images are good: {missing} have no label yet, and are not used.",
            missing=number_text(missing),
        )
        return words, say("Label images"), "/images"
    if summary.training:
        return (
            say("Version {training} is in training.", training=summary.training[0]),
            say("See how far it is"),
            "/train",
        )
    if summary.measured is None:
        return (
            say("The images are labelled. Let a model learn from them."),
            say("Train a model"),
            "/train",
        )
    if not summary.running:
        version = summary.measured["ModelVersion"]
        return (
            say("Version {version} is trained. Start it, and show it images.", version=version),
            say("Try it"),
            "/try",
        )
    return None


def _next_step(summary: ProjectSummary) -> None:
    step = next_step(summary)
    if step is None:
        return
    words, link_text, rest = step
    with ui.element("div").classes("panel next-step"):
        text(words, tag="p")
        link(link_text, project_path(summary.name, rest), classes="action")


def _state(summary: ProjectSummary) -> None:
    with ui.element("div").classes("figures"):
        for kind, title in (("train", say("Training set")), ("test", say("Test set"))):
            stats = summary.datasets.get(kind, {}).get("ImageStats")
            if stats is None:
                if kind == "train":
                    _figure(title, "0", say("No images yet"))
                continue
            labels = say(
                "{normal} normal, {anomaly} anomalous",
                normal=number_text(stats["Normal"]),
                anomaly=number_text(stats["Anomaly"]),
            )
            missing = stats["Total"] - stats["Labeled"]
            _figure(
                title,
                f"{stats['Total']:,}",
                labels
                + (say(", {missing} to label", missing=number_text(missing)) * bool(missing)),
            )
        measured = summary.measured
        if measured is None:
            _figure(say("Newest model"), "-", say("None is trained yet"))
        else:
            performance = measured["Performance"]
            rates = say(
                "Precision {precision}, recall {recall}",
                precision=percent_text(performance["Precision"]),
                recall=percent_text(performance["Recall"]),
            )
            _figure(
                say("F1, version {model_version}", model_version=measured["ModelVersion"]),
                percent_text(performance["F1Score"]),
                rates,
            )
        running = summary.running
        _figure(say("Running"), number_text(len(running)), _running_text(running))


def _running_text(versions: list[str]) -> str:
    if not versions:
        return say("No model is running")
    names = ", ".join(versions)
    return (
        say("Version {names}", names=names)
        if len(versions) == 1
        else say("Versions {names}", names=names)
    )


def _figure(name: str, number: str, note: str) -> None:
    with ui.element("div").classes("panel figure"):
        text(name, classes="quiet", tag="p")
        text(number, classes="number", tag="p")
        text(note, classes="quiet", tag="p")


class _Detections:
    """What the models of a project detected in a time."""

    def __init__(self, looking: Visitor, project: str, range_name: str, model: str) -> None:
        self._visitor = looking
        self._project = project
        self._range_name = range_name
        self._model = model
        self._zone: tzinfo = UTC
        self._shown_counts: list[DetectionCount] = []
        #: the first line of the project, whose history bars open
        self._line = ""

    async def draw(self) -> None:
        """Draw it, with the choice of time and model."""
        lines = await visible_lines(self._visitor)
        self._line = next((line.name for line in lines if line.project == self._project), "")
        self._shown_counts = await self._counts()
        with ui.element("section").classes("panel").props("aria-labelledby=detections"):
            with ui.element("div").classes("head"):
                with ui.element("h2").props("id=detections"):
                    text(say("Detections"))
                self._model_choice()
                ui.element("div").classes("room")
                with labelled(ui.element("nav").classes("choices"), say("Time")):
                    for name, wanted in RANGES.items():
                        self._choice(say(wanted.title), name, self._model, name == self._range_name)
            self._body = ui.element("div").classes("stack")
            self._fill()

    async def refresh(self) -> None:
        """Draw it anew if more was counted since."""
        counts = await self._counts()
        if counts != self._shown_counts:
            self._shown_counts = counts
            self._body.clear()
            self._fill()

    async def take_zone(self) -> None:
        """Draw it anew in the time zone of the browser."""
        name = str(await ui.run_javascript(ZONE))
        if name == str(self._zone):
            return
        try:
            self._zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return  # the server does not know the zone: UTC then
        self._shown_counts = await self._counts()
        self._body.clear()
        self._fill()

    async def _counts(self) -> list[DetectionCount]:
        begin = self._begin().astimezone(UTC)
        return await in_thread(self._visitor.services.counts.since, self._project, begin)

    def _begin(self) -> datetime:
        return beginning(RANGES[self._range_name], self._visitor.services.clock(), self._zone)

    def _fill(self) -> None:
        wanted = RANGES[self._range_name]
        counts = [
            count for count in self._shown_counts if self._model in {"", str(count.model_version)}
        ]
        spans = spans_of(counts, wanted, self._begin())
        with self._body:
            if not any(span.images for span in spans):
                advice = say("There were no detections in this time. Start a model, and try it.")
                text(advice, classes="quiet", tag="p")
                return
            images, anomalies = (
                sum(getattr(span, name) for span in spans) for name in ("images", "anomalies")
            )
            with ui.element("div").classes("line totals"):
                _total(say("Images processed"), f"{images:,}")
                _total(say("Anomalies found"), f"{anomalies:,}")
                _total(say("Anomaly ratio"), f"{anomalies / images:.1%}")
            with ui.element("div").classes("head"):
                heading(say("Images processed"), 3)
                for key, title in (("found", "anomalies"), ("rest", say("the others"))):
                    with ui.element("span").classes("legend"):
                        ui.element("i").classes(key)
                        text(title, classes="quiet")
            self._bars(spans, wanted)
            heading(say("Anomaly ratio"), 3)
            chart(
                ratio_options(spans, wanted),
                say("Share of anomalies, by {length}", length=length_text(wanted)),
                classes="detections",
            )
            text(say("Times are those of {zone}.", zone=self._zone), classes="quiet", tag="p")
            _by_model(self._project, counts)

    def _bars(self, spans: list[Span], wanted: Range) -> None:
        """Draw the bars; those with images open the history of the line, if there is one."""
        paths = {
            number: self._history_path(span, wanted)
            for number, span in enumerate(spans)
            if span.images and self._line
        }

        def open_history(number: int) -> None:
            if number in paths:
                ui.navigate.to(paths[number])

        with ui.element("div").classes("bars"):
            chart(
                bar_options(spans, wanted, opens=bool(paths)),
                say(
                    "Images processed and anomalies found, by {length}",
                    length=length_text(wanted),
                ),
                classes="detections",
                picked=open_history,
            )
            if not paths:
                return
            links = ui.element("div").classes("bar-links").props("role=group")
            with labelled(links, say("History")):
                for number, span in enumerate(spans):
                    column = ui.element("a" if number in paths else "span")
                    if number in paths:
                        column.props["href"] = f"{ROOT}{paths[number]}"
                        column.props["aria-label"] = span_title(span, wanted)

    def _history_path(self, span: Span, wanted: Range) -> str:
        """Return the path of the line's history in a span, below `/console`."""
        members = {
            "since": span.begin.isoformat(),
            "until": (span.begin + wanted.span).isoformat(),
        }
        if self._model:
            members["model"] = f"{self._project} {self._model}"
        return f"{line_path(self._line, '/history')}?{urlencode(members)}"

    def _model_choice(self) -> None:
        versions = sorted({count.model_version for count in self._shown_counts}, reverse=True)
        if len(versions) < 2 and not self._model:
            return
        with labelled(ui.element("nav").classes("choices"), say("Model")):
            self._choice(say("All models"), self._range_name, "", not self._model)
            for version in versions[:8]:
                current = self._model == str(version)
                self._choice(
                    say("Version {version}", version=version),
                    self._range_name,
                    str(version),
                    current,
                )

    def _choice(self, title: str, range_name: str, model: str, current: bool) -> None:
        query = urlencode({"span": range_name} | ({"model": model} if model else {}))
        choice = link(title, f"{project_path(self._project)}?{query}")
        if current:
            choice.props("aria-current=true")


def _total(name: str, number: str) -> None:
    with ui.element("div"):
        text(number, classes="number", tag="p")
        text(name, classes="quiet", tag="p")


def _by_model(project: str, counts: list[DetectionCount]) -> None:
    sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for count in counts:
        sums[count.model_version][0] += count.images
        sums[count.model_version][1] += count.anomalies
    table(
        (say("Model"), say("Images processed"), say("Anomalies found"), say("Anomaly ratio")),
        [
            (
                partial(
                    link,
                    say("Version {version}", version=version),
                    project_path(project, f"/models/{version}"),
                ),
                images,
                anomalies,
                f"{anomalies / images:.1%}",
            )
            for version, (images, anomalies) in sorted(sums.items(), reverse=True)
        ],
    )
