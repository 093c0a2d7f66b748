"""Has chores done from time to time, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from structlog.typing import FilteringBoundLogger

logger: FilteringBoundLogger = structlog.get_logger(__name__)

LOOK_S = 15.0
"""How often it is looked whether a chore is due."""


@dataclass(frozen=True, kw_only=True)
class Chore:
    """Something to be done when the server has started, and then again and again."""

    name: str
    every_s: float
    #: is told the time of day
    act: Callable[[datetime], None]


class Housekeeper:
    """A thread that does one chore after the other; one that fails is done again in its turn."""

    def __init__(
        self,
        chores: Sequence[Chore],
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        look_s: float = LOOK_S,
    ) -> None:
        self._chores = chores
        self._now = now
        #: in seconds, and never set: periods do not depend on the time of day
        self._monotonic = monotonic
        self._look_s = look_s
        self._due = [monotonic()] * len(chores)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)

    def start(self) -> None:
        """Begin with every chore once."""
        self._thread.start()

    def stop(self) -> None:
        """Take up no other chore, and wait for the one at hand."""
        self._stopping.set()
        if self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for number, chore in enumerate(self._chores):
                if self._monotonic() >= self._due[number] and not self._stopping.is_set():
                    self._due[number] = self._monotonic() + chore.every_s
                    self._do(chore)
            self._stopping.wait(self._look_s)

    def _do(self, chore: Chore) -> None:
        try:
            chore.act(self._now())
        except Exception:
            logger.exception("a chore failed", chore=chore.name, again_in_s=chore.every_s)
