"""The anomaly types of a project: what the colour maps of its entries name, and what was added.

A type has one colour in a project, the first free one of the palette, whatever other masks call
it. One that no entry names yet is kept in memory, until the server ends or a mask shows it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from blemish.console.images.dataset_entries import Entry, all_entries, change
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType
from blemish.domain.errors import ValidationError
from blemish.domain.manifest import METADATA, SEGMENTATION
from blemish.domain.palette import BACKGROUND_CLASS, PALETTE

MAX_NAME = 100
"""Characters of a type's name: it has to fit a list, and a line of a manifest."""

MAX_ADDED_PROJECTS = 100
"""Projects whose added types are kept."""

COLOR_MAP = "internal-color-map"


@dataclass(frozen=True, kw_only=True)
class AnomalyType:
    """One kind of what can be wrong."""

    name: str
    #: "#RRGGBB"
    color: str
    #: entries whose colour maps name it
    used: int = 0


class AddedTypes:
    """Names of types that were added, by project."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, list[str]] = OrderedDict()

    def of(self, project: str) -> Sequence[str]:
        """Return the names that were added to a project, the first one first."""
        return tuple(self._names.get(project, ()))

    def add(self, project: str, name: str) -> None:
        """Keep a name."""
        self._names.setdefault(project, []).append(name)
        self._names.move_to_end(project)
        while len(self._names) > MAX_ADDED_PROJECTS:
            self._names.popitem(last=False)

    def forget(self, project: str, name: str) -> None:
        """Drop a name, if it is there."""
        if name in self._names.get(project, ()):
            self._names[project].remove(name)


_added = AddedTypes()


async def project_types(visitor: Visitor, project: str) -> Sequence[AnomalyType]:
    """Return the types of a project, those of its entries first."""
    return types_of(await _entries(visitor, project), _added.of(project))


async def add_type(visitor: Visitor, project: str, name: str) -> str:
    """Add a type; return its name as it is kept.

    Raises:
        ValidationError: the name cannot be one.
    """
    types = await project_types(visitor, project)
    kept = checked_name(name, types)
    if len(types) >= visitor.services.limits.max_anomaly_types:
        raise ValidationError(f"A project can have {len(types)} anomaly types at most.")
    _added.add(project, kept)
    return kept


async def drop_type(visitor: Visitor, project: str, name: str) -> None:
    """Delete a type that no entry of the project names.

    Raises:
        ValidationError: entries name it.
    """
    for each in await project_types(visitor, project):
        if each.name == name and each.used:
            raise ValidationError(
                f"{name} is painted on {each.used:,} images. A type that is in use stays; "
                "rename it, or erase it from them first."
            )
    _added.forget(project, name)


async def rename_type(visitor: Visitor, project: str, old: str, new: str) -> str:
    """Rename a type in every entry that names it; return the new name as it is kept.

    Raises:
        ValidationError: the name cannot be one.
        ServiceError: the entries cannot be changed.
    """
    types = [each for each in await project_types(visitor, project) if each.name != old]
    kept = checked_name(new, types)
    for kind in DatasetType:
        found = await all_entries(visitor, project, kind)
        lines = [renamed(entry.line, old, kept) for entry in found if old in entry.types]
        await change(visitor, project, kind, lines)
    if old in _added.of(project):
        _added.forget(project, old)
        _added.add(project, kept)
    return kept


def types_of(entries: Iterable[Entry], added: Iterable[str]) -> Sequence[AnomalyType]:
    """Return the types that entries name, in the order in which they come, and those added.

    A type keeps the colour that it has first, unless another type has it already.
    """
    used: dict[str, int] = {}
    wanted: dict[str, str] = {}
    for entry in entries:
        for color, name in entry.colors.items():
            used.setdefault(name, 0)
            wanted.setdefault(name, color)
        for name in entry.types:
            used[name] += 1
    colors: dict[str, str] = {}
    for name in (*used, *(name for name in added if name not in used)):
        taken = frozenset(colors.values())
        first = wanted.get(name)
        colors[name] = first if first and first not in taken else _free(taken, wanted)
    return [
        AnomalyType(name=name, color=color, used=used.get(name, 0))
        for name, color in colors.items()
    ]


def checked_name(name: str, others: Iterable[AnomalyType]) -> str:
    """Return a name as a type can have it.

    Raises:
        ValidationError: it cannot be one, or one of the others has it.
    """
    kept = " ".join(name.split())
    if not kept or len(kept) > MAX_NAME:
        raise ValidationError(f"The name of an anomaly type has 1 to {MAX_NAME} characters.")
    if kept.casefold() == BACKGROUND_CLASS:
        raise ValidationError("What is not painted is the background; no anomaly can be called so.")
    if any(kept.casefold() == other.name.casefold() for other in others):
        raise ValidationError(f"There is an anomaly type {kept} already.")
    return kept


def renamed(line: str, old: str, new: str) -> str:
    """Return an entry's JSON Line with a type of its colour map renamed, and all else as it was."""
    fields = json.loads(line)
    for name, metadata in fields.items():
        if name.endswith(METADATA) and metadata.get("type") == SEGMENTATION:
            for each in metadata[COLOR_MAP].values():
                if each["class-name"].strip() == old:
                    each["class-name"] = new
    return json.dumps(fields, ensure_ascii=False)


async def _entries(visitor: Visitor, project: str) -> Sequence[Entry]:
    return [entry for kind in DatasetType for entry in await all_entries(visitor, project, kind)]


def _free(taken: frozenset[str], wanted: Mapping[str, str]) -> str:
    """Return a colour of the palette that no type has, nor is going to want."""
    later = taken | frozenset(wanted.values())
    free = (color for color in PALETTE[1:] if color not in later)
    return next(free, None) or next(color for color in PALETTE[1:] if color not in taken)
