"""The panels of the page about a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.models.curves import precision_recall_svg, roc_svg
from blemish.console.models.evaluation import CELL_NAMES, Cell, TypeResult, cell_counts
from blemish.console.models.model_actions import FORBIDDEN, share
from blemish.console.models.model_data import Evaluated
from blemish.console.models.test_images import JudgedImages
from blemish.console.ui.frame import heading, text, visitor
from blemish.domain.lifecycle import MODEL_ADJUSTABLE
from blemish.engine.bundle import BundleInfo
from blemish.engine.training.selection_report import Judged, choice_of

STAYS = (
    "What this changes: verdicts from now on. The measured performance of the model, its confusion "
    "matrix and its evaluation files stay those of the training."
)
NO_SCORES = (
    "An older version of Blemish trained this model and did not keep the scores of its test "
    "images. Train it again to see what a threshold does to them."
)

MATRIX = (
    ("Anomaly", ((Cell.FOUND, "good"), (Cell.MISSED, "bad"))),
    ("Normal", ((Cell.FALSE_ALARM, "bad"), (Cell.PASSED, "good"))),
)
"""Rows by what is true, columns by what the model says: anomaly, then normal."""


BEST = 5
"""Candidates that are shown at once; the others unfold."""


class ThresholdSlider(ui.element, component="../static/threshold.js"):
    """The scores of the test images, and the threshold among them, to drag."""

    def __init__(self, info: BundleInfo, *, locked: bool) -> None:
        super().__init__()
        scores = info.test_scores
        assert scores is not None
        self.props["normal"] = scores.normal
        self.props["anomaly"] = scores.anomaly
        self.props["current"] = info.threshold
        self.props["trained"] = info.trained_threshold
        self.props["locked"] = locked


def matrix_panel(files: Evaluated, images: JudgedImages) -> None:
    """Draw the confusion matrix; its cells choose the test images that are shown."""
    with ui.element("section").classes("panel"):
        heading("Confusion matrix", 2)
        if not files.judged:
            text(files.problem or "There are no test images.", tag="p", classes="quiet")
            return
        counts = cell_counts(files.judged)
        with ui.element("table").classes("matrix"):
            with ui.element("tr"):
                text("Labelled", tag="th")
                text("Model: anomaly", tag="th")
                text("Model: normal", tag="th")
            for truth, cells in MATRIX:
                with ui.element("tr"):
                    text(truth, tag="th")
                    for cell, look in cells:
                        with ui.element("td"):
                            _cell(cell, look if counts[cell] else "none", counts[cell], images)
        text("Press a cell to see its images below.", tag="p", classes="quiet")


def _cell(cell: Cell, look: str, count: int, images: JudgedImages) -> None:
    button = ui.element("button").props("type=button").classes(f"cell {look}")
    with button:
        text(f"{count}", tag="b")
        text(CELL_NAMES[cell])
    button.on("click", lambda: images.choose(cell))
    images.tell(cell, button)


async def threshold_panel(project: str, model: Mapping[str, Any], info: BundleInfo) -> None:
    """Draw the histogram of the scores, with the threshold in it."""
    version = model["ModelVersion"]
    named: dict[str, Any] = {"ProjectName": project, "ModelVersion": version}

    async def use(event: GenericEventArguments) -> None:
        wanted = event.args["threshold"]
        await visitor().call("UpdateModelThreshold", Threshold=wanted, **named)
        ui.navigate.reload()

    with ui.element("section").classes("panel"):
        heading("Threshold", 2)
        if info.test_scores is None:
            text(NO_SCORES, tag="p", classes="quiet")
            return
        may = await visitor().may("UpdateModelThreshold", **named)
        ThresholdSlider(info, locked=not may or model["Status"] not in MODEL_ADJUSTABLE).on(
            "use", use
        )
        if not may:
            text(FORBIDDEN, tag="p", classes="quiet")
        if info.moved_from is not None:
            text(
                f"In force is {info.threshold:.4g}; the training chose {info.moved_from:.4g}.",
                tag="p",
            )
        text(STAYS, tag="p", classes="quiet")


def curve_panels(info: BundleInfo) -> None:
    """Draw the curves; they are made of numbers alone."""
    if info.test_scores is None:
        return
    for told, drawing in (
        ("ROC curve", roc_svg(info.test_scores, info.threshold)),
        ("Precision and recall", precision_recall_svg(info.test_scores, info.threshold)),
    ):
        with ui.element("section").classes("panel"):
            heading(told, 2)
            if drawing is None:
                text("Not measurable: the test images lack one kind.", tag="p", classes="quiet")
            else:
                ui.html(drawing, sanitize=False)


def choice_panel(info: BundleInfo) -> None:
    """Draw which detector was chosen, and what the others scored."""
    choice = choice_of(info)
    if choice is None:
        return
    with ui.element("section").classes("panel"):
        heading("Detector", 2)
        with ui.element("div").classes("line"):
            text("Chosen:", classes="quiet")
            text(choice.name, tag="b")
        made_of = ", ".join(f"{name} {part:.2g}" for name, part in choice.shares.items())
        text(f"Made of {made_of}.", tag="p", classes="quiet")
        if not choice.candidates:
            text(
                "No others were tried: what is labelled is not enough to choose by.",
                tag="p",
                classes="quiet",
            )
            return
        best = sorted(choice.candidates, key=lambda each: -each.image_auroc)
        _candidates(best[:BEST])
        if len(best) > BEST:
            with ui.element("details"):
                text(f"The other {len(best) - BEST} that were tried", tag="summary")
                _candidates(best[BEST:])


def _candidates(candidates: Sequence[Judged]) -> None:
    table(
        ("Candidate", "AUROC", "Error", ""),
        (
            (
                each.name,
                f"{each.image_auroc:.3f}",
                f"{each.standard_error:.3f}",
                "chosen" if each.chosen else "",
            )
            for each in candidates
        ),
    )


def types_panel(types: Sequence[TypeResult]) -> None:
    """Draw how well each anomaly type is found, by pixels."""
    if not types:
        return
    with ui.element("section").classes("panel"):
        heading("Anomaly types", 2)
        table(
            ("Type", "F1", "IoU", "Precision", "Recall"),
            (
                (each.name, *map(share, (each.f1, each.iou, each.precision, each.recall)))
                for each in types
            ),
        )
        text("Of the pixels in the test images that have a mask.", tag="p", classes="quiet")


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Draw a table of texts."""
    with ui.element("table").classes("plain"):
        with ui.element("thead"), ui.element("tr"):
            for name in names:
                text(name, tag="th")
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for value in row:
                        text(value, tag="td")


async def tags_panel(arn: str) -> None:
    """Draw the tags of a model, which are added and removed here."""
    if not await visitor().may("ListTagsForResource", ResourceArn=arn):
        return
    with ui.element("section").classes("panel"):
        heading("Tags", 2)
        await _Tags(arn).draw()


class _Tags:
    """The tags on one page."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    @ui.refreshable_method
    async def draw(self) -> None:
        """Draw the tags, and the fields for another."""
        tags = (await visitor().call("ListTagsForResource", ResourceArn=self._arn))["Tags"]
        may_untag = await visitor().may("UntagResource", ResourceArn=self._arn)
        with ui.element("div").classes("line"):
            if not tags:
                text("None yet.", classes="quiet")
            for each in tags:
                self._tag(each["Key"], each["Value"], may_untag=may_untag)
        with ui.element("div").classes("line"):
            key, value = ui.input("Key"), ui.input("Value")
            add = ui.button("Add the tag", on_click=lambda: self._add(key.value, value.value))
        if not await visitor().may("TagResource", ResourceArn=self._arn):
            add.disable()
            with add:
                ui.tooltip(FORBIDDEN)

    def _tag(self, key: str, value: str, *, may_untag: bool) -> None:
        with ui.element("span").classes("tag"):
            text(f"{key}: {value}" if value else key)
            button = ui.button(icon="close", on_click=lambda: self._remove(key))
            button.props("flat round dense size=sm").props["aria-label"] = f"Remove the tag {key}"
            button.set_enabled(may_untag)

    async def _add(self, key: str, value: str) -> None:
        tag = {"Key": key.strip(), "Value": value.strip()}
        await visitor().call("TagResource", ResourceArn=self._arn, Tags=[tag])
        await self.draw.refresh()

    async def _remove(self, key: str) -> None:
        await visitor().call("UntagResource", ResourceArn=self._arn, TagKeys=[key])
        await self.draw.refresh()
