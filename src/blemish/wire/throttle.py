"""The rate limit of operations: a token bucket for each operation.

A bucket holds the calls of one second and fills at an even pace: a second's worth may come at once,
and no more than the pace for long. One number stores it: the time at which it is full again.

Source: ITU-T I.371, annex A, "Generic Cell Rate Algorithm".
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection

from blemish.domain.errors import ThrottlingError
from blemish.domain.limits import Quota
from blemish.wire.calls import Call

SECOND_NS = 1_000_000_000


class Throttle:
    """A gate that limits the calls of each operation per second."""

    def __init__(self, *, per_s: int, exempt: Collection[str], clock_ns: Callable[[], int]) -> None:
        """Put the parts together: the operations in `exempt` pass; the clock never turns back."""
        self._per_s = per_s
        self._exempt = exempt
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        #: operation -> time at which its bucket is full again
        self._full_at_ns: dict[str, int] = {}

    def __call__(self, call: Call) -> None:
        """Take a token for a call; refused calls take none.

        Raises:
            ThrottlingError: the bucket is empty.
        """
        operation = call.operation
        if operation is None or operation in self._exempt:
            return
        with self._lock:
            now_ns = self._clock_ns()
            full_at_ns = max(now_ns, self._full_at_ns.get(operation, now_ns))
            full_at_ns += SECOND_NS // self._per_s
            wait_ns = full_at_ns - now_ns - SECOND_NS
            if wait_ns <= 0:
                self._full_at_ns[operation] = full_at_ns
                return
        wait_s = wait_ns / SECOND_NS
        raise ThrottlingError(
            f"{operation} may be called {self._per_s} times a second. "
            f"Come back in {wait_s:.1f} seconds.",
            retry_after_s=math.ceil(wait_s),
            quota=Quota.REQUESTS,
        )
