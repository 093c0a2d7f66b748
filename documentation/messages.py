"""Brings the catalogues of the console up to date with the messages of its sources.

    .venv/bin/python -m documentation.messages

New messages get an empty translation, those that no source has any more are removed.
"""

from __future__ import annotations

import ast
import io
import itertools
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

STORED = (
    "Audit log",
    "Backbones",
    "Database, with copies from before updates",
    "Frozen data sets of models",
    "Images and other objects",
    "Models",
    "Thumbnails",
    "Trainings under way",
    "Uploads that are not complete",
)
"""What takes room on the disk: `StorageUse.parts`."""

OF_THE_DOMAIN: Mapping[str, Iterable[str]] = {
    "domain/access/roles.py": DESCRIPTIONS.values(),
    "service/storage_use.py": STORED,
    "domain/lifecycle.py": [*MODEL_WORDS.values(), *JOB_WORDS.values()],
}
"""Source outside of the console, which needs no function -> its messages."""

HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Language: {language}\\n"
"Plural-Forms: {plural_forms};\\n"
"""
"""Without times, which would change with every update."""

ONE_FORM = frozenset({"ja", "zh"})
"""Languages whose nouns have no plural; `counted` knows one form or two."""

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


def header(code: str) -> str:
    """Return the head of a catalogue, which says how many plural forms the language has."""
    return HEADER.format(
        language=code,
        plural_forms="nplurals=1; plural=0" if code in ONE_FORM else "nplurals=2; plural=(n != 1)",
    )


def empty_catalogue(code: str) -> Catalog:
    """Return a catalogue without messages."""
    return read_po(io.BytesIO(header(code).encode()), locale=code)


def read_catalogue(code: str) -> Catalog:
    """Read the catalogue of a language; an empty one if there is none yet."""
    path = catalogue_path(code)
    if not path.exists():
        return empty_catalogue(code)
    with path.open("rb") as file:
        return read_po(file, locale=code)


def update(code: str, of_sources: Mapping[Message, list[str]]) -> None:
    """Write the catalogue of a language anew, with the translations that it has."""
    known = {first(message): message for message in read_catalogue(code) if message.id}
    new = empty_catalogue(code)
    for text, files in sorted(of_sources.items(), key=lambda item: (item[1], str(item[0]))):
        old = known.get(text if isinstance(text, str) else text[0])
        fits = old is not None and isinstance(old.id, str) == isinstance(text, str)
        string = old.string if old is not None and fits else ""
        new.add(text, string, locations=[(file, 0) for file in files])
    body = io.BytesIO()
    write_po(body, new, width=100, omit_header=True, include_lineno=False)
    content = f"{glossary(code)}{header(code)}\n{body.getvalue().decode()}"
    catalogue_path(code).write_text(content, encoding="utf-8")


def glossary(code: str) -> str:
    """Return the comment at the head of a catalogue, which translators write."""
    path = catalogue_path(code)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return "".join(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines(True)))


def first(message: PoMessage) -> str:
    """Return the text of a message, or the one for a single thing."""
    return message.id if isinstance(message.id, str) else message.id[0]


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
