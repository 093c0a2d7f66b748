"""Blocks in other languages than Python; acceptance tests run the programs."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from blemish.cli.main import app
from documentation.website import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs" / "guide").glob("*.md")])
OWN_PARSERS = {"edge", "station"}
"""Commands that run without the server's packages; tests of their guides run their lines."""

READERS = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^ *```{language}\n(.*?)^ *```", page.read_text(), flags=re.MULTILINE | re.DOTALL
    )


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words of each call of `blemish` in the shell blocks of a page."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if len(words) > 1 and words[0].endswith("blemish") and words[1] not in OWN_PARSERS:
                yield words[1:]


def problem(command: Any, words: list[str]) -> str | None:
    """Return the first word that is no command and no option, or None."""
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    if hasattr(command, "commands"):
        return None if rest[:1] == ["--help"] else " ".join(rest)
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    unknown = (word for word in rest if word.startswith("--") and word.split("=")[0] not in options)
    return next(unknown, None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_blocks_call_commands_and_options_that_exist(page: Path) -> None:
    root = typer.main.get_command(app)

    wrong = [words for words in command_lines(page) if problem(root, words) is not None]

    assert wrong == []


@pytest.mark.parametrize("language", READERS)
def test_blocks_of_data_can_be_read(language: str) -> None:
    texts = [block for page in PAGES for block in blocks(page, language)]

    assert texts
    for text in texts:
        try:
            READERS[language](text)
        except json.JSONDecodeError:  # JSON Lines
            assert all(json.loads(line) for line in text.splitlines())
