"""What the gallery remembers between requests: the order somebody looks at, and what to undo.

A view is frozen when it is asked for. While somebody scrolls through "unlabelled" and labels, no
image moves under their hands; and "all of them" means those that they were shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blemish.console.images.entry import DatasetKey, Entry


@dataclass(frozen=True, kw_only=True)
class View:
    """The images that somebody looks at, in their order."""

    dataset: DatasetKey
    refs: Sequence[str]
    #: address -> how anomalous a model found the image, 0 to 1
    scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Undo:
    """Entries as they were before a change."""

    dataset: DatasetKey
    entries: Sequence[Entry]
    #: whether the change took them out of the data set
    removed: bool
