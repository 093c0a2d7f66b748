"""The size of each part of a data directory, and the free space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from blemish.storage.data_directory import DataDirectory


@dataclass(frozen=True, kw_only=True)
class StorageUse:
    """Sizes in bytes."""

    #: description of a part -> size, without empty parts
    parts: Mapping[str, int]
    free: int
    #: free space of the disk
    total: int


def storage_use(directory: DataDirectory) -> StorageUse:
    """Measure a data directory; slow, because it reads the size of every file."""
    folders = {
        "Images and other objects": directory.buckets,
        "Uploads that are not complete": directory.uploads,
        "Models": directory.bundles,
        "Frozen data sets of models": directory.stored_files,
        "Backbones": directory.backbones,
        "Trainings under way": directory.attempts,
        "Thumbnails": directory.thumbnails,
        "Audit log": directory.audit,
    }
    parts = {label: sum(_sizes(folder)) for label, folder in folders.items()}
    database = directory.database
    parts["Database, with copies from before updates"] = sum(
        _size(path) for path in directory.root.glob(f"{database.name}*")
    )
    disk = shutil.disk_usage(directory.root)
    return StorageUse(
        parts={label: size for label, size in parts.items() if size},
        free=disk.free,
        total=disk.total,
    )


def _sizes(folder: Path) -> Iterator[int]:
    """Yield the sizes of the files in a folder, some of which may disappear."""
    for parent, _, names in os.walk(folder):
        for name in names:
            yield _size(Path(parent, name))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
