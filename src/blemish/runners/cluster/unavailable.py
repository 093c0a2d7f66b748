"""The error of a cluster that cannot be used for now."""

from __future__ import annotations

import errno


class ClusterUnavailableError(OSError):
    """The cluster does not answer, or has other versions; a later try may succeed.

    Its number makes it pass like the other shortages of a machine: see `is_passing`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(errno.EAGAIN, message)

    def __str__(self) -> str:
        return str(self.strerror)
