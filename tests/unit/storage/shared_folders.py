"""Shared folders whose S3 is a folder, as several servers open them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blemish.storage.objects.store import ObjectStore
from blemish.storage.shared.file_cache import FileCache
from blemish.storage.shared.folders import SharedFolders, SharedLocation

BUCKET = "files"


def shared_folders(
    root: Path,
    server: str,
    *,
    kind: str = "bundles",
    store: Callable[[Path], ObjectStore] = ObjectStore,
) -> SharedFolders:
    """Open the shared folders of one kind as a server of this name."""
    (root / "s3" / BUCKET).mkdir(parents=True, exist_ok=True)
    staging = root / server / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    cache = FileCache(root / server / "cache", staging=staging, max_bytes=1 << 20)
    location = SharedLocation(
        store=store(root / "s3"),
        bucket=BUCKET,
        prefix="plant/1/",
        cache=cache,
        staging=staging,
    )
    return SharedFolders(location, kind)
