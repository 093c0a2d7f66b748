"""What must hold of projects, datasets and models, whatever is asked for and whatever is killed.

A row here is what a client knows of one of ours: the status that was seen last, and what the last
successful change made of it. Work that is in progress may end at any moment, so of a status that
was seen, all that follow it without a request may be seen next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from blemish.domain.entities import DatasetStatus, ModelStatus
from blemish.domain.lifecycle import DATASET_MOVES, MODEL_MOVES
from blemish.service.models.hosting import MAX_ENDS_IN_LOAD

GONE = "GONE"
REQUESTED = {
    ModelStatus.STARTING_HOSTING,
    ModelStatus.STOPPING_HOSTING,
    ModelStatus.DELETING,
    DatasetStatus.UPDATE_IN_PROGRESS,
    DatasetStatus.DELETE_IN_PROGRESS,
}
"""Statuses that only a request leads to."""

AT_REST = {
    ModelStatus.TRAINED,
    ModelStatus.TRAINING_FAILED,
    ModelStatus.HOSTED,
    ModelStatus.HOSTING_FAILED,
    DatasetStatus.CREATE_COMPLETE,
    DatasetStatus.CREATE_FAILED,
    DatasetStatus.UPDATE_COMPLETE,
    DatasetStatus.UPDATE_FAILED_ROLLBACK_COMPLETE,
    GONE,
}
"""Where a row stays until somebody asks for something, but for a restart of the server."""

MOVES: Mapping[str, set[str]] = {
    str(status): set(map(str, targets))
    for moves in (MODEL_MOVES, DATASET_MOVES)
    for status, targets in moves.items()
} | {ModelStatus.DELETING: {GONE}, DatasetStatus.DELETE_COMPLETE: {GONE}, GONE: set()}


def may_follow(status: str) -> set[str]:
    """Return what may be seen after a status was, without a request between."""
    found, left = {status}, [status]
    while left:
        new = MOVES[left.pop()] - REQUESTED - found
        found |= new
        left += new
    return found


@dataclass(kw_only=True)
class Row:
    """What a client knows of a dataset or a model."""

    name: str
    status: str

    def see(self, status: str) -> None:
        """Take note of a status, which must be one that may be seen now."""
        assert status in may_follow(self.status), f"{self.name} was {self.status}, is {status}"
        self.status = status

    def ask(self, target: str) -> None:
        """Take note that a request for a status was accepted, which it must only be if it may."""
        before = may_follow(self.status)
        assert any(target in MOVES[status] for status in before), f"{self} became {target}"
        self.status = target

    def refuse(self, target: str, message: str) -> None:
        """Take note that it was a conflict, whose message must name a status that forbids it."""
        found = re.search(r" is ([A-Z_]{5,})\b", message)
        assert found is not None, message
        self.see(found[1])
        assert target not in MOVES[found[1]], message

    @property
    def at_rest(self) -> bool:
        """Nothing works on it."""
        return self.status in AT_REST

    @property
    def may_be_gone(self) -> bool:
        """It may not exist any more."""
        return GONE in may_follow(self.status)


Entries = dict[str, str]
"""source-ref -> JSON Line, in the order of the dataset."""


@dataclass(kw_only=True)
class DatasetRow(Row):
    """A dataset, with its entries as the last change that succeeded left them."""

    entries: Entries = field(default_factory=dict)
    #: what they are if the work in progress succeeds; None if it must fail
    then: Entries | None = None

    def see(self, status: str) -> None:
        """Take note of a status; whether a change succeeds depends on the change alone."""
        super().see(status)
        if status in {DatasetStatus.CREATE_COMPLETE, DatasetStatus.UPDATE_COMPLETE}:
            assert self.then is not None, f"{self.name} took bad lines"
            self.entries = self.then
        if status in {DatasetStatus.CREATE_FAILED, DatasetStatus.UPDATE_FAILED_ROLLBACK_COMPLETE}:
            assert self.then is None or self.then == self.entries, f"{self.name} refused good lines"
            self.then = self.entries

    def change(self, then: Entries | None) -> None:
        """Take note that changes were accepted."""
        self.ask(DatasetStatus.UPDATE_IN_PROGRESS)
        self.then = then

    @property
    def normal(self) -> int:
        """How many normal images it has."""
        return sum(
            json.loads(line).get("anomaly-label-metadata", {}).get("class-name") == "normal"
            for line in self.entries.values()
        )


@dataclass(kw_only=True)
class ModelRow(Row):
    """A model."""

    tags: dict[str, str] = field(default_factory=dict)
    #: its bundle was damaged at some time, and may be still
    damaged: bool = False
    #: ends of servers that may have been in the middle of its load
    ends_in_load: int = 0

    def see(self, status: str) -> None:
        """Take note of a status; it fails to start for a reason only."""
        super().see(status)
        may_fail = self.damaged or self.ends_in_load >= MAX_ENDS_IN_LOAD
        assert may_fail or status != ModelStatus.HOSTING_FAILED, f"{self.name} failed to start"
