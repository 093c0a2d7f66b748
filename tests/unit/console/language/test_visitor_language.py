from __future__ import annotations

import asyncio

import pytest
from starlette.requests import HTTPConnection

from blemish.console.language.messages import counted, say
from blemish.console.language.numbers import number_text, percent_text
from blemish.console.language.visitor_language import (
    accepted_language,
    language_of,
    use_language,
)
from blemish.console.visitor import in_thread


def connection(**headers: str) -> HTTPConnection:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": named})


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr-FR,fr;q=0.9,ja;q=0.5,en;q=0.3", "ja"),
        ("zh-TW, zh;q=0.8", "zh"),
        ("fr, it;q=0.5", "en"),
        ("de;q=0, es;q=0.1", "es"),
        ("de;q=0", "en"),
        ("de;q=much, en;q=0.1", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_best(header: str, code: str) -> None:
    assert accepted_language(header) == code


def test_a_language_of_the_settings_comes_first() -> None:
    assert language_of(connection(cookie="blemish-language=ja", accept_language="de")) == "ja"
    assert language_of(connection(cookie="blemish-language=xx", accept_language="de")) == "de"


def test_two_visitors_have_their_languages_at_once_also_in_threads() -> None:
    async def visit(code: str) -> list[str]:
        use_language(code)
        texts = []
        for _ in range(3):
            await asyncio.sleep(0)
            texts.append(say("Projects"))
            texts.append(await in_thread(say, "Projects"))
            texts.append(await asyncio.create_task(later()))
        return texts

    async def later() -> str:
        return say("Projects")

    async def both() -> list[list[str]]:
        return await asyncio.gather(*(asyncio.create_task(visit(code)) for code in ("de", "es")))

    assert asyncio.run(both()) == [["Projekte"] * 9, ["Proyectos"] * 9]
    assert say("Projects") == "Projects"


def test_numbers_are_written_as_in_the_language() -> None:
    async def texts(code: str) -> tuple[str, str, str]:
        use_language(code)
        image = counted(2000, "{count} image", "{count} images")
        return image, number_text(1234.5, digits=1), percent_text(0.853)

    assert asyncio.run(texts("en")) == ("2,000 images", "1,234.5", "85%")
    assert asyncio.run(texts("de")) == ("2.000 Bilder", "1.234,5", "85\N{NO-BREAK SPACE}%")
    assert asyncio.run(texts("ja")) == ("画像 2,000 枚", "1,234.5", "85%")
