"""How often somebody may try to sign in: a few wrong secrets, then one a minute.

Both the address and the key are counted, so neither many keys from one address nor one key from
many addresses can be tried at speed. A correct secret has to wait as well: an attacker cannot
tell a good guess from a bad one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_ATTEMPTS = 5
"""Wrong secrets in a row that cost nothing."""

PAUSE_S = 60.0
"""Between two attempts from then on. After twice as long without one, all are free again."""

MAX_REMEMBERED = 4_096
"""Addresses and keys that are remembered; the longest unused are forgotten."""


@dataclass
class _Tries:
    failures: int
    last_s: float


class Attempts:
    """The recent failed attempts, in memory."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, *subjects: str) -> float:
        """Return how long the next attempt has to wait, 0 if not at all.

        Args:
            subjects: such as the address and the key of the attempt.
        """
        now = self._monotonic()
        waits = [0.0]
        for subject in subjects:
            tries = self._tries.get(subject)
            if tries is not None and tries.failures >= FREE_ATTEMPTS:
                waits.append(tries.last_s + PAUSE_S - now)
        return max(waits)

    def failed(self, *subjects: str) -> None:
        """Note an attempt with a wrong secret."""
        now = self._monotonic()
        for subject in subjects:
            tries = self._tries.pop(subject, None)
            rested = tries is None or now - tries.last_s > 2 * PAUSE_S
            failures = 1 if tries is None or rested else tries.failures + 1
            self._tries[subject] = _Tries(failures=failures, last_s=now)
        while len(self._tries) > MAX_REMEMBERED:
            self._tries.popitem(last=False)

    def succeeded(self, *subjects: str) -> None:
        """Forget the failed attempts."""
        for subject in subjects:
            self._tries.pop(subject, None)
