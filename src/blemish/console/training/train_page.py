"""The page Train: what will be used, what is missing, and the running trainings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from blemish.console.http import problem_text
from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import DatasetKey
from blemish.console.images.image_bucket import image_bucket
from blemish.console.language.messages import later, say
from blemish.console.paths import project_path
from blemish.console.training.image_check import ImageCheck
from blemish.console.training.training_cards import TrainingCards
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor
from blemish.console.ui.table import table
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType
from blemish.domain.errors import (
    AccessDeniedError,
    ResourceNotFoundError,
    ServiceError,
    ValidationError,
)
from blemish.storage.errors import ObjectError

PREFIX = "training-results/"
"""The folder of the evaluation files, unless people name another."""

POLL_S = 2.0
"""How often the page checks whether a model can be trained now."""


USES = {"train": later("To train on"), "test": later("To test with")}
"""Data set -> what people read."""


@dataclass(frozen=True, kw_only=True)
class _TrainingSet:
    """The labels and masks of a data set."""

    kind: str
    stats: Mapping[str, int]
    #: anomaly type -> masks that may show it
    masks: Mapping[str, int]


@page("/projects/{project}/train", title=later("Train"))
async def train_page(project: str) -> None:
    """Show what a training would use, and the trainings."""
    looking = visitor()
    await looking.call("DescribeProject", ProjectName=project)
    sets = [
        training_set
        for kind in DatasetType
        if (training_set := await _training_set(looking, project, kind))
    ]
    ui.add_head_html('<link rel="stylesheet" href="/console/static/try_it.css">')
    with frame(say("Train"), project=project, section="train"):
        heading(say("Train"))
        if not any(training_set.kind == DatasetType.TRAIN for training_set in sets):
            with empty(
                say("Nothing to train on yet"),
                say(
                    "A model learns from images: 20 good ones are enough to learn what is "
                    "normal. Add some, and say which are good."
                ),
            ):
                link(say("Add images"), project_path(project, "/add"), classes="button")
            return
        trainings = TrainingCards(project)
        with ui.element("div").classes("columns"):
            _draw_sets(project, sets, looking)
            form = _TrainingForm(project, trainings, bucket=await _bucket(looking, project))
        await _check_images(project, sets, looking)
        await form.refresh()
        await trainings.refresh()


def parse_tags(lines: str) -> list[dict[str, str]]:
    """Return the tags that a person wrote, one a line, as the API takes them.

    Raises:
        ValidationError: a line is no tag.
    """
    tags = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        key, sign, value = line.partition("=")
        if not sign or not key.strip():
            raise ValidationError(
                say("The tag {line} is not written as key = value.", line=repr(line))
            )
        tags.append({"Key": key.strip(), "Value": value.strip()})
    return tags


async def _training_set(looking: Visitor, project: str, kind: DatasetType) -> _TrainingSet | None:
    try:
        answer = await looking.call("DescribeDataset", ProjectName=project, DatasetType=kind)
    except ResourceNotFoundError:
        return None
    entries = await all_entries(looking, DatasetKey(project=project, type=kind))
    masks = Counter(name for entry in entries if entry.label for name in entry.types)
    stats = answer["DatasetDescription"]["ImageStats"]
    return _TrainingSet(kind=kind, stats=stats, masks=dict(sorted(masks.items())))


async def _check_images(project: str, sets: list[_TrainingSet], looking: Visitor) -> None:
    """Begin to check the labelled images that the visitor may check."""
    labeled = {}
    for training_set in sets:
        dataset = DatasetKey(project=project, type=DatasetType(training_set.kind))
        count = training_set.stats["Labeled"]
        if count and await looking.may("ValidateDataset", **dataset.names):
            labeled[dataset] = count
    if labeled:
        ImageCheck(labeled)


async def _bucket(looking: Visitor, project: str) -> str:
    try:
        return await image_bucket(looking, project)
    except (AccessDeniedError, ObjectError):
        return ""


def _draw_sets(project: str, sets: list[_TrainingSet], looking: Visitor) -> None:
    with ui.element("section").classes("panel"):
        heading(say("What will be used"), 2)
        table(
            (say("Set"), say("Normal"), say("Anomaly"), say("Not labelled")),
            [
                (
                    say(USES[training_set.kind]),
                    training_set.stats["Normal"],
                    training_set.stats["Anomaly"],
                    training_set.stats["Total"] - training_set.stats["Labeled"],
                )
                for training_set in sets
            ],
        )
        if len(sets) == 1:
            text(
                say(
                    "There is no test set: a part of the images is held back to measure the model."
                ),
                classes="quiet",
                tag="p",
            )
        text(say("Images without a label are left out."), classes="quiet", tag="p")
        _draw_masks(sets, looking)
        link(say("See the images"), project_path(project, "/images?set=train"))


def _draw_masks(sets: list[_TrainingSet], looking: Visitor) -> None:
    heading(say("Masks by anomaly type"), 2)
    names = sorted({name for training_set in sets for name in training_set.masks})
    if not names:
        text(
            say(
                "No masks: the model will tell normal from anomaly. Paint some, and it also "
                "learns where each type of anomaly is."
            ),
            classes="quiet",
            tag="p",
        )
        return
    limits = looking.services.limits
    least = limits.single_min_masks_per_type if len(sets) == 1 else limits.two_min_masks_per_type
    to_train = sets[0].masks
    table(
        (say("Type"), *(say(USES[training_set.kind]) for training_set in sets)),
        [(name, *(training_set.masks.get(name, 0) for training_set in sets)) for name in names],
    )
    few = [name for name in names if to_train.get(name, 0) < least]
    if few:
        text(
            say("Needs {least} masks to be learned: {join}.", least=least, join=", ".join(few)),
            classes="warning",
            tag="p",
        )


class _TrainingForm:
    """The settings of a training, and the button that begins it."""

    def __init__(self, project: str, trainings: TrainingCards, *, bucket: str) -> None:
        self._project = project
        self._trainings = trainings
        self._visitor = visitor()
        with ui.element("section").classes("panel training-form") as self._section:
            heading(say("A new model"), 2)
            self._description = ui.input(say("Description, without spaces"))
            self._tags = ui.textarea(say("Tags, one a line: key = value")).props("autogrow rows=2")
            self._bucket = ui.input(say("Bucket for the results"), value=bucket)
            self._prefix = ui.input(say("Folder in it"), value=PREFIX)
            self._key = ui.input(say("KMS key (the server's own if left empty)"))
            with ui.element("div").classes("line"):
                self._button = ui.button(say("Train"), on_click=self._begin)
                self._button.props('aria-describedby="why-not"')
                self._reason = ui.label().classes("reason").props("id=why-not role=status")
        ui.timer(POLL_S, self.refresh, immediate=False)

    async def refresh(self) -> None:
        """Let the button be pressed if a model can be trained now, or say why it cannot."""
        may = await self._visitor.may("CreateModel", ProjectName=self._project)
        self._section.set_visibility(may)
        try:
            await in_thread(self._check)
            reason = ""
        except ServiceError as error:
            reason = problem_text(error)
        self._button.set_enabled(not reason)
        self._reason.text = reason

    def _check(self) -> None:
        self._visitor.check("CreateModel", ProjectName=self._project)
        self._visitor.services.models.check_trainable(self._project)

    async def _begin(self) -> None:
        self._button.props("loading")
        try:
            await self._visitor.call("CreateModel", **self._members())
        finally:
            self._button.props(remove="loading")
        self._description.value = ""
        await self._trainings.refresh()

    def _members(self) -> dict[str, Any]:
        location = {"Bucket": self._bucket.value.strip(), "Prefix": self._prefix.value.strip()}
        return {
            "ProjectName": self._project,
            "OutputConfig": {
                "S3Location": {name: value for name, value in location.items() if value}
            },
            "Description": self._description.value.strip() or None,
            "KmsKeyId": self._key.value.strip() or None,
            "Tags": parse_tags(self._tags.value) or None,
        }
