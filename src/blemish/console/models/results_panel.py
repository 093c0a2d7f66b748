"""The cards of a model: its results at the threshold in force, beside those of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import significant_text
from blemish.console.models.rates import NOT_MEASURABLE, f1_text
from blemish.console.models.threshold_results import ThresholdResults, results_at
from blemish.console.ui.frame import labelled, text
from blemish.domain.entities import EvaluationMethod
from blemish.engine.bundle import BundleInfo

CROSS_VALIDATED = later(
    "Few images are held out, so the others were cross-validated: detectors that "
    "had not seen an image judged it. The heat map of an image comes from this "
    "model, which may have learned it."
)


def results_panel(model: Mapping[str, Any], info: BundleInfo | None) -> None:
    """Draw how good a model is.

    Args:
        model: `ModelDescription`.
        info: of its bundle; None if it has none, or if the visitor may not read it.
    """
    results = results_at(info, info.threshold) if info else None
    performance = model.get("Performance")
    if results is None and not performance:
        return
    is_cross_validated = _is_cross_validated(model)
    images = (
        say("On all images of the dataset") if is_cross_validated else say("On the test images")
    )
    with labelled(ui.element("section").classes("panel"), say("Results")):
        if results is None or info is None:
            _draw_performance(performance or {})
            return
        trained = results_at(info, info.trained_threshold)
        moved = info.moved_from is not None and trained is not None
        _draw_results(results, trained if moved else None)
        if is_cross_validated:
            text(say(CROSS_VALIDATED), tag="p", classes="quiet")
        words = say(
            "{images}, at the threshold of the training, {threshold}.",
            images=images,
            threshold=significant_text(info.threshold),
        )
        if moved:
            words = say(
                "{images}, at the threshold in force, {threshold}; beside it at the "
                "threshold of the training, {moved_from}.",
                images=images,
                threshold=significant_text(info.threshold),
                moved_from=significant_text(info.moved_from or 0.0),
            )
        text(words, tag="p", classes="quiet")


def subject_of(model: Mapping[str, Any]) -> str:
    """Return what people call the images that a model was measured on."""
    return say("cross-validated images") if _is_cross_validated(model) else say("test images")


def _is_cross_validated(model: Mapping[str, Any]) -> bool:
    return model.get("EvaluationMethod") == EvaluationMethod.CROSS_VALIDATION


def _draw_results(results: ThresholdResults, trained: ThresholdResults | None) -> None:
    with ui.element("div").classes("figures"):
        for title, rate, before in (
            (say("Anomalies found"), results.recall, trained and trained.recall),
            (say("Alarms that are right"), results.precision, trained and trained.precision),
            (say("False alarms"), results.false_alarms, trained and trained.false_alarms),
        ):
            _card(title, rate.text, rate.interval_text, before.text if before else "")
        _card("F1", f1_text(results.f1), "", f1_text(trained.f1) if trained else "")


def _card(title: str, number: str, note: str, trained: str = "") -> None:
    with ui.element("div"):
        text(title, classes="quiet", tag="p")
        text(number, classes="number" if number != say(NOT_MEASURABLE) else "", tag="p")
        text(note, classes="quiet", tag="p")
        if trained:
            text(say("As trained: {trained}", trained=trained), tag="p")


def _draw_performance(performance: Mapping[str, float]) -> None:
    """Draw the numbers of a training that did not keep the scores of its test images."""
    with ui.element("div").classes("figures"):
        for name, title in (
            ("F1Score", "F1"),
            ("Precision", say("Precision")),
            ("Recall", say("Recall")),
        ):
            _card(title, f1_text(performance.get(name)), "")
    text(say("Measured by the training, at its own threshold."), tag="p", classes="quiet")
