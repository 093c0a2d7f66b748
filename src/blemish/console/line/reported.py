"""Messages that a line reports in English, in the language of the visitor.

The process of a line knows no visitor, and the station has these messages too. So they are
recognized by their English form; others stay as they are.
"""

from __future__ import annotations

import re
from functools import cache

from blemish.console.language.messages import later, say
from blemish.console.language.visitor_language import ENGLISH, current_language

REPORTED = (
    later("Model {version} of {project} does not run. Start it; the images wait."),
    later("There is no model {version} of {project}."),
    later("The process of the line ended ({code})."),
    later("The source has not started."),
    later("{folder} was removed."),
    later("{address} cannot be opened: {reason}."),
    later("{address} cannot be read: {reason}."),
    later("{address} cannot be written: {reason}."),
    later("{address} cannot be connected to: {reason}."),
    later("{address} cannot be connected to."),
    later("{address} does not answer: {reason}."),
    later("{address} closed the connection."),
    later("{address} lost the connection: {reason}."),
    later("{address} gives no more frames: {reason}."),
    later("The camera failed: {reason}."),
    later("The camera gave no frame within {seconds} s."),
    later("{anomalous} of {images} images are anomalous ({share}); the band is {low} to {high}."),
    later(
        "The images are dark: their {measure} is {value}, that of the normal images of the "
        "training {low} to {high}."
    ),
    later(
        "The images are blurred: their {measure} is {value}, that of the normal images of the "
        "training {low} to {high}."
    ),
    later(
        "The camera or the part has moved: the images lie {x} of their width to the {side} and "
        "{y} of their height {way} than the normal images of the training."
    ),
)

_VALUE = re.compile(r"\\\{(\w+)\\\}")


def reported_text(text: str) -> str:
    """Return a message of a line in the visitor's language."""
    if current_language() == ENGLISH:
        return text
    for message in REPORTED:
        if match := _pattern(message).fullmatch(text):
            return say(message, **match.groupdict())
    return text


def reported_messages() -> list[tuple[str, str]]:
    """Return what scripts need for the same: each message with its translation."""
    if current_language() == ENGLISH:
        return []
    return [(message, say(message)) for message in REPORTED]


@cache
def _pattern(message: str) -> re.Pattern[str]:
    return re.compile(_VALUE.sub(r"(?P<\1>.+?)", re.escape(message)), re.DOTALL)
