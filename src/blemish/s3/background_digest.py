"""Digests that are computed beside the receiving and writing of their data."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

SMALL_BYTES = 64 * 1024
"""Data up to this size are digested at once: handing them to a thread takes longer."""

_THREADS = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="digest")


class HexDigest(Protocol):
    """One of hashlib's digests."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class BackgroundDigest:
    """A digest that another thread computes, one block behind its caller.

    hashlib releases the interpreter lock, so the caller receives the next block and writes the last
    one while the digest is computed.
    """

    def __init__(self, digest: HexDigest) -> None:
        self._digest = digest
        self._update: Future[None] | None = None

    def update(self, data: bytes, /) -> None:
        """Add data, which must not change."""
        self._wait()
        if len(data) > SMALL_BYTES:
            self._update = _THREADS.submit(self._digest.update, data)
        else:
            self._digest.update(data)

    def hexdigest(self) -> str:
        """Return the digest of all data in hexadecimal digits."""
        self._wait()
        return self._digest.hexdigest()

    def _wait(self) -> None:
        if self._update is not None:
            self._update.result()
            self._update = None
