"""Brings the catalogues of the console up to date with the messages of its sources.

    .venv/bin/python -m documentation.messages

New messages get an empty translation, those that no source has any more are removed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as PoMessage
from babel.messages.pofile import read_po, write_po

from blemish.console.language.catalogues import FOLDER
from blemish.console.language.visitor_language import ENGLISH, LANGUAGES
from blemish.domain.access.roles import DESCRIPTIONS
from blemish.domain.lifecycle import JOB_WORDS, MODEL_WORDS

CONSOLE = FOLDER.parent

ONE, MANY = ("say", "later"), "counted"

OF_THE_DOMAIN: Mapping[str, Iterable[str]] = {
    "domain/access/roles.py": DESCRIPTIONS.values(),
    "domain/lifecycle.py": [*MODEL_WORDS.values(), *JOB_WORDS.values()],
}
"""Messages that sources outside of the console have, which need no function."""

_TEXT = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_SAY = re.compile(rf"\bsay\(\s*{_TEXT}")
_COUNTED = re.compile(rf"\bcounted\(\s*[^\"',]*(?:\([^()]*\))?[^\"',]*,\s*{_TEXT},\s*{_TEXT}")

Message = str | tuple[str, str]


def messages() -> dict[Message, list[str]]:
    """Return the messages of all sources: text, or the texts for one and many -> files."""
    places: dict[Message, list[str]] = {}
    for path in sorted(CONSOLE.rglob("*")):
        if path.suffix == ".py":
            texts = python_messages(path.read_text())
        elif path.suffix in {".js", ".jinja"}:
            texts = script_messages(path.read_text())
        else:
            continue
        for text in texts:
            places.setdefault(text, []).append(str(path.relative_to(CONSOLE)))
    for name, words in OF_THE_DOMAIN.items():
        for word in words:
            places.setdefault(word, []).append(name)
    of_numbers = {text[0]: text for text in places if isinstance(text, tuple)}
    for text in of_numbers.keys() & places.keys():
        places[of_numbers[text]] += places.pop(text)
    return {text: sorted(set(files)) for text, files in places.items()}


def python_messages(source: str) -> Iterator[Message]:
    """Yield the messages of a Python module."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        if node.func.id in ONE and texts:
            yield str(texts[0])
        elif node.func.id == MANY and len(texts) >= 2:
            yield str(texts[-2]), str(texts[-1])


def script_messages(source: str) -> Iterator[Message]:
    """Yield the messages of a script or of a template of HTML."""
    for match in _SAY.finditer(source):
        yield _unquoted(match[1])
    for match in _COUNTED.finditer(source):
        yield _unquoted(match[1]), _unquoted(match[2])


def catalogue_path(code: str) -> Path:
    """Return the file of a language."""
    return FOLDER / f"{code}.po"


def read_catalogue(code: str) -> Catalog:
    """Read the catalogue of a language; an empty one if there is none yet."""
    path = catalogue_path(code)
    if not path.exists():
        return Catalog(locale=code, project="Blemish", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=code)


def update(code: str, of_sources: Mapping[Message, list[str]]) -> None:
    """Write the catalogue of a language anew, with the translations that it has."""
    known = read_catalogue(code)
    new = Catalog(
        locale=code,
        project="Blemish",
        header_comment=known.header_comment if known else "",
        fuzzy=False,
    )
    by_text = {(m.id if isinstance(m.id, str) else m.id[0]): m for m in known if m.id}
    for text, files in sorted(of_sources.items(), key=lambda item: (item[1], str(item[0]))):
        old = by_text.get(text if isinstance(text, str) else text[0])
        string = (
            old.string
            if old is not None and isinstance(old.id, str) == isinstance(text, str)
            else ""
        )
        new.add(text, string, locations=[(file, 0) for file in files])
    with catalogue_path(code).open("wb") as file:
        write_po(file, new, width=100, omit_header=False, include_lineno=False)


def strings(message: PoMessage) -> tuple[str, ...]:
    """Return the translation of a message, or each of its plural forms."""
    if isinstance(message.string, str | None):
        return (message.string or "",)
    return tuple(message.string)


def main() -> None:
    """Bring all catalogues up to date."""
    of_sources = messages()
    for code in LANGUAGES:
        if code != ENGLISH:
            update(code, of_sources)
            empty = sum(
                not all(m.string if isinstance(m.string, tuple) else [m.string])
                for m in read_catalogue(code)
                if m.id
            )
            print(f"{code}: {len(of_sources)} messages, {empty} to translate")


def _unquoted(text: str) -> str:
    r"""Return what a literal of JavaScript says; in a template `\\'` stands for an apostrophe."""
    return str(ast.literal_eval(text.replace("\\\\'", "\\'")))


if __name__ == "__main__":
    main()
