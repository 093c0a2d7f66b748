"""How work is tried again after an attempt that did not end by itself."""

from __future__ import annotations

from datetime import timedelta

MAX_INTERRUPTIONS = 5
"""Interrupted attempts before the work fails; orderly stops of the server do not count."""

LONGEST_PAUSE = timedelta(minutes=5)


def pause_after(failures: int) -> timedelta:
    """Return the pause before the next attempt: 1, 2, 4 ... seconds, at most five minutes."""
    return min(timedelta(seconds=2 ** min(max(failures, 1) - 1, 20)), LONGEST_PAUSE)
