"""How often somebody may try to sign in: a few wrong secrets, then one a minute.

Both the address and the key are counted: neither many keys from one place, nor one key from many
places, can be tried at speed. What is right is let in only while it is not held back, so that a
guess cannot be told from a wait.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_ATTEMPTS = 5
"""Wrong secrets in a row that cost nothing."""

PAUSE_S = 60.0
"""Between two attempts from then on; whoever waits so long after the last has all free again."""

MAX_REMEMBERED = 4_096
"""Addresses and keys that are remembered; the longest unused are forgotten."""


@dataclass
class _Tries:
    failures: int
    last_s: float


class Attempts:
    """The failed attempts of late, in memory."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, *who: str) -> float:
        """Return how long the next attempt of any of these has to wait, 0 if not at all."""
        now = self._monotonic()
        waits = [0.0]
        for each in who:
            tries = self._tries.get(each)
            if tries is not None and tries.failures >= FREE_ATTEMPTS:
                waits.append(tries.last_s + PAUSE_S - now)
        return max(waits)

    def failed(self, *who: str) -> None:
        """Note an attempt with a wrong secret."""
        now = self._monotonic()
        for each in who:
            tries = self._tries.pop(each, None)
            rested = tries is None or now - tries.last_s > 2 * PAUSE_S
            failures = 1 if tries is None or rested else tries.failures + 1
            self._tries[each] = _Tries(failures=failures, last_s=now)
        while len(self._tries) > MAX_REMEMBERED:
            self._tries.popitem(last=False)

    def succeeded(self, *who: str) -> None:
        """Forget what failed before."""
        for each in who:
            self._tries.pop(each, None)
