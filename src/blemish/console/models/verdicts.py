"""The verdict of a model on an image, as people read it."""

from __future__ import annotations

from nicegui import ui

from blemish.console.models.evaluation import EvaluatedImage
from blemish.console.ui.frame import text
from blemish.console.ui.pill import pill


def verdict_caption(image: EvaluatedImage, *, name: bool = True) -> None:
    """Draw the label of an image, the verdict of the model, and its confidence."""
    with ui.element("figcaption" if name else "div").classes("caption"):
        if name:
            text(image.name, classes="name")
        pill(image.truth, image.truth.value)
        if image.right:
            text(f"right, {image.confidence:.0%} sure", classes="quiet")
        else:
            pill(f"wrong: {image.verdict}, {image.confidence:.0%} sure", "warning")
