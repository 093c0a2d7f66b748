"""The page of one trial: its images, to be verified and added to a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from blemish.console.images.dataset_changes import dataset_at_rest
from blemish.console.images.entry import DatasetKey, entry_line
from blemish.console.images.image_requests import image_url, thumbnail_url
from blemish.console.paths import project_path
from blemish.console.trials.trials_panel import trial_path
from blemish.console.ui.frame import frame, heading, link, page, text, visitor
from blemish.console.ui.permissions import permit
from blemish.console.ui.pill import pill, trial_status
from blemish.domain.detection_jobs import DetectionJobStatus
from blemish.domain.entities import DatasetType, Label
from blemish.domain.lifecycle import JOB_IN_PROGRESS
from blemish.domain.manifest import parse_line

POLL_S = 1.0

VERIFY, ADD = "VerifyTrialImages", "AddTrialImagesToDataset"

PAGE = 60
"""Images on a page of a trial."""


@page("/projects/{project}/try/trials/{trial}", title="Trial")
async def trial_page(project: str, trial: str, start: str = "") -> None:
    """Show the verdicts of a trial, to be verified."""
    looking = visitor()
    names = {"ProjectName": project, "TrialName": trial}
    members = (await looking.call("DescribeTrialDetection", **names))["Trial"]
    ui.add_head_html('<link rel="stylesheet" href="/console/static/try_it.css">')
    with frame("Trial", project=project, section="try"):
        with ui.element("div").classes("head"):
            heading(f"Trial {trial}")
            status = trial_status(members["Status"])
            pill(status.words, status.look)
            ui.element("div").classes("room")
            link("Back to Try it", project_path(project, f"/try?version={members['ModelVersion']}"))
        text(members["StatusMessage"], classes="quiet", tag="p")
        if members["Status"] in JOB_IN_PROGRESS:
            ui.timer(POLL_S, lambda: _reload_when_changed(names, members), immediate=False)
            return
        if members["Status"] == DetectionJobStatus.SUCCEEDED:
            await _Verification(project, trial, members["ImageStats"]).draw(start or None)


async def _reload_when_changed(names: Mapping[str, str], shown: Mapping[str, Any]) -> None:
    now = (await visitor().call("DescribeTrialDetection", **names))["Trial"]
    if now != shown:
        ui.navigate.reload()


class _Verification:
    """The images of a finished trial, and the labels that a person gives them."""

    def __init__(self, project: str, trial: str, counts: Mapping[str, int]) -> None:
        self._project = project
        self._names = {"ProjectName": project, "TrialName": trial}
        self._detected = counts["Normal"] + counts["Anomaly"]
        self._visitor = visitor()
        self._verdicts: dict[str, Label] = {}
        self._labels: dict[str, Label] = {}
        self._may_say = False
        self._cards: dict[str, tuple[ui.element, ui.element]] = {}

    async def draw(self, start: str | None) -> None:
        """Draw a page of the images."""
        await self._draw_actions()
        text(
            f"The test set takes a trial as a whole: all {self._detected} images that the model "
            "detected on, verified. Selected images would bias it.",
            classes="quiet",
            tag="p",
        )
        answer = await self._visitor.call(
            "ListTrialImages", **self._names, NextToken=start, MaxResults=PAGE
        )
        with ui.element("ul").classes("cards").props('aria-label="Images of the trial"'):
            for image in answer["Images"]:
                with ui.element("li").classes("panel"):
                    self._draw_card(image)
        if token := answer.get("NextToken"):
            path = trial_path(self._project, self._names["TrialName"])
            link("Next images", f"{path}?start={token}")

    async def _draw_actions(self) -> None:
        with ui.element("div").classes("line controls"):
            rest = ui.button("The rest on this page is right", on_click=self._say_rest)
            rest.props("outline")
            await permit(self._visitor, rest, VERIFY, **self._names)
            ui.element("div").classes("room")
            for kind, title in ((DatasetType.TRAIN, "training"), (DatasetType.TEST, "test")):
                button = ui.button(
                    f"Add the verified to the {title} set",
                    on_click=lambda kind=kind, title=title: self._add(kind, title),
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
            pill(verdict.capitalize(), verdict.value)
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

    def _draw_say(self, words: str, ref: str, label: Label) -> ui.element:
        button = ui.element("button").classes("small")
        button.props(f"type=button aria-pressed=false {'' if self._may_say else 'disabled'}")
        button.on("click", lambda: self._say({ref: label}))
        with button:
            text(words)
        return button

    def _show(self, ref: str, label: Label) -> None:
        self._labels[ref] = label
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
        rest = {ref: label for ref, label in self._verdicts.items() if ref not in self._labels}
        await self._say(rest)

    async def _add(self, kind: DatasetType, title: str) -> None:
        await self._visitor.call(ADD, **self._names, DatasetType=kind)
        await dataset_at_rest(self._visitor, DatasetKey(project=self._project, type=kind))
        ui.notify(f"The verified images are in the {title} set now.", type="positive")
