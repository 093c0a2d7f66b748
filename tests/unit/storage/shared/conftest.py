from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from blemish.storage.shared.folders import SharedFolders
from tests.unit.storage.shared_folders import shared_folders


@pytest.fixture
def open_shared(tmp_path: Path) -> Callable[[str], SharedFolders]:
    """Return a function that opens the shared bundles as a server of this name."""
    return partial(shared_folders, tmp_path)


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    """Return a folder of two files."""
    folder = tmp_path / "attempt"
    folder.mkdir()
    (folder / "model").write_bytes(b"weights" * 1_000)
    (folder / "info").write_bytes(b"{}")
    return folder
