"""What takes long to make and is only read: made once in a run, whichever worker comes first."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(
    name: str, make: Callable[[Path], None], *, temporary: pytest.TempPathFactory
) -> Path:
    """Return the folder of that name that all workers share.

    Args:
        name: of the folder, the only one of its name in a run.
        make: makes it, at a path where nothing is yet.
        temporary: folders of this worker, beside which those of the others lie.
    """
    base = temporary.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            make(unfinished)
            unfinished.rename(folder)
    return folder
