"""What must hold of projects, datasets and models, whatever is asked for and whatever is killed.

A row here is what a client knows of one of ours: the status that was seen last, and what the last
successful change made of it. Work that is in progress may end at any moment, so of a status that
was seen, all that follow it without a request may be seen next.

A server gives up a model in whose load it was killed twice. It counts a kill from when a worker
takes the load until the row is HOSTED, and begins anew with each StartModel and each load that
succeeds. A client sees less, so a row counts every kill that the server may have counted:

    StartModel is asked for -> HOSTED is seen                          the first load
    the server starts again -> HOSTED is seen, of a model that was     the load after a start

A model that was seen HOSTED since the last start is not loaded any more. That a detection is
answered proves less: an image that waits may have loaded the model beside the worker. Only after
StartModel it proves that the model is HOSTED, since no other model answers then. Servers that share
a database load no model anew when one of them starts.
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
FAILED_BY_KILLS = f"the server ended {MAX_ENDS_IN_LOAD} times while it loaded the model"
"""In the message of a model that is given up because of kills."""

LOADING = {ModelStatus.STARTING_HOSTING, ModelStatus.SYSTEM_UPDATING}

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

    def may_be(self) -> set[str]:
        """Return the statuses that may be seen now."""
        return may_follow(self.status)

    def see(self, status: str) -> None:
        """Take note of a status, which must be one that may be seen now."""
        assert status in self.may_be(), f"{self.name} was {self.status}, is {status}"
        self.status = status

    def ask(self, target: str) -> None:
        """Take note that a request for a status was accepted, which it must only be if it may."""
        assert any(target in MOVES[status] for status in self.may_be()), f"{self} became {target}"
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
        return GONE in self.may_be()


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
    #: kills that may have met its load, since it was asked for or succeeded last
    kills_in_load: int = 0
    #: whether its status was seen or asked for since the server started
    is_known: bool = True

    def may_be(self) -> set[str]:
        """See `Row`. It moves by itself while work on it goes on, or after a start of the server.

        What kills made fail stays so; a damaged bundle is tried again.
        """
        rests = self.status == ModelStatus.HOSTED and self.is_known
        is_given_up = self.status == ModelStatus.HOSTING_FAILED and not self.damaged
        if rests or is_given_up:
            return {self.status}
        is_updated = not self.is_known or self.status == ModelStatus.SYSTEM_UPDATING
        return super().may_be() - (set() if is_updated else {ModelStatus.SYSTEM_UPDATING})

    def see(self, status: str, *, message: str | None = None) -> None:
        """Take note of a status, and of its message; it fails to start for a reason only."""
        super().see(status)
        self.is_known = True
        if status == ModelStatus.HOSTING_FAILED:
            assert self.may_fail, f"{self} failed to start: {message}"
            is_explained = message is None or self.damaged or FAILED_BY_KILLS in message
            assert is_explained, f"{self} failed to start, and says {message}"
        elif status not in LOADING:
            self.kills_in_load = 0

    def see_answer(self) -> None:
        """Take note that a detection was answered, or is to be sent again."""
        if self.status == ModelStatus.STARTING_HOSTING and self.is_known:
            self.see(ModelStatus.HOSTED)
        answering = {ModelStatus.HOSTED, ModelStatus.SYSTEM_UPDATING}
        assert answering & self.may_be(), f"{self} answered"

    def ask(self, target: str, *, amid_kill: bool = False) -> None:
        """Take note that a request was accepted, perhaps just before a kill."""
        super().ask(target)
        self.is_known = not amid_kill
        self.kills_in_load = int(amid_kill and target in LOADING)

    def note_kill(self) -> None:
        """Take note that a server was killed, which may have met a load."""
        if LOADING & self.may_be():
            self.kills_in_load += 1

    def note_start(self) -> None:
        """Take note that the server starts, and loads anew what was hosted."""
        self.is_known = False

    @property
    def may_fail(self) -> bool:
        """It may fail to start."""
        return self.damaged or self.kills_in_load >= MAX_ENDS_IN_LOAD
