"""The anomaly types of a project: what the colour maps of its entries name, and what was added.

A type has one colour in a project, the first free one of the palette, whatever other masks call
it. One that no entry names yet is kept in memory, until the server ends or a mask shows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from blemish.console.images.dataset_changes import change_entries
from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import SET_ASIDE, DatasetKey, Entry
from blemish.console.language.messages import say
from blemish.console.language.numbers import number_text
from blemish.console.masks.added_types import AddedTypes
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType
from blemish.domain.errors import ValidationError
from blemish.domain.manifest import METADATA, SEGMENTATION
from blemish.domain.palette import BACKGROUND_CLASS, PALETTE

MAX_NAME = 100
"""Characters of a type's name: it has to fit a list, and a line of a manifest."""

COLOR_MAP = "internal-color-map"


@dataclass(frozen=True, kw_only=True)
class ProjectAnomalyType:
    """One kind of anomaly."""

    name: str
    #: "#RRGGBB"
    color: str
    #: entries whose colour maps name it
    used: int = 0


async def project_types(visitor: Visitor, project: str) -> Sequence[ProjectAnomalyType]:
    """Return the types of a project, those of its entries first."""
    return types_of(await _entries(visitor, project), _added(visitor).of(project))


async def add_type(visitor: Visitor, project: str, name: str) -> str:
    """Add a type; return its name as it is stored.

    Raises:
        ValidationError: the name cannot be one.
    """
    types = await project_types(visitor, project)
    stored = checked_name(name, types)
    if len(types) >= visitor.services.limits.max_anomaly_types:
        raise ValidationError(
            say("A project can have {types} anomaly types at most.", types=len(types))
        )
    _added(visitor).add(project, stored)
    return stored


async def drop_type(visitor: Visitor, project: str, name: str) -> None:
    """Delete a type that no entry of the project names.

    Raises:
        ValidationError: entries name it.
    """
    for anomaly_type in await project_types(visitor, project):
        if anomaly_type.name == name and anomaly_type.used:
            raise ValidationError(
                say(
                    "{name} is painted on {used} images. A type that is in use cannot be "
                    "deleted; rename it, or erase it from them first.",
                    name=name,
                    used=number_text(anomaly_type.used),
                )
            )
    _added(visitor).forget(project, name)


async def rename_type(visitor: Visitor, project: str, old: str, new: str) -> str:
    """Rename a type in every entry that names it; return the new name as it is stored.

    Raises:
        ValidationError: the name cannot be one.
        ServiceError: the entries cannot be changed.
    """
    others = [known for known in await project_types(visitor, project) if known.name != old]
    stored = checked_name(new, others)
    for kind in DatasetType:
        dataset = DatasetKey(project=project, type=kind)
        entries = await all_entries(visitor, dataset)
        lines = [renamed(entry.line, old, stored) for entry in entries if _names(entry, old)]
        await change_entries(visitor, dataset, lines)
    if old in _added(visitor).of(project):
        _added(visitor).forget(project, old)
        _added(visitor).add(project, stored)
    return stored


def types_of(entries: Iterable[Entry], added: Iterable[str]) -> Sequence[ProjectAnomalyType]:
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
        ProjectAnomalyType(name=name, color=color, used=used.get(name, 0))
        for name, color in colors.items()
    ]


def checked_name(name: str, others: Iterable[ProjectAnomalyType]) -> str:
    """Return a name as a type can have it.

    Raises:
        ValidationError: it cannot be one, or one of the others has it.
    """
    checked = " ".join(name.split())
    if not checked or len(checked) > MAX_NAME:
        raise ValidationError(
            say("The name of an anomaly type has 1 to {max_name} characters.", max_name=MAX_NAME)
        )
    if checked.casefold() == BACKGROUND_CLASS:
        raise ValidationError(
            say("No anomaly type can be called {checked}: unpainted pixels are.", checked=checked)
        )
    if any(checked.casefold() == other.name.casefold() for other in others):
        raise ValidationError(say("There is an anomaly type {checked} already.", checked=checked))
    return checked


def renamed(line: str, old: str, new: str) -> str:
    """Return an entry's JSON Line with a type of its colour map renamed, and all else as it was."""
    fields = json.loads(line)
    for name, metadata in fields.items():
        if name.endswith(METADATA) and metadata.get("type") == SEGMENTATION:
            for color in metadata[COLOR_MAP].values():
                if color["class-name"].strip() == old:
                    color["class-name"] = new
        elif name == SET_ASIDE and isinstance(metadata, dict):
            colors = metadata.get("colors") or {}
            metadata["colors"] = {
                color: new if known == old else known for color, known in colors.items()
            }
    return json.dumps(fields, ensure_ascii=False)


def _names(entry: Entry, name: str) -> bool:
    """Tell whether a mask of the entry, counting or set aside, names a type."""
    aside = entry.set_aside.colors.values() if entry.set_aside else ()
    return name in entry.types or name in aside


def _added(visitor: Visitor) -> AddedTypes:
    return visitor.services.memory.added_types


async def _entries(visitor: Visitor, project: str) -> Sequence[Entry]:
    keys = [DatasetKey(project=project, type=kind) for kind in DatasetType]
    return [entry for key in keys for entry in await all_entries(visitor, key)]


def _free(taken: frozenset[str], wanted: Mapping[str, str]) -> str:
    """Return a colour of the palette that no type has, nor is going to want."""
    later = taken | frozenset(wanted.values())
    free = (color for color in PALETTE[1:] if color not in later)
    return next(free, None) or next(color for color in PALETTE[1:] if color not in taken)
