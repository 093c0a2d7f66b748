"""What the console remembers between requests; all of it is lost when the server ends.

Nothing here is the only copy of somebody's work. Entries can be read again, a view can be ordered
again, and a page says so when an undo is no longer known.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from blemish.console.images.entry import Entry
from blemish.console.images.gallery_memory import Undo, View
from blemish.console.images.labelled_uploads import LabelledUploads
from blemish.console.masks.added_types import AddedTypes
from blemish.domain.entities import DatasetStatus, ObjectRef
from blemish.engine.images.sizes import ImageSize

if TYPE_CHECKING:  # a server needs no arrays before somebody asks for an order
    import numpy as np
    from numpy.typing import NDArray

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class RecentlyUsed(Generic[Key, Value]):
    """Values by key, for any thread; of too many, those that were not used for longest go."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Key) -> Value | None:
        """Return the value of a key; None if it is unknown or forgotten."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Remember a value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._limit:
                self._values.popitem(last=False)


DatasetState = tuple[int, datetime, DatasetStatus]
"""A data set as it was at one time: its id, when it was changed last, its status."""


@dataclass(frozen=True, kw_only=True)
class ConsoleMemory:
    """The memory of one console."""

    entries: RecentlyUsed[DatasetState, Sequence[Entry]] = field(
        default_factory=lambda: RecentlyUsed(limit=8)
    )
    #: datasets of a project -> whether all of their images can be used
    usable_datasets: RecentlyUsed[tuple[DatasetState, ...], bool] = field(
        default_factory=lambda: RecentlyUsed(limit=64)
    )
    #: name -> what somebody looks at in a gallery
    views: RecentlyUsed[str, View] = field(default_factory=lambda: RecentlyUsed(limit=64))
    #: name -> what a gallery can undo
    undos: RecentlyUsed[str, Undo] = field(default_factory=lambda: RecentlyUsed(limit=64))
    #: of the first images of projects
    image_sizes: RecentlyUsed[ObjectRef, ImageSize] = field(
        default_factory=lambda: RecentlyUsed(limit=256)
    )
    #: address -> descriptor of an image, for an order by what differs
    descriptors: RecentlyUsed[str, NDArray[np.uint8]] = field(
        default_factory=lambda: RecentlyUsed(limit=8_192)
    )
    labelled_uploads: LabelledUploads = field(default_factory=LabelledUploads)
    added_types: AddedTypes = field(default_factory=AddedTypes)
    #: held while a mask is compared with its stored version and saved
    saving_masks: asyncio.Lock = field(default_factory=asyncio.Lock)


def put_under_new_name(memory: RecentlyUsed[str, Value], value: Value) -> str:
    """Remember a value under a name that nobody guesses; return the name."""
    name = secrets.token_urlsafe(12)
    memory.put(name, value)
    return name
