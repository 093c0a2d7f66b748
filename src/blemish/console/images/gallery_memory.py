"""What the gallery remembers between requests: the order somebody looks at, and what to undo.

A view is frozen when it is asked for. While somebody scrolls through "unlabelled" and labels, no
image moves under their hands; and "all of them" means those that they were shown.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from blemish.console.images.dataset_entries import Entry
from blemish.domain.errors import ConflictError, ResourceType

MOST = 64
"""Views, and changes to undo, that are kept; the oldest are forgotten."""

Kept = TypeVar("Kept")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A data set."""

    project: str
    kind: str

    def forgotten(self, what: str) -> ConflictError:
        """Return the error of who asks for what is no longer remembered."""
        return ConflictError(
            f"{what} Reload the page.",
            resource_type=ResourceType.DATASET,
            resource_id=f"{self.project}/{self.kind}",
        )


@dataclass(frozen=True, kw_only=True)
class View:
    """The images that somebody looks at, in their order."""

    place: Place
    refs: Sequence[str]
    scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Undo:
    """Entries as they were before a change."""

    place: Place
    entries: Sequence[Entry]
    #: whether the change took them out of the data set
    removed: bool


class Memory(Generic[Kept]):
    """A few things by names that nobody guesses."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def keep(self, thing: Kept) -> str:
        """Keep a thing; return its name."""
        name = secrets.token_urlsafe(12)
        self._kept[name] = thing
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return name

    def find(self, name: str) -> Kept | None:
        """Return what has a name, unless it is forgotten."""
        if name in self._kept:
            self._kept.move_to_end(name)
        return self._kept.get(name)


views: Memory[View] = Memory()
undos: Memory[Undo] = Memory()
