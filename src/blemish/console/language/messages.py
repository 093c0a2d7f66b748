"""Texts in the language of the visitor.

    say("Delete project {name}", name=project)
    counted(number, "{count} image", "{count} images")

A message is the English text. Scripts have the same two functions, of `static/say.js`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from blemish.console.language.catalogues import catalogue
from blemish.console.language.numbers import number_text
from blemish.console.language.visitor_language import ENGLISH, PSEUDO, current_language

Choice = TypeVar("Choice")


def say(message: str, /, **values: object) -> str:
    """Return a message in the visitor's language.

    Args:
        message: the English text.
        values: what the message has in braces.
    """
    text = _forms(message)[0]
    return text.format(**values) if values else text


def counted(number: int, one: str, many: str, /, **values: object) -> str:
    """Return a message about a number of things, such as "1 image" and "2,000 images".

    Args:
        number: what the message has as `{count}`.
        one: the English text for one thing.
        many: the English text for any other number.
        values: what the message has in braces beside.
    """
    text = _forms(one, many)[0 if number == 1 else -1]
    return text.format(count=number_text(number), **values)


def say_all(messages: Mapping[Choice, str]) -> dict[Choice, str]:
    """Return messages in the visitor's language, such as the choices of a select."""
    return {key: say(message) for key, message in messages.items()}


def later(message: str) -> str:
    """Mark a message of a constant, which `say` translates when it is shown."""
    return message


def _forms(*messages: str) -> tuple[str, ...]:
    """Return the translation of a message, or of both of a number of things."""
    code = current_language()
    if code == ENGLISH or not messages[0]:
        return messages
    if code == PSEUDO:
        return tuple(f"\u27e6{message}\u27e7" for message in messages)
    return catalogue(code).messages.get(messages[0], messages)
