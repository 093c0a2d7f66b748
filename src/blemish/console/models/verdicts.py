"""The verdict of a model on an image, as people read it."""

from __future__ import annotations

from nicegui import ui

from blemish.console.images.entry import LABEL_NAMES
from blemish.console.language.messages import say
from blemish.console.language.numbers import percent_text
from blemish.console.models.evaluation import EvaluatedImage
from blemish.console.ui.frame import text
from blemish.console.ui.pill import pill


def verdict_caption(image: EvaluatedImage, *, name: bool = True) -> None:
    """Draw the label of an image, the verdict of the model, and its confidence."""
    with ui.element("figcaption" if name else "div").classes("caption"):
        if name:
            text(image.name, classes="name")
        pill(say(LABEL_NAMES[image.truth]), image.truth.value)
        if image.right:
            text(
                say("right, {confidence} sure", confidence=percent_text(image.confidence)),
                classes="quiet",
            )
        else:
            pill(
                say(
                    "wrong: {verdict}, {confidence} sure",
                    verdict=say(LABEL_NAMES[image.verdict]),
                    confidence=percent_text(image.confidence),
                ),
                "warning",
            )
