"""The line before a hosted model: so many images are judged at once, and so many may wait.

Who waits holds no thread, only the image. Whoever comes when the line is full is told how long
those before will take.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from blemish.engine.runtime import Detector
from blemish.service.detection.detection import ModelBusyError
from blemish.service.models.hosting import Capacity

WAITING_PER_UNIT = 32
"""Images that may wait for each inference unit: at a second an image, for half a minute, within
the minute after which clients give up."""

FIRST_GUESS_S = 1.0
"""How long an image is taken to need before the first one was judged."""

NEWEST_SHARE = 0.1
"""How much the newest image counts in the mean of how long one needs."""

T = TypeVar("T")


class Turn(Generic[T]):
    """Work with a detector, and what will come of it."""

    def __init__(self, work: Callable[[Detector | None], T]) -> None:
        self._work = work
        self.future: Future[T] = Future()

    def take(self, detector: Detector | None) -> None:
        """Do the work, with None if no detector came in time; whoever cancelled it is left out."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self._work(detector))
        except BaseException as error:  # noqa: BLE001 - it is raised where the future is waited for
            self.future.set_exception(error)


class Line:
    """Has turns taken in their order, as many at once as there are units."""

    def __init__(self, detector: Detector, *, units: int, clock: Callable[[], float]) -> None:
        self._detector = detector
        self._units = units
        self._clock = clock
        self._pool = ThreadPoolExecutor(units, thread_name_prefix="detection")
        self._lock = threading.Lock()
        #: turns that were added and are not over
        self._count = 0
        #: mean of how long a turn takes
        self._turn_s: float | None = None

    @property
    def capacity(self) -> Capacity:
        """How many turns are taken at once, and how many wait."""
        return Capacity(units=self._units, waiting=max(0, self._count - self._units))

    def add(self, turn: Turn[T]) -> None:
        """Let a turn wait.

        Raises:
            ModelBusyError: as many wait as may.
        """
        with self._lock:
            if self._count >= self._units * (1 + WAITING_PER_UNIT):
                mean_s = FIRST_GUESS_S if self._turn_s is None else self._turn_s
                raise ModelBusyError(wait_s=mean_s * self._count / self._units)
            self._count += 1
        self._pool.submit(self._take, turn)

    def close(self) -> None:
        """Take no more turns; those that wait are still taken."""
        self._pool.shutdown(wait=False)

    def _take(self, turn: Turn[T]) -> None:
        began = self._clock()
        turn.take(self._detector)
        took_s = self._clock() - began
        with self._lock:
            self._count -= 1
            mean_s = took_s if self._turn_s is None else self._turn_s
            self._turn_s = mean_s + NEWEST_SHARE * (took_s - mean_s)
