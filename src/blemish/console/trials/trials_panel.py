"""The panel of trials: it starts them, and lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import DatasetKey, object_address
from blemish.console.language.messages import counted, say
from blemish.console.paths import project_path
from blemish.console.trials.detect_requests import upload_url
from blemish.console.ui.frame import heading, link, text, visitor
from blemish.console.ui.permissions import permit
from blemish.console.ui.pill import pill, trial_status
from blemish.console.ui.table import Cell, table
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType
from blemish.domain.errors import AccessDeniedError
from blemish.domain.lifecycle import JOB_IN_PROGRESS

POLL_S = 1.0


class BatchUpload(ui.element, component="../static/upload_batch.js"):
    """Images that a person picks, stored in the project's bucket."""


async def draw_trials(project: str, version: str) -> None:
    """Draw the trials of a project, and the form that starts another."""
    with ui.element("section").classes("panel training-form"):
        heading(say("A whole batch"), 2)
        text(
            say(
                "A trial runs a model on many images in the background. Verify its verdicts, "
                "and add the images to the training set or, all of them, to the test set."
            ),
            classes="quiet",
            tag="p",
        )
        form = _TrialForm(project, version)
        await form.permit()
        await form.refresh()


class _TrialForm:
    """The form that starts a trial, and the list of them."""

    def __init__(self, project: str, version: str) -> None:
        self._project = project
        self._version = version
        self._visitor = visitor()
        self._shown: Sequence[Mapping[str, Any]] = ()
        self._name = ui.input(say("Name of the trial (chosen for you if left empty)"))
        self._batch = BatchUpload().on("uploaded", self._uploaded)
        self._batch.props["uploadUrl"] = upload_url(project)
        with ui.element("div").classes("line"):
            self._manifest = ui.input(say("Or a manifest: s3://bucket/key")).classes("room")
            self._button = ui.button(say("Start"), on_click=self._start_listed).props("outline")
        self._known = ui.element("div").classes("line")
        self._list = ui.element("div")
        ui.timer(POLL_S, self._poll, immediate=False)

    async def permit(self) -> None:
        """Hide what the visitor may not do."""
        operation = "StartTrialDetection"
        allowed = await permit(self._visitor, self._button, operation, ProjectName=self._project)
        for control in (self._name, self._batch, self._manifest):
            control.set_visibility(allowed)
        if allowed:
            await self._offer_known()

    async def _offer_known(self) -> None:
        """Draw buttons that start a trial on images of the project at once."""
        for title, refs in await known_images(self._visitor, self._project):
            count = counted(len(refs), "{count} image", "{count} images")
            with self._known:
                ui.button(
                    say("Start on {title}: {number}", title=title, number=count),
                    on_click=lambda refs=refs: self._start({"Images": refs}),
                ).props("outline")

    async def _poll(self) -> None:
        """Ask only while a trial goes on: every look is a call."""
        if any(trial["Status"] in JOB_IN_PROGRESS for trial in self._shown):
            await self.refresh()

    async def refresh(self) -> None:
        """Show the trials of now."""
        answer = await self._visitor.call(
            "ListTrialDetections", ProjectName=self._project, MaxResults=20
        )
        trials = answer["Trials"]
        if trials == self._shown:
            return
        self._shown = trials
        self._list.clear()
        if trials:
            with self._list:
                _draw_list(self._project, trials)

    async def _uploaded(self, event: GenericEventArguments) -> None:
        await self._start({"Images": [str(ref) for ref in event.args]})

    async def _start_listed(self) -> None:
        ref = object_address(self._manifest.value.strip())
        await self._start({"Manifest": {"Bucket": ref.bucket, "Key": ref.key}})

    async def _start(self, source: Mapping[str, Any]) -> None:
        answer = await self._visitor.call(
            "StartTrialDetection",
            ProjectName=self._project,
            ModelVersion=self._version,
            TrialName=self._name.value.strip() or None,
            ImageSource=source,
        )
        self._name.value = ""
        self._manifest.value = ""
        ui.notify(say("Trial {trial_name} has begun.", trial_name=answer["TrialName"]))
        await self.refresh()


async def known_images(visitor: Visitor, project: str) -> list[tuple[str, list[str]]]:
    """Return the images of a project that a trial can start on: (what they are, addresses)."""
    groups: dict[str, list[str]] = {}
    for kind in DatasetType:
        try:
            entries = await all_entries(visitor, DatasetKey(project=project, type=kind))
        except AccessDeniedError:
            continue
        for entry in entries:
            if entry.label is None:
                groups.setdefault(say("those without a label"), []).append(entry.ref)
            if kind is DatasetType.TEST:
                groups.setdefault(say("the test set"), []).append(entry.ref)
    most = visitor.services.limits.max_trial_images
    return [(title, list(dict.fromkeys(refs))[:most]) for title, refs in groups.items()]


def _draw_list(project: str, trials: Sequence[Mapping[str, Any]]) -> None:
    table(
        (say("Trial"), say("Model"), say("Status"), say("Images"), say("Anomalies")),
        [_row(project, t) for t in trials],
    )


def _row(project: str, trial: Mapping[str, Any]) -> tuple[Cell, ...]:
    name, counts = trial["TrialName"], trial["ImageStats"]
    status = trial_status(trial["Status"])
    return (
        lambda: link(name, trial_path(project, name)),
        trial["ModelVersion"],
        lambda: pill(status.words, status.look),
        counts.get("Total", ""),
        counts.get("Anomaly", ""),
    )


def trial_path(project: str, trial: str) -> str:
    """Return the path of the page of a trial."""
    return project_path(project, f"/try/trials/{trial}")
