"""The panels of the page about a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import significant_text
from blemish.console.models.curves import curve_options, precision_recall_curve, roc_curve
from blemish.console.models.evaluation import (
    CELL_NAMES,
    Cell,
    EvaluatedImage,
    TypeResult,
    cell_counts,
)
from blemish.console.models.model_actions import FORBIDDEN
from blemish.console.models.test_images import TestImages
from blemish.console.ui.chart import chart
from blemish.console.ui.frame import heading, text, visitor
from blemish.console.ui.table import table
from blemish.console.ui.words import share_text
from blemish.domain.lifecycle import MODEL_ADJUSTABLE
from blemish.engine.bundle import BundleInfo
from blemish.engine.training.selection_report import ReportedCandidate, selection_report

STAYS = later(
    "A new threshold changes the verdicts from now on, and the numbers on this "
    "page. The evaluation files and the performance in DescribeModel stay those "
    "of the training."
)
NO_SCORES = later(
    "An older version of Blemish trained this model and did not keep the scores "
    "of its test images. Train it again to see what a threshold does to them."
)

MATRIX = (
    (later("Anomaly"), ((Cell.DETECTED, "good"), (Cell.MISSED, "bad"))),
    (later("Normal"), ((Cell.FALSE_ALARM, "bad"), (Cell.PASSED, "good"))),
)
"""Rows by label, columns by verdict: anomaly, then normal."""


BEST = 5
"""Candidates that are shown at once; the others unfold."""


class ThresholdSlider(ui.element, component="../static/threshold.js"):
    """The scores of the test images, and the threshold among them, to drag."""

    def __init__(self, info: BundleInfo, *, locked: bool, may: bool) -> None:
        super().__init__()
        scores = info.test_scores
        assert scores is not None
        self.props["normal"] = scores.normal
        self.props["anomaly"] = scores.anomaly
        self.props["current"] = info.threshold
        self.props["trained"] = info.trained_threshold
        self.props["locked"] = locked
        self.props["may"] = may


def matrix_panel(images: Sequence[EvaluatedImage], gallery: TestImages, *, problem: str) -> None:
    """Draw the confusion matrix; its cells select the test images that are shown."""
    with ui.element("section").classes("panel"):
        heading(say("Confusion matrix"), 2)
        if not images:
            text(problem or say("There are no test images."), tag="p", classes="quiet")
            return
        counts = cell_counts(images)
        with ui.element("table").classes("matrix"):
            with ui.element("tr"):
                text(say("Labelled"), tag="th")
                text(say("Model: anomaly"), tag="th")
                text(say("Model: normal"), tag="th")
            for truth, cells in MATRIX:
                with ui.element("tr"):
                    text(say(truth), tag="th")
                    for cell, look in cells:
                        with ui.element("td"):
                            _cell(cell, look if counts[cell] else "none", counts[cell], gallery)
        text(say("Press a cell to see its images below."), tag="p", classes="quiet")


def _cell(cell: Cell, look: str, count: int, gallery: TestImages) -> None:
    button = ui.element("button").props("type=button").classes(f"cell {look}")
    with button:
        text(f"{count}", tag="b")
        text(say(CELL_NAMES[cell]))
    button.on("click", lambda: gallery.select(cell))
    gallery.connect(cell, button)


async def threshold_panel(project: str, model: Mapping[str, Any], info: BundleInfo) -> None:
    """Draw the histogram of the scores, with the threshold in it."""
    version = model["ModelVersion"]
    names: dict[str, Any] = {"ProjectName": project, "ModelVersion": version}

    async def use(event: GenericEventArguments) -> None:
        wanted = event.args["threshold"]
        await visitor().call("UpdateModelThreshold", Threshold=wanted, **names)
        ui.navigate.reload()

    with ui.element("section").classes("panel"):
        heading(say("Threshold"), 2)
        if info.test_scores is None:
            text(say(NO_SCORES), tag="p", classes="quiet")
            return
        may = await visitor().may("UpdateModelThreshold", **names)
        locked = model["Status"] not in MODEL_ADJUSTABLE
        ThresholdSlider(info, locked=locked, may=may).on("use", use)
        if not may:
            text(say(FORBIDDEN), tag="p", classes="quiet")
        if info.moved_from is not None:
            text(
                say(
                    "In force is {threshold}; the training chose {moved_from}.",
                    threshold=significant_text(info.threshold),
                    moved_from=significant_text(info.moved_from),
                ),
                tag="p",
            )
        text(say(STAYS), tag="p", classes="quiet")


def curve_panels(info: BundleInfo) -> None:
    """Draw the curves."""
    if info.test_scores is None:
        return
    for title, curve in (
        (say("ROC curve"), roc_curve(info.test_scores, info.threshold)),
        (say("Precision and recall"), precision_recall_curve(info.test_scores, info.threshold)),
    ):
        with ui.element("section").classes("panel"):
            heading(title, 2)
            if curve is None:
                text(say("Not measurable: the images lack one kind."), tag="p", classes="quiet")
            else:
                chart(curve_options(curve), curve.description, classes="curve")


def notes_panel(info: BundleInfo) -> None:
    """Draw what the training says of its threshold and of the limits of its data."""
    notes = info.history.get("notes") or ()
    if not notes:
        return
    with ui.element("section").classes("panel"):
        heading(say("Notes of the training"), 2)
        for note in notes:
            text(note, tag="p")


def choice_panel(info: BundleInfo) -> None:
    """Draw which detector was selected, and the scores of the others."""
    report = selection_report(info)
    if report is None:
        return
    with ui.element("section").classes("panel"):
        heading(say("Detector"), 2)
        with ui.element("div").classes("line"):
            text(say("Chosen:"), classes="quiet")
            text(report.name, tag="b")
        parts = ", ".join(f"{name} {part:.2g}" for name, part in report.shares.items())
        text(say("Made of {parts}.", parts=parts), tag="p", classes="quiet")
        if not report.candidates:
            text(
                say("No others were tried: what is labelled is not enough to choose by."),
                tag="p",
                classes="quiet",
            )
            return
        best = sorted(report.candidates, key=lambda candidate: -candidate.image_auroc)
        _candidates(best[:BEST])
        if len(best) > BEST:
            with ui.element("details"):
                text(
                    say("The other {value} that were tried", value=len(best) - BEST), tag="summary"
                )
                _candidates(best[BEST:])


def _candidates(candidates: Sequence[ReportedCandidate]) -> None:
    table(
        (say("Candidate"), "AUROC", say("Error"), ""),
        (
            (
                candidate.name,
                f"{candidate.image_auroc:.3f}",
                f"{candidate.standard_error:.3f}",
                say("selected") if candidate.is_selected else "",
            )
            for candidate in candidates
        ),
    )


def types_panel(types: Sequence[TypeResult]) -> None:
    """Draw how well each anomaly type is found, by pixels."""
    if not types:
        return
    with ui.element("section").classes("panel"):
        heading(say("Anomaly types"), 2)
        table(
            (say("Type"), "F1", "IoU", say("Precision"), say("Recall")),
            [
                (row.name, *map(share_text, (row.f1, row.iou, row.precision, row.recall)))
                for row in types
            ],
        )
        text(
            say(
                "Of the pixels in the test images that have a mask. Training images that "
                "were cross-validated do not count."
            ),
            tag="p",
            classes="quiet",
        )
