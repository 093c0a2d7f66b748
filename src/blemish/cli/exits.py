"""End a command that cannot do its work: print a sentence, exit with status 2."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import typer
from pydantic import ValidationError

from blemish.settings import Settings


def settings_of(**options: Any) -> Settings:
    """Read the settings; an option that was given wins over the environment."""
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        end("\n".join(map(_problem, error.errors())))


def end(message: str) -> NoReturn:
    """End the command, and say why."""
    print(f"blemish: {message}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(2)


def _problem(problem: Mapping[str, Any]) -> str:
    if not problem["loc"]:  # of several settings, which the message names; one may be a secret
        return str(problem["msg"]).removeprefix("Value error, ")
    return f"BLEMISH_{str(problem['loc'][0]).upper()}={problem['input']!r}: {problem['msg']}"
