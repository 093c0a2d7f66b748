"""The page of one trial: its images, to be verified and added to a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.images.dataset_changes import dataset_at_rest, make_missing_dataset
from blemish.console.images.entry import SET_NAMES, DatasetKey, entry_line
from blemish.console.images.named_trials import trial_results
from blemish.console.language.messages import later, say, say_all
from blemish.console.language.numbers import percent_text
from blemish.console.models.image_layers import Faders, PreviewedModel, draw_image_layers
from blemish.console.models.image_panes import ImagePanes
from blemish.console.models.model_actions import load_style
from blemish.console.models.model_data import previewed_model
from blemish.console.models.trial_results import (
    ORDERS,
    arranged_results,
    image_name,
)
from blemish.console.paths import project_path
from blemish.console.trials.trials_panel import trial_path
from blemish.console.ui.dialog import dialog
from blemish.console.ui.frame import frame, heading, labelled, link, page, text, visitor
from blemish.console.ui.permissions import permit
from blemish.console.ui.pill import pill, trial_status
from blemish.domain.detection_jobs import DetectionJobStatus, TrialImage
from blemish.domain.entities import DatasetType, Label
from blemish.domain.lifecycle import JOB_IN_PROGRESS
from blemish.domain.manifest import parse_line

POLL_S = 1.0

VERIFY, ADD = "VerifyTrialImages", "AddTrialImagesToDataset"

PAGE = 60
"""Images on a page of a trial."""

VERDICTS = {Label.NORMAL: later("Normal"), Label.ANOMALY: later("Anomaly")}

_VALUE = "(event) => emit(event.target.value)"


@page("/projects/{project}/try/trials/{trial}", title=later("Trial"))
async def trial_page(project: str, trial: str, order: str = "given", part: int = 1) -> None:
    """Show the verdicts of a trial, to be verified."""
    looking = visitor()
    names = {"ProjectName": project, "TrialName": trial}
    members = (await looking.call("DescribeTrialDetection", **names))["Trial"]
    ui.add_head_html('<link rel="stylesheet" href="/console/static/try_it.css">')
    load_style()
    with frame(say("Trial"), project=project, section="try"):
        with ui.element("div").classes("head"):
            heading(say("Trial {trial}", trial=trial))
            status = trial_status(members["Status"])
            pill(status.words, status.look)
            ui.element("div").classes("room")
            link(
                say("Back to Try it"),
                project_path(project, f"/try?version={members['ModelVersion']}"),
            )
        text(members["StatusMessage"], classes="quiet", tag="p")
        if members["Status"] in JOB_IN_PROGRESS:
            ui.timer(POLL_S, lambda: _reload_when_changed(names, members), immediate=False)
            return
        if members["Status"] == DetectionJobStatus.SUCCEEDED:
            model = await previewed_model(looking, project, members["ModelVersion"])
            verification = _Verification(project, trial, model, order=order, part=part)
            await verification.draw()


async def _reload_when_changed(names: Mapping[str, str], shown: Mapping[str, Any]) -> None:
    now = (await visitor().call("DescribeTrialDetection", **names))["Trial"]
    if now != shown:
        ui.navigate.reload()


async def _stay(_by: int) -> None:
    """Go to no other image: a trial is looked at card by card."""


class _Verification:
    """The images of a finished trial, and the labels that a person gives them."""

    def __init__(
        self, project: str, trial: str, model: PreviewedModel | None, *, order: str, part: int
    ) -> None:
        self._project = project
        self._names = {"ProjectName": project, "TrialName": trial}
        self._model = model
        self._order = order if order in ORDERS else "given"
        self._part = part
        self._visitor = visitor()
        self._faders = Faders(mask=model is not None and model.mask)
        self._verdicts: dict[str, Label] = {}
        self._labels: dict[str, Label] = {}
        self._may_say = False
        self._cards: dict[str, tuple[ui.element, ui.element]] = {}

    async def draw(self) -> None:
        """Draw a page of the images."""
        results = await trial_results(self._visitor, self._project, self._names["TrialName"])
        detected = sum(result.is_anomalous is not None for result in results)
        await self._draw_actions()
        text(
            say(
                "The test set takes a trial as a whole: all {detected} images that the model "
                "detected on, verified. Selected images would bias it.",
                detected=detected,
            ),
            classes="quiet",
            tag="p",
        )
        self._draw_view()
        parts = max(1, -(-len(results) // PAGE))
        part = min(max(1, self._part), parts)
        shown = arranged_results(results, self._order)[(part - 1) * PAGE : part * PAGE]
        with labelled(ui.element("ul").classes("cards"), say("Images of the trial")):
            for result in shown:
                with ui.element("li").classes("panel"):
                    self._draw_card(result)
        self._draw_parts(part, parts)

    def _draw_view(self) -> None:
        """Draw the sliders and the choice of the order."""
        with ui.element("div").classes("line controls"):
            if self._model is None:
                text(
                    say("No heat maps: the model is gone, or you may not use it."), classes="quiet"
                )
            else:
                self._faders.draw()
            ui.element("div").classes("room")
            choice = labelled(ui.element("select").classes("choice"), say("Order"))
            with choice:
                for name, title in say_all(ORDERS).items():
                    option = text(title, tag="option").props(f"value={name}")
                    if name == self._order:
                        option.props("selected")
            choice.on("change", self._arrange, js_handler=_VALUE)

    def _arrange(self, event: GenericEventArguments) -> None:
        ui.navigate.to(self._path(str(event.args), 1))

    def _path(self, order: str, part: int) -> str:
        query = urlencode({"order": order, "part": part})
        return f"{trial_path(self._project, self._names['TrialName'])}?{query}"

    def _draw_parts(self, part: int, parts: int) -> None:
        if parts == 1:
            return
        with labelled(ui.element("nav").classes("line"), say("Pages of images")):
            for words, to in ((say("Previous images"), part - 1), (say("Next images"), part + 1)):
                if 1 <= to <= parts:
                    link(words, self._path(self._order, to))
            text(say("Page {part} of {parts}", part=part, parts=parts), classes="quiet")

    async def _draw_actions(self) -> None:
        with ui.element("div").classes("line controls"):
            rest = ui.button(say("The rest on this page is right"), on_click=self._say_rest)
            rest.props("outline")
            self._may_say = await permit(self._visitor, rest, VERIFY, **self._names)
            ui.element("div").classes("room")
            for kind, title in SET_NAMES.items():
                button = ui.button(
                    say("Add the verified to the {set}", set=say(title)),
                    on_click=lambda kind=kind: self._add(kind),
                )
                button.props("outline" if kind is DatasetType.TEST else "")
                await permit(self._visitor, button, ADD, **self._names, DatasetType=kind)

    def _draw_card(self, image: TrialImage) -> None:
        ref, name = image.source_ref, image_name(image)
        look = draw_image_layers(
            ref, name, model=self._model if image.error is None else None, button=True
        )
        look.on("click", lambda: self._enlarge(ref, name))
        text(name, tag="strong", classes="name").props["title"] = name
        if image.is_anomalous is None:
            text(image.error or "", classes="problem", tag="p")
            return
        verdict = Label.ANOMALY if image.is_anomalous else Label.NORMAL
        self._verdicts[ref] = verdict
        with ui.element("div").classes("line"):
            pill(say(VERDICTS[verdict]), verdict.value)
            text(say("{confidence} sure", confidence=percent_text(image.confidence or 0)))
        other = Label.NORMAL if verdict is Label.ANOMALY else Label.ANOMALY
        corrected = say("It is normal") if other is Label.NORMAL else say("It is an anomaly")
        with ui.element("div").classes("line") as says:
            says.set_visibility(self._may_say)
            right = self._draw_say(say("Right"), ref, verdict)
            wrong = self._draw_say(corrected, ref, other)
        self._cards[ref] = (right, wrong)
        if line := image.verified_line:
            label = parse_line(line).label
            if label is not None:
                self._show(ref, label)

    def _enlarge(self, ref: str, name: str) -> None:
        with ui.context.client.content, dialog(name, classes="large") as opened:
            with ui.element("div").classes("line"):
                if self._model is not None:
                    self._faders.draw()
                ui.element("div").classes("room")
                ui.button(say("Close"), on_click=opened.close).props("flat")
            ImagePanes(_stay).show(ref, name, placed=None, model=self._model)

    def _draw_say(self, words: str, ref: str, label: Label) -> ui.element:
        button = ui.element("button").classes("small")
        button.props("type=button aria-pressed=false")
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

    async def _add(self, kind: DatasetType) -> None:
        dataset = DatasetKey(project=self._project, type=kind)
        await make_missing_dataset(self._visitor, dataset)
        await self._visitor.call(ADD, **self._names, DatasetType=kind)
        await dataset_at_rest(self._visitor, dataset)
        ui.notify(
            say("The verified images are in the {set} now.", set=say(SET_NAMES[kind])),
            type="positive",
        )
