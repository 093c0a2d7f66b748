"""The cards of a model: its results at the threshold in force, beside those of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from blemish.console.models.rates import NOT_MEASURABLE, f1_text
from blemish.console.models.threshold_results import ThresholdResults, results_at
from blemish.console.ui.frame import text
from blemish.domain.entities import EvaluationMethod
from blemish.engine.bundle import BundleInfo

CROSS_VALIDATED = (
    "Few images are held out, so the others were cross-validated: detectors that had not seen an "
    "image judged it. The heat map of an image comes from this model, which may have learned it."
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
    images = "On all images of the dataset" if is_cross_validated else "On the test images"
    with ui.element("section").classes("panel").props("aria-label=Results"):
        if results is None or info is None:
            _draw_performance(performance or {})
            return
        trained = results_at(info, info.trained_threshold)
        moved = info.moved_from is not None and trained is not None
        _draw_results(results, trained if moved else None)
        if is_cross_validated:
            text(CROSS_VALIDATED, tag="p", classes="quiet")
        words = f"{images}, at the threshold of the training, {info.threshold:.4g}."
        if moved:
            words = (
                f"{images}, at the threshold in force, {info.threshold:.4g}; beside it at the "
                f"threshold of the training, {info.moved_from:.4g}."
            )
        text(words, tag="p", classes="quiet")


def subject_of(model: Mapping[str, Any]) -> str:
    """Return what people call the images that a model was measured on."""
    return "cross-validated images" if _is_cross_validated(model) else "test images"


def _is_cross_validated(model: Mapping[str, Any]) -> bool:
    return model.get("EvaluationMethod") == EvaluationMethod.CROSS_VALIDATION


def _draw_results(results: ThresholdResults, trained: ThresholdResults | None) -> None:
    with ui.element("div").classes("figures"):
        for title, rate, before in (
            ("Anomalies found", results.recall, trained and trained.recall),
            ("Alarms that are right", results.precision, trained and trained.precision),
            ("False alarms", results.false_alarms, trained and trained.false_alarms),
        ):
            _card(title, rate.text, rate.interval_text, before.text if before else "")
        _card("F1", f1_text(results.f1), "", f1_text(trained.f1) if trained else "")


def _card(title: str, number: str, note: str, trained: str = "") -> None:
    with ui.element("div"):
        text(title, classes="quiet", tag="p")
        text(number, classes="number" if number != NOT_MEASURABLE else "", tag="p")
        text(note, classes="quiet", tag="p")
        if trained:
            text(f"As trained: {trained}", tag="p")


def _draw_performance(performance: Mapping[str, float]) -> None:
    """Draw the numbers of a training that did not keep the scores of its test images."""
    with ui.element("div").classes("figures"):
        for name, title in (("F1Score", "F1"), ("Precision", "Precision"), ("Recall", "Recall")):
            _card(title, f1_text(performance.get(name)), "")
    text("Measured by the training, at its own threshold.", tag="p", classes="quiet")
