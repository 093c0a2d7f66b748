"""The catalogues: files of gettext, read when the first page in their language is asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The messages of a language."""

    #: English message -> its translation; of a message about a number, each plural form
    messages: Mapping[str, tuple[str, ...]]
    #: sets the messages that scripts show
    script: bytes

    @property
    def digest(self) -> str:
        """Return what tells this script from an older one."""
        return hashlib.sha256(self.script).hexdigest()[:12]


@cache
def catalogue(code: str) -> Catalogue:
    """Return the catalogue of a language that is not English; it is read once."""
    from babel.messages.pofile import read_po  # noqa: PLC0415 - English needs no Babel

    with (FOLDER / f"{code}.po").open("rb") as file:
        entries = [message for message in read_po(file, locale=code) if message.id]
    messages: dict[str, tuple[str, ...]] = {}
    shown_by_scripts: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        message = str(entry.id if isinstance(entry.id, str) else entry.id[0])
        string = entry.string or ""
        forms = (string,) if isinstance(string, str) else tuple(string)
        if entry.fuzzy or not all(forms):
            continue
        messages[message] = forms
        if any(name.endswith(".js") for name, _ in entry.locations):
            shown_by_scripts[message] = forms
    content = json.dumps(shown_by_scripts, ensure_ascii=False, sort_keys=True)
    return Catalogue(messages=messages, script=f"Object.assign(MESSAGES, {content});\n".encode())
