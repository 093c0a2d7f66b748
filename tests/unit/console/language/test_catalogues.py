from __future__ import annotations

import re

import pytest
from babel.messages.catalog import Catalog

from blemish.console.language.visitor_language import ENGLISH, LANGUAGES
from documentation.messages import (
    Message,
    first,
    messages,
    python_messages,
    read_catalogue,
    script_messages,
    strings,
)

OTHERS = [code for code in LANGUAGES if code != ENGLISH]
BRACES = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def of_sources() -> dict[Message, list[str]]:
    return messages()


@pytest.fixture(scope="module", params=OTHERS)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    return read_catalogue(request.param)


def test_a_catalogue_has_the_messages_of_the_sources_and_no_others(
    of_sources: dict[Message, list[str]], catalog: Catalog
) -> None:
    translated = {
        tuple(message.id) if isinstance(message.id, list) else message.id
        for message in catalog
        if message.id
    }

    assert (of_sources.keys() - translated, translated - of_sources.keys()) == (set(), set()), (
        "run make messages, and translate what is new"
    )


def test_every_message_is_translated_in_each_plural_form(catalog: Catalog) -> None:
    incomplete = [
        first(message)
        for message in catalog
        if message.id
        and (
            message.fuzzy
            or not all(strings(message))
            or len(strings(message)) != (1 if isinstance(message.id, str) else catalog.num_plurals)
        )
    ]

    assert incomplete == []


def test_translations_have_the_values_of_their_message(catalog: Catalog) -> None:
    wrong = {
        first(message): string
        for message in catalog
        for string in strings(message)
        if message.id and set(BRACES.findall(string)) != set(BRACES.findall(first(message)))
    }

    assert wrong == {}


def test_messages_are_found_in_modules_scripts_and_documents() -> None:
    module = 'A = later("Of a constant")\nsay("Of " "two parts")\ncounted(len(x), "{count} a", "b")'
    script = (
        """say('It is "quoted"', { a }); counted(this.size(), "{count} c", "d"); """
        """`<b>{{ say("In") }}</b>`"""
    )

    assert set(python_messages(module)) == {"Of a constant", "Of two parts", ("{count} a", "b")}
    assert set(script_messages(script)) == {'It is "quoted"', ("{count} c", "d"), "In"}
