"""Which model of the server judges a line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LineModel:
    """A model of this server."""

    project: str
    version: str

    def __str__(self) -> str:
        return f"{self.project} {self.version}"
