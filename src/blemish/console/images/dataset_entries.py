"""The entries of a data set, read through the API's gates and remembered until they change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blemish.console.images.entry import DatasetKey, Entry, entry_of
from blemish.console.language.messages import say
from blemish.console.memory import DatasetState
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import Dataset
from blemish.domain.errors import ResourceNotFoundError, ValidationError
from blemish.domain.lifecycle import DATASET_IN_PROGRESS
from blemish.service.datasets.datasets import AppliedChanges, DatasetService, EntryFilter

PAGE = 5_000
"""Entries that are read at once."""


async def all_entries(visitor: Visitor, dataset: DatasetKey) -> Sequence[Entry]:
    """Return the entries of a data set in their order; none if there is no such data set.

    They are read and parsed once after each change.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not let the visitor list them.
    """
    try:
        return await in_thread(_all_entries, visitor, dataset)
    except ResourceNotFoundError:
        return ()


async def find_entry(visitor: Visitor, dataset: DatasetKey, ref: str) -> Entry:
    """Return the entry of one image.

    Raises:
        ValidationError: the data set has no such image.
        SignedOutError, AccessDeniedError: as `all_entries`.
    """
    for entry in await all_entries(visitor, dataset):
        if entry.ref == ref:
            return entry
    raise ValidationError(
        say("{ref} is not in the {title} any more.", ref=f"{ref:.300}", title=dataset.title)
    )


def remember_changes(visitor: Visitor, applied: AppliedChanges) -> None:
    """Change the remembered entries of a data set as its rows were changed."""
    memory = visitor.services.memory.entries
    entries = memory.find(_state(applied.before))
    if entries is None:
        return
    changed = {str(entry.image): entry_of(entry.line) for entry in applied.entries}
    patched = [changed.pop(entry.ref, entry) for entry in entries]
    memory.put(_state(applied.after), (*patched, *changed.values()))


def _state(dataset: Dataset) -> DatasetState:
    return dataset.id, dataset.updated_at, dataset.status


def _all_entries(visitor: Visitor, key: DatasetKey) -> Sequence[Entry]:
    visitor.check("ListDatasetEntries", **key.names)
    services = visitor.services
    dataset, _ = services.datasets.describe(key.project, key.type)
    state = _state(dataset)
    entries = services.memory.entries.find(state)
    if entries is None:
        entries = tuple(map(entry_of, _lines(services.datasets, key)))
        if dataset.status not in DATASET_IN_PROGRESS:
            services.memory.entries.put(state, entries)
    return entries


def _lines(datasets: DatasetService, key: DatasetKey) -> Iterator[str]:
    token: str | None = None
    while True:
        lines, token = datasets.entries(
            key.project, key.type, wanted=EntryFilter(), token=token, limit=PAGE
        )
        yield from lines
        if token is None:
            return
