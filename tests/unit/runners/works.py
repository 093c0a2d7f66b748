"""Work that does what a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.unit.runners.waiting import PATIENCE_S


class FakeWork:
    """Work that notes what it is asked to do, waits where it is told to, and ends as it is told."""

    def __init__(self) -> None:
        #: (row, attempt)
        self.begun: list[tuple[Any, int]] = []
        self.given_up: list[tuple[Any, int, str]] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.fail: Callable[[Any, int], object] = lambda _row, _attempt: None
        self.finish: Callable[[Any, int], object] = lambda _row, _attempt: None

    def carry_out(self, row: Any, /, *, attempt: int) -> None:
        self.begun.append((row, attempt))
        assert self.may_end.wait(PATIENCE_S)
        self.finish(row, attempt)

    def give_up(self, row: Any, /, *, attempt: int, reason: str) -> None:
        self.given_up.append((row, attempt, reason))
        self.fail(row, attempt)
