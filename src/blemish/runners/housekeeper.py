"""Runs chores periodically in its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.errors import DatabaseUnavailableError

logger: FilteringBoundLogger = structlog.get_logger(__name__)

LOOK_S = 15.0
"""Interval of checking for due chores."""


@dataclass(frozen=True, kw_only=True)
class Chore:
    """A task that runs after the start of the server and then periodically."""

    name: str
    every_s: float
    #: called with the current time
    act: Callable[[datetime], None]


class Housekeeper:
    """Runs one chore after the other; a failed one runs again in its turn."""

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
        #: monotonic, in seconds: periods do not depend on changes of the clock
        self._monotonic = monotonic
        self._look_s = look_s
        self._due = [monotonic()] * len(chores)
        #: names of chores -> how they failed the last time
        self._failing: dict[str, type[Exception]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)

    def start(self) -> None:
        """Start, and run every chore once."""
        self._thread.start()

    def stop(self) -> None:
        """Start no other chore, and wait for the running one."""
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
        """Do a chore; log its first failure in a row alone, since some are done twice a second."""
        try:
            chore.act(self._now())
        except DatabaseUnavailableError:
            pass  # the database logs when it is away, and when it is back
        except Exception as error:
            if self._failing.get(chore.name) is not type(error):
                self._failing[chore.name] = type(error)
                logger.exception("a chore failed", chore=chore.name, again_in_s=chore.every_s)
        else:
            if self._failing.pop(chore.name, None):
                logger.info("a chore succeeds again", chore=chore.name)
