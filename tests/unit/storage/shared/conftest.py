"""Shared folders whose S3 is a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from blemish.storage.objects.store import ObjectStore
from blemish.storage.shared.file_cache import FileCache
from blemish.storage.shared.folders import SharedFolders, SharedLocation

BUCKET = "files"


@pytest.fixture
def open_shared(tmp_path: Path) -> Callable[[str], SharedFolders]:
    """Return a function that opens the shared bundles as a server of this name."""
    (tmp_path / "s3" / BUCKET).mkdir(parents=True)

    def opened(server: str) -> SharedFolders:
        staging = tmp_path / server / "staging"
        staging.mkdir(parents=True, exist_ok=True)
        cache = FileCache(tmp_path / server / "cache", staging=staging, max_bytes=1 << 20)
        store = ObjectStore(tmp_path / "s3")
        return SharedFolders(
            SharedLocation(
                store=store, bucket=BUCKET, prefix="plant/1/", cache=cache, staging=staging
            ),
            "bundles",
        )

    return opened


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    """Return a folder of two files."""
    folder = tmp_path / "attempt"
    folder.mkdir()
    (folder / "model").write_bytes(b"weights" * 1_000)
    (folder / "info").write_bytes(b"{}")
    return folder
