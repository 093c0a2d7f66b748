"""What `blemish doctor` finds out, as text and as JSON, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|ACCESS_?KEY|API_?KEY", re.IGNORECASE
)
_FILE_NAME = re.compile(r"_(FILE|PATH|DIR)$", re.IGNORECASE)
_USER_OF_URL = re.compile(r"//[^/@\s]+@")
_SHORTEST_SECRET = 4
_HIDDEN = "***"


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    level: Level
    message: str
    #: what to do
    remedy: str | None = None


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All findings about one installation."""

    version: str
    findings: Sequence[Finding]

    def count(self, level: Level) -> int:
        """Return the number of findings of a level."""
        return sum(finding.level is level for finding in self.findings)

    def as_json(self) -> str:
        """Return a JSON object, for programs."""
        document = {
            "version": self.version,
            "problems": self.count(Level.PROBLEM),
            "warnings": self.count(Level.WARNING),
            "findings": [asdict(finding) for finding in self.findings],
        }
        return json.dumps(document, indent=2)

    def as_text(self) -> str:
        """Return lines for people and for reports of bugs."""
        width = max(len(finding.topic) for finding in self.findings)
        lines = [f"Blemish {self.version}", ""]
        for finding in self.findings:
            head = f"{finding.level:<8} {finding.topic:<{width}}  "
            rest = "\n" + " " * len(head)
            text = finding.message.strip().replace("\n", rest)
            lines.append(head + text + (f"{rest}-> {finding.remedy}" if finding.remedy else ""))
        problems, warnings = self.count(Level.PROBLEM), self.count(Level.WARNING)
        lines += ["", f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}."]
        return "\n".join(lines)


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """Return a text in which no secret of the environment stands, and no user of a URL.

    Checks print no secrets. This catches those in a message of another library or in a value
    that somebody gave to the wrong variable.
    """
    secrets = {
        value
        for name, value in environment.items()
        if _SECRET_NAME.search(name)
        and not _FILE_NAME.search(name)
        and len(value) >= _SHORTEST_SECRET
    }
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN).replace(json.dumps(secret)[1:-1], _HIDDEN)
    return _USER_OF_URL.sub(f"//{_HIDDEN}@", text)


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
