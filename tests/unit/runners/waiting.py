"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 60.0


def eventually(holds: Callable[[], object], *, patience_s: float = PATIENCE_S) -> None:
    """Wait until something holds, and fail if it does not."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and is not yet buried does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
