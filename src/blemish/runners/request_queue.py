"""The queue of a hosted model, which bounds the images that are judged at once and that wait.

A waiting image holds no thread. If the queue is full, an image is refused with the time that the
images before it will take.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from blemish.service.detection.detection import ModelBusyError

WAITING_PER_UNIT = 32
"""Images that may wait for each inference unit: at a second an image, for half a minute, within
the minute after which clients give up."""

FIRST_GUESS_S = 1.0
"""How long a request is assumed to take before the first one has ended."""

NEWEST_SHARE = 0.1
"""Weight of the newest request in the moving mean of durations."""

T = TypeVar("T")


class RequestQueue:
    """Carries out requests in order, as many at once as there are inference units."""

    def __init__(self, *, units: int, clock: Callable[[], float]) -> None:
        self.units = units
        self._clock = clock
        self._pool = ThreadPoolExecutor(units, thread_name_prefix="detection")
        self._lock = threading.Lock()
        #: requests that were submitted and have not ended
        self._count = 0
        #: mean duration of a request
        self._request_s: float | None = None

    @property
    def requests(self) -> int:
        """The number of requests that are carried out, or wait."""
        return self._count

    def submit(self, request: Callable[[], T]) -> Future[T]:
        """Let a request wait; return the future of its result.

        Raises:
            ModelBusyError: the queue is full.
        """
        with self._lock:
            if self._count >= self.units * (1 + WAITING_PER_UNIT):
                mean_s = FIRST_GUESS_S if self._request_s is None else self._request_s
                raise ModelBusyError(wait_s=mean_s * self._count / self.units)
            self._count += 1
        future = self._pool.submit(self._timed, request)
        future.add_done_callback(self._count_down)
        return future

    def close(self, last: Callable[[], object] | None = None) -> None:
        """Accept no more requests; waiting ones are still carried out.

        Args:
            last: is called when the last of them has begun.
        """
        if last is not None:
            self._pool.submit(last)
        self._pool.shutdown(wait=False)

    def _timed(self, request: Callable[[], T]) -> T:
        started_at = self._clock()
        try:
            return request()
        finally:
            took_s = self._clock() - started_at
            with self._lock:
                mean_s = took_s if self._request_s is None else self._request_s
                self._request_s = mean_s + NEWEST_SHARE * (took_s - mean_s)

    def _count_down(self, _: Future[T]) -> None:
        with self._lock:
            self._count -= 1
