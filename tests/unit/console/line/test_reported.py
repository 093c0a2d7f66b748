from __future__ import annotations

from contextvars import copy_context

import pytest

from blemish.console.language.visitor_language import use_language
from blemish.console.line.reported import reported_messages, reported_text
from blemish.domain.errors import ConflictError, ResourceType
from blemish.line.hosted_judge import _reason
from blemish.line.line_model import LineModel


def in_german(text: str) -> str:
    def reported() -> str:
        use_language("de")
        return reported_text(text)

    return copy_context().run(reported)


def test_a_message_of_a_line_is_said_in_the_language_of_the_visitor() -> None:
    error = ConflictError("", resource_type=ResourceType.MODEL, resource_id="")
    message = _reason(error, LineModel(project="plates", version="1"))

    assert reported_text(message) == message
    assert in_german(message) == (
        "Modell 1 von plates läuft nicht. Starten Sie es; die Bilder warten."
    )


@pytest.mark.parametrize("text", ["", "The disk is full, and nothing else is known."])
def test_other_messages_stay_as_they_are(text: str) -> None:
    assert in_german(text) == text


def test_an_english_page_needs_no_messages() -> None:
    assert reported_messages() == []
