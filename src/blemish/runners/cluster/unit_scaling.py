"""How many inference units a hosted model has, between the least and the most of its start."""

from __future__ import annotations

import threading
from collections.abc import Callable

from blemish.domain.entities import InferenceUnits

ADD_AFTER_S = 5.0
"""How long images wait for a unit again and again before there is one more."""

BREAK_S = 1.0
"""Images wait again and again while no such time passes in which none does."""

REMOVE_AFTER_S = 60.0
"""How long one unit has nothing to do before it goes."""


class UnitScaling:
    """Adds and removes one unit after the other, by the requests that a model has at a time."""

    def __init__(self, units: InferenceUnits, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._requests = 0
        #: since when there have been more requests than units again and again, and when last
        self._waiting_since: float | None = None
        self._waited_at = 0.0
        #: since when there have been fewer
        self._idle_since: float | None = None
        self.change(units)

    def change(self, units: InferenceUnits) -> None:
        """Take other bounds, and begin with the least units."""
        with self._lock:
            self.bounds = units
            self._least, self._most = units.minimum, units.maximum or units.minimum
            self._set(self._least)

    @property
    def units(self) -> int:
        """How many units there shall be, as of the last decision."""
        return self._units

    def begin(self) -> None:
        """Count a request that was sent."""
        with self._lock:
            self._note()
            self._requests += 1
            self._note()

    def end(self) -> None:
        """Count a request that has ended."""
        with self._lock:
            self._note()
            self._requests -= 1
            self._note()

    def wanted(self, in_service: int) -> int:
        """Return how many units there shall be now.

        Args:
            in_service: how many judge images. While one is being started, none is added.
        """
        with self._lock:
            now = self._clock()
            self._note()
            waiting_s = 0.0 if self._waiting_since is None else now - self._waiting_since
            idle_s = 0.0 if self._idle_since is None else now - self._idle_since
            if waiting_s >= ADD_AFTER_S and self._units <= in_service and self._units < self._most:
                self._set(self._units + 1)
            elif idle_s >= REMOVE_AFTER_S and self._units > self._least:
                self._set(self._units - 1)
            return self._units

    def _set(self, units: int) -> None:
        self._units = units
        self._waiting_since = self._idle_since = None
        self._note()

    def _note(self) -> None:
        """Take down what has been so since the last change, or is so from now on."""
        now = self._clock()
        if self._requests > self._units:
            self._waiting_since = now if self._waiting_since is None else self._waiting_since
            self._waited_at = now
        elif now - self._waited_at > BREAK_S:
            self._waiting_since = None
        if self._requests >= self._units:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
