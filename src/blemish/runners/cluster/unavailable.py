"""The error of a cluster that cannot be used for now, and how errors of Ray are told."""

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


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
