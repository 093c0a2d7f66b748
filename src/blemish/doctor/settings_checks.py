"""Checks of the settings: those that are set, wrong, or unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from blemish.doctor.report import Finding, Level
from blemish.settings import Settings

_PREFIX = "BLEMISH_"
_TOPIC = "settings"


def read_settings(
    options: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[Settings, list[Finding]]:
    """Return the settings and what is to be said about them; the defaults if they are invalid.

    Args:
        options: of the command line; they win over the environment.
        environment: the variables of the process, from which `Settings` reads.
    """
    try:
        settings = Settings(**options)
    except ValidationError as error:
        data_dir = options.get("data_dir") or Path(environment.get("BLEMISH_DATA_DIR", "data"))
        defaults = Settings.model_construct(**{**options, "data_dir": data_dir})
        return defaults, [*_invalid(error), *_unknown(environment)]
    return settings, [_set(settings), *_unknown(environment)]


def _set(settings: Settings) -> Finding:
    """Return the settings that differ from the defaults; of a secret, only that it is set."""
    texts = []
    for name in sorted(settings.model_fields_set):
        value = getattr(settings, name)
        shown = "(set)" if isinstance(value, SecretStr) else value
        texts.append(f"{_PREFIX}{name.upper()}={shown}")
    message = "\n".join(texts) or "All settings have their defaults."
    return Finding(topic=_TOPIC, level=Level.OK, message=message)


def _invalid(error: ValidationError) -> Iterator[Finding]:
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = f"{_PREFIX}{str(problem['loc'][0]).upper()}: " if problem["loc"] else ""
        yield Finding(
            topic=_TOPIC,
            level=Level.PROBLEM,
            message=name + problem["msg"].removeprefix("Value error, "),
            remedy="Correct it. The other checks use the defaults.",
        )


def _unknown(environment: Mapping[str, str]) -> Iterator[Finding]:
    known = [name.upper() for name in Settings.model_fields]
    for name in sorted(environment):
        before, prefix, rest = name.upper().partition(_PREFIX)
        if prefix and not before and rest not in known:
            near = difflib.get_close_matches(rest, known, n=1)
            yield Finding(
                topic=_TOPIC,
                level=Level.WARNING,
                message=f"{name} is no setting of this version, and changes nothing.",
                remedy=f"Did you mean {_PREFIX}{near[0]}?" if near else "Remove it.",
            )
