"""The label and the data set of an image that people add, by the folders that it is in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from blemish.console.images.entry import SET_NAMES
from blemish.console.language.messages import say
from blemish.console.masks.mask_files import is_mask_key
from blemish.domain.entities import DatasetType, Label
from blemish.domain.file_managers import is_file_manager_file
from blemish.engine.images.formats import SUFFIXES
from blemish.storage.objects.names import refusal

NAMELESS = "image"
"""Of a file whose own name no object can have."""


@dataclass(frozen=True, kw_only=True)
class ImportCandidate:
    """An image that is in a bucket, and what it will be in the project."""

    #: what people know it by
    path: str
    #: `s3://bucket/key`
    ref: str
    kind: DatasetType
    label: Label | None


def kind_of(path: str, *, otherwise: DatasetType) -> DatasetType:
    """Return the data set that a folder of the path names, the innermost if several do."""
    for folder in reversed(path.split("/")[:-1]):
        for kind in DatasetType:
            if folder.casefold() == kind:
                return kind
    return otherwise


def object_name(path: str) -> str:
    """Return the file's own name where an object can have it."""
    name = path.rsplit("/", 1)[-1]
    return NAMELESS if refusal(name) else name


def is_image_name(key: str) -> bool:
    """Tell whether a key ends as those of images do; a mask painted beside one is none."""
    return key.lower().endswith(SUFFIXES) and not is_mask_key(key) and not is_file_manager_file(key)


def split_new(
    candidates: Sequence[ImportCandidate], existing: Mapping[DatasetType, Collection[str]]
) -> tuple[list[ImportCandidate], list[tuple[str, str]]]:
    """Tell images that are new in a project from those that it has.

    An image of the training set is not added to the test set: it would measure what the model
    learned by heart.

    Args:
        candidates: what is to be added.
        existing: addresses of the images that each data set has.

    Returns:
        The new ones, and the paths of the others with the reason.
    """
    owners = {ref: kind for kind, refs in existing.items() for ref in refs}
    new, known = list[ImportCandidate](), list[tuple[str, str]]()
    for candidate in candidates:
        owner = owners.get(candidate.ref)
        if owner is None:
            new.append(candidate)
        else:
            known.append((candidate.path, say("already in the {set}", set=say(SET_NAMES[owner]))))
    return new, known
