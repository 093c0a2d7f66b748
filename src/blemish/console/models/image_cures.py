"""The cures of a wrong verdict: another label, no label, or a place in the training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from blemish.console.images.dataset_changes import (
    change_entries,
    make_missing_dataset,
    remove_entries,
)
from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import DatasetKey, Entry
from blemish.console.images.gallery_labels import relabelled
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType, Label
from blemish.domain.errors import AccessDeniedError


@dataclass(frozen=True, kw_only=True)
class PlacedEntry:
    """The entry of an image, and the data set that it is in."""

    dataset: DatasetKey
    entry: Entry


async def placed_entries(visitor: Visitor, project: str) -> dict[str, PlacedEntry]:
    """Return the entries of a project: address of the image -> entry, of the test set if in both.

    What the visitor may not list is left out.
    """
    placed: dict[str, PlacedEntry] = {}
    for kind in (DatasetType.TRAIN, DatasetType.TEST):
        dataset = DatasetKey(project=project, type=kind)
        for entry in await _allowed_entries(visitor, dataset):
            placed[entry.ref] = PlacedEntry(dataset=dataset, entry=entry)
    return placed


async def find_placed_entry(visitor: Visitor, project: str, ref: str) -> PlacedEntry | None:
    """Return the entry of an image; None if the project has it no more, or it cannot be listed."""
    for kind in (DatasetType.TEST, DatasetType.TRAIN):
        dataset = DatasetKey(project=project, type=kind)
        for entry in await _allowed_entries(visitor, dataset):
            if entry.ref == ref:
                return PlacedEntry(dataset=dataset, entry=entry)
    return None


async def relabel(visitor: Visitor, placed: PlacedEntry, label: Label | None) -> None:
    """Give an image another label, or none; its mask stays with it.

    Raises:
        ServiceError: the entry cannot be changed.
    """
    changed = relabelled(placed.entry, label, now=visitor.services.clock())
    await change_entries(visitor, placed.dataset, [changed.line])


async def move_to(visitor: Visitor, placed: PlacedEntry, kind: DatasetType) -> None:
    """Move an image into the other data set, with its label and mask.

    It is added before it is removed: an interruption leaves it in both, and it can be moved again.

    Raises:
        ServiceError: an entry cannot be changed.
    """
    target = replace(placed.dataset, type=kind)
    await make_missing_dataset(visitor, target)
    await change_entries(visitor, target, [placed.entry.line])
    await remove_entries(visitor, placed.dataset, [placed.entry.ref])


async def put_back(visitor: Visitor, before: PlacedEntry) -> None:
    """Take back what was done to an image: its entry is again as it was, in the set that it was in.

    Raises:
        ServiceError: an entry cannot be changed.
    """
    now = await find_placed_entry(visitor, before.dataset.project, before.entry.ref)
    await change_entries(visitor, before.dataset, [before.entry.line])
    if now is not None and now.dataset != before.dataset:
        await remove_entries(visitor, now.dataset, [before.entry.ref])


async def _allowed_entries(visitor: Visitor, dataset: DatasetKey) -> Sequence[Entry]:
    try:
        return await all_entries(visitor, dataset)
    except AccessDeniedError:
        return ()
