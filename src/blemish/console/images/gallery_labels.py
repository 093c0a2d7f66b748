"""How the gallery saves labels, takes them back, and removes images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from blemish.console.images.dataset_changes import change_entries, remove_entries
from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import (
    DatasetKey,
    Entry,
    SetAsideMask,
    entry_line,
    entry_of,
)
from blemish.console.images.gallery_memory import Undo
from blemish.console.language.messages import say
from blemish.console.memory import put_under_new_name
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import Label
from blemish.domain.errors import ConflictError, ResourceType, ValidationError

STORED_BYTES = 4 * 1024 * 1024
"""JSON Lines that a browser keeps to undo a change; half of what a request may hold."""


@dataclass(frozen=True, kw_only=True)
class GalleryChange:
    """One change that a browser sends: labels for images, or an undo.

    Images are named by their addresses, or where that would be too many, by positions in a view.
    """

    #: name of the change that is undone; None for a label, or a removal
    undo: str | None = None
    #: entries that come back after a removal, as JSON Lines
    restored: Sequence[str] | None = None
    view: str = ""
    #: first and last position in the view
    ranges: Sequence[tuple[int, int]] = ()
    label: Label | None = None
    #: address -> label; None without one
    labels: Mapping[str, Label | None] | None = None


def gallery_change_of(members: Mapping[str, Any]) -> GalleryChange:
    """Read a change.

    Raises:
        ValidationError: it is malformed.
    """
    try:
        if "restored" in members:
            return GalleryChange(restored=[str(line) for line in members["restored"]])
        if "undo" in members:
            return GalleryChange(undo=str(members["undo"]))
        if "labels" in members:
            labels = {str(ref): _label_of(name) for ref, name in members["labels"].items()}
            return GalleryChange(labels=labels)
        return GalleryChange(
            view=str(members["view"]),
            ranges=[(int(first), int(last)) for first, last in members["ranges"]],
            label=_label_of(members.get("label")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValidationError(f"The change is malformed: {error!r:.100}.") from None


def _label_of(name: str | None) -> Label | None:
    return Label(name) if name else None


def refs_in_ranges(refs: Sequence[str], ranges: Iterable[tuple[int, int]]) -> list[str]:
    """Return the addresses at positions from the first to the last of each range, inclusive."""
    return [ref for first, last in ranges for ref in refs[max(0, first) : last + 1]]


def relabelled(entry: Entry, label: Label | None, *, now: datetime) -> Entry:
    """Return an entry with another label.

    The mask of an image that is no anomaly any more is set aside; it counts again when the image is
    labelled as an anomaly.
    """
    if label == entry.label:
        return entry
    mask = entry.set_aside
    if entry.mask_ref is not None:
        mask = SetAsideMask(ref=entry.mask_ref, colors=entry.colors)
    counts = mask is not None and label is Label.ANOMALY
    line = entry_line(
        entry.ref,
        label=label,
        mask_ref=mask.ref if mask and counts else None,
        colors=mask.colors if mask and counts else {},
        set_aside=None if counts else mask,
        now=now,
    )
    return replace(entry_of(line), created_at=now if label else None)


async def save_labels(
    visitor: Visitor, dataset: DatasetKey, changes: Sequence[GalleryChange]
) -> list[Mapping[str, Any] | None]:
    """Label images, or undo that, in the order of the changes.

    Returns:
        How each change can be undone, as `undo_members`; None for an undo.

    Raises:
        ServiceError: the changes were refused.
    """
    before = {entry.ref: entry for entry in await all_entries(visitor, dataset)}
    after = dict(before)
    undos = [await in_thread(_apply, visitor, dataset, change, after) for change in changes]
    lines = [entry.line for ref, entry in after.items() if before.get(ref) is not entry]
    await change_entries(visitor, dataset, lines)
    return undos


async def remove_images(
    visitor: Visitor, dataset: DatasetKey, change: GalleryChange
) -> Mapping[str, Any]:
    """Take images of a view out of the data set; return how that can be undone.

    Raises:
        ServiceError: it was refused.
    """
    refs = set(_refs(visitor, dataset, change))
    removed = [entry for entry in await all_entries(visitor, dataset) if entry.ref in refs]
    await remove_entries(visitor, dataset, [entry.ref for entry in removed])
    return undo_members(visitor, Undo(dataset=dataset, entries=removed, removed=True))


def undo_members(visitor: Visitor, undo: Undo) -> Mapping[str, Any]:
    """Return the change that undoes another, for a browser to keep and send.

    It has the labels or the removed entries, which outlive this server. If they are too many for
    one request, it has a name by which this server knows them.
    """
    if undo.removed:
        lines = [entry.line for entry in undo.entries]
        if sum(map(len, lines)) <= STORED_BYTES:
            return {"restored": lines}
    else:
        labels = {entry.ref: entry.label for entry in undo.entries}
        if sum(map(len, labels)) <= STORED_BYTES:
            return {"labels": labels}
    return {"undo": put_under_new_name(visitor.services.memory.undos, undo)}


def _apply(
    visitor: Visitor, dataset: DatasetKey, change: GalleryChange, entries: dict[str, Entry]
) -> Mapping[str, Any] | None:
    """Make one change to the entries; return how it can be undone."""
    now = visitor.services.clock()
    if change.restored is not None:
        _restore(map(entry_of, change.restored), entries)
        return None
    if change.undo is not None:
        undo = visitor.services.memory.undos.find(change.undo)
        if undo is None or undo.dataset != dataset:
            raise _forgotten(dataset, say("That can no longer be undone."))
        if undo.removed:
            _restore(undo.entries, entries)
        else:  # of an entry of now, as somebody may have painted on it
            known = [(entries[e.ref], e.label) for e in undo.entries if e.ref in entries]
            entries.update((e.ref, relabelled(e, label, now=now)) for e, label in known)
        return None
    labels = change.labels
    if labels is None:
        labels = dict.fromkeys(_refs(visitor, dataset, change), change.label)
    changed = [entries[ref] for ref in labels if ref in entries]
    if labels and not changed:  # to say that nothing is saved would be a lie
        raise ValidationError(say("These images are no longer in the data set. Reload the page."))
    entries.update((e.ref, relabelled(e, labels[e.ref], now=now)) for e in changed)
    return undo_members(visitor, Undo(dataset=dataset, entries=changed, removed=False))


def _restore(removed: Iterable[Entry], entries: dict[str, Entry]) -> None:
    """Bring removed entries back, but for those that are there again."""
    for entry in removed:
        entries.setdefault(entry.ref, entry)


def _refs(visitor: Visitor, dataset: DatasetKey, change: GalleryChange) -> list[str]:
    view = visitor.services.memory.views.find(change.view)
    if view is None or view.dataset != dataset:
        raise _forgotten(dataset, say("The server no longer knows the order of these images."))
    return refs_in_ranges(view.refs, change.ranges)


def _forgotten(dataset: DatasetKey, problem: str) -> ConflictError:
    return ConflictError(
        say("{problem} Reload the page.", problem=problem),
        resource_type=ResourceType.DATASET,
        resource_id=f"{dataset.project}/{dataset.type}",
    )
