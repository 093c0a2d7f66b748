"""Trials: a whole batch judged in the background, verified by a person, then put to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.images.dataset_changes import dataset_at_rest
from blemish.console.images.entry import DatasetKey, entry_line, object_address
from blemish.console.images.image_requests import image_url, thumbnail_url
from blemish.console.paths import project_path
from blemish.console.trials.detect_requests import upload_url
from blemish.console.ui.frame import frame, heading, link, page, text, visitor
from blemish.console.ui.permissions import permit
from blemish.domain.detection_jobs import DetectionJobStatus
from blemish.domain.entities import DatasetType, Label
from blemish.domain.manifest import parse_line

LOOK_S = 1.0

VERIFY, ADD = "VerifyTrialImages", "AddTrialImagesToDataset"

PAGE = 60
"""Images on a page of a trial."""

_KINDS = {
    DetectionJobStatus.CREATED: "busy",
    DetectionJobStatus.RUNNING: "busy",
    DetectionJobStatus.SUCCEEDED: "good",
    DetectionJobStatus.FAILED: "bad",
}
_GOING_ON = frozenset({DetectionJobStatus.CREATED, DetectionJobStatus.RUNNING})


class BatchUpload(ui.element, component="../static/upload_batch.js"):
    """Images that a person picks, stored in the project's bucket."""


async def draw_trials(project: str, version: str) -> None:
    """Draw the trials of a project, and what begins another."""
    with ui.element("section").classes("panel training-form"):
        heading("A whole batch", 2)
        text(
            "A trial judges many images in the background. Verify what it found, and add it to "
            "the training set or, as a whole, to the test set.",
            classes="quiet",
            tag="p",
        )
        begin = _Begin(project, version)
        await begin.permit()
        await begin.refresh()


class _Begin:
    """The form that starts a trial, and the list of them."""

    def __init__(self, project: str, version: str) -> None:
        self._project = project
        self._version = version
        self._visitor = visitor()
        self._seen: Sequence[Mapping[str, Any]] = ()
        self._name = ui.input("Name of the trial (made for you if left empty)")
        self._batch = BatchUpload().on("uploaded", self._uploaded)
        self._batch.props["uploadUrl"] = upload_url(project)
        with ui.element("div").classes("line"):
            self._manifest = ui.input("Or a manifest: s3://bucket/key").classes("room")
            self._button = ui.button("Start", on_click=self._listed).props("outline")
        self._list = ui.element("div")
        ui.timer(LOOK_S, self._look, immediate=False)

    async def permit(self) -> None:
        """Keep off what the visitor may not do."""
        operation = "StartTrialDetection"
        await permit(self._visitor, self._button, operation, ProjectName=self._project)
        self._batch.props["disable"] = not self._button.enabled

    async def _look(self) -> None:
        """Look only while there is something to see: each look is a call."""
        if any(trial["Status"] in _GOING_ON for trial in self._seen):
            await self.refresh()

    async def refresh(self) -> None:
        """Show the trials that are there now."""
        found = await self._visitor.call(
            "ListTrialDetections", ProjectName=self._project, MaxResults=20
        )
        trials = found["Trials"]
        if trials == self._seen:
            return
        self._seen = trials
        self._list.clear()
        if trials:
            with self._list:
                _draw_list(self._project, trials)

    async def _uploaded(self, event: GenericEventArguments) -> None:
        await self._start({"Images": [str(ref) for ref in event.args]})

    async def _listed(self) -> None:
        ref = object_address(self._manifest.value.strip())
        await self._start({"Manifest": {"Bucket": ref.bucket, "Key": ref.key}})

    async def _start(self, source: Mapping[str, Any]) -> None:
        made = await self._visitor.call(
            "StartTrialDetection",
            ProjectName=self._project,
            ModelVersion=self._version,
            TrialName=self._name.value.strip() or None,
            ImageSource=source,
        )
        self._name.value = ""
        self._manifest.value = ""
        ui.notify(f"Trial {made['TrialName']} has begun.")
        await self.refresh()


def _draw_list(project: str, trials: Sequence[Mapping[str, Any]]) -> None:
    with ui.element("table").classes("plain"):
        with ui.element("thead"), ui.element("tr"):
            for told in ("Trial", "Model", "Status", "Images", "Anomalies"):
                with ui.element("th").props("scope=col"):
                    text(told)
        with ui.element("tbody"):
            for trial in trials:
                counts = trial["ImageStats"]
                with ui.element("tr"):
                    with ui.element("td"):
                        link(trial["TrialName"], _path(project, trial["TrialName"]))
                    with ui.element("td"):
                        text(trial["ModelVersion"])
                    with ui.element("td"):
                        _pill(trial["Status"])
                    with ui.element("td"):
                        text(_count(counts.get("Total")))
                    with ui.element("td"):
                        text(_count(counts.get("Anomaly")))


@page("/projects/{project}/try/trials/{trial}", title="Trial")
async def trial_page(project: str, trial: str, start: str = "") -> None:
    """Show what a trial found, to be verified."""
    looking = visitor()
    names = {"ProjectName": project, "TrialName": trial}
    found = (await looking.call("DescribeTrialDetection", **names))["Trial"]
    ui.add_head_html('<link rel="stylesheet" href="/console/static/try_it.css">')
    with frame("Trial", project=project, here="try"):
        with ui.element("div").classes("head"):
            heading(f"Trial {trial}")
            _pill(found["Status"])
            ui.element("div").classes("room")
            link("Back to Try it", project_path(project, f"/try?version={found['ModelVersion']}"))
        text(found["StatusMessage"], classes="quiet", tag="p")
        if found["Status"] in _GOING_ON:
            ui.timer(LOOK_S, lambda: _reload_when_changed(names, found), immediate=False)
            return
        if found["Status"] == DetectionJobStatus.SUCCEEDED:
            await _Verifying(project, trial, found["ImageStats"]).draw(start or None)


async def _reload_when_changed(names: Mapping[str, str], seen: Mapping[str, Any]) -> None:
    found = (await visitor().call("DescribeTrialDetection", **names))["Trial"]
    if found != seen:
        ui.navigate.reload()


class _Verifying:
    """The images of a trial that is through, and what a person says of them."""

    def __init__(self, project: str, trial: str, counts: Mapping[str, int]) -> None:
        self._project = project
        self._names = {"ProjectName": project, "TrialName": trial}
        self._judged = counts["Normal"] + counts["Anomaly"]
        self._visitor = visitor()
        self._verdicts: dict[str, Label] = {}
        self._said: dict[str, Label] = {}
        self._may_say = False
        self._cards: dict[str, tuple[ui.element, ui.element]] = {}

    async def draw(self, start: str | None) -> None:
        """Draw a page of the images."""
        await self._draw_actions()
        text(
            f"The test set takes a trial as a whole: all {self._judged} images that the model "
            "judged, verified. Images that were picked out would bias it.",
            classes="quiet",
            tag="p",
        )
        found = await self._visitor.call(
            "ListTrialImages", **self._names, NextToken=start, MaxResults=PAGE
        )
        with ui.element("ul").classes("cards").props('aria-label="Images of the trial"'):
            for image in found["Images"]:
                with ui.element("li").classes("panel"):
                    self._draw_card(image)
        if token := found.get("NextToken"):
            path = _path(self._project, self._names["TrialName"])
            link("Next images", f"{path}?start={token}")

    async def _draw_actions(self) -> None:
        with ui.element("div").classes("line controls"):
            rest = ui.button("The rest on this page is right", on_click=self._say_rest)
            rest.props("outline")
            await permit(self._visitor, rest, VERIFY, **self._names)
            ui.element("div").classes("room")
            for kind, told in ((DatasetType.TRAIN, "training"), (DatasetType.TEST, "test")):
                button = ui.button(
                    f"Add the verified to the {told} set",
                    on_click=lambda kind=kind, told=told: self._add(kind, told),
                )
                button.props("outline" if kind is DatasetType.TEST else "")
                await permit(self._visitor, button, ADD, **self._names, DatasetType=kind)
        self._may_say = rest.enabled

    def _draw_card(self, image: Mapping[str, Any]) -> None:
        ref = image["SourceRef"]
        with ui.element("a").classes("look") as look:
            look.props["href"] = image_url(ref)
            look.props["target"] = "_blank"
            shown = ui.element("img")
            shown.props["src"] = thumbnail_url(ref)
            shown.props["alt"] = shown.props["title"] = ref.rsplit("/", 1)[-1]
        if error := image.get("Error"):
            text(error, classes="problem", tag="p")
            return
        verdict = Label.ANOMALY if image["IsAnomalous"] else Label.NORMAL
        self._verdicts[ref] = verdict
        with ui.element("div").classes("line"):
            text(verdict.capitalize(), classes=f"pill {verdict}")
            text(f"{image['Confidence']:.0%} sure")
        other = Label.NORMAL if verdict is Label.ANOMALY else Label.ANOMALY
        corrected = "It is normal" if other is Label.NORMAL else "It is an anomaly"
        with ui.element("div").classes("line"):
            right = self._draw_say("Right", ref, verdict)
            wrong = self._draw_say(corrected, ref, other)
        self._cards[ref] = (right, wrong)
        if line := image.get("VerifiedEntry"):
            label = parse_line(line).label
            if label is not None:
                self._show(ref, label)

    def _draw_say(self, told: str, ref: str, label: Label) -> ui.element:
        button = ui.element("button").classes("small")
        button.props(f"type=button aria-pressed=false {'' if self._may_say else 'disabled'}")
        button.on("click", lambda: self._say({ref: label}))
        with button:
            text(told)
        return button

    def _show(self, ref: str, label: Label) -> None:
        self._said[ref] = label
        right, wrong = self._cards[ref]
        right.props["aria-pressed"] = str(label is self._verdicts[ref]).lower()
        wrong.props["aria-pressed"] = str(label is not self._verdicts[ref]).lower()
        right.update()
        wrong.update()

    async def _say(self, labels: Mapping[str, Label]) -> None:
        if not labels:
            return
        now = self._visitor.services.clock()
        lines = [entry_line(ref, label=label, now=now) for ref, label in labels.items()]
        await self._visitor.call(VERIFY, **self._names, Entries="\n".join(lines).encode())
        for ref, label in labels.items():
            self._show(ref, label)

    async def _say_rest(self) -> None:
        rest = {ref: label for ref, label in self._verdicts.items() if ref not in self._said}
        await self._say(rest)

    async def _add(self, kind: DatasetType, told: str) -> None:
        await self._visitor.call(ADD, **self._names, DatasetType=kind)
        await dataset_at_rest(self._visitor, DatasetKey(project=self._project, type=kind))
        ui.notify(f"The verified images are in the {told} set now.", type="positive")


def _path(project: str, trial: str) -> str:
    return project_path(project, f"/try/trials/{trial}")


def _pill(status: str) -> None:
    text(status.lower(), classes=f"pill {_KINDS[DetectionJobStatus(status)]}")


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
