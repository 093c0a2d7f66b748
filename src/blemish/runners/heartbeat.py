"""Says again and again that this server is alive."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.errors import DatabaseUnavailableError, StorageError

logger: FilteringBoundLogger = structlog.get_logger(__name__)

BEAT_S = 2.0
"""Interval of beats: a server may miss some within a lease."""


class Heartbeat:
    """Calls a function every few seconds, in its own thread."""

    def __init__(self, beat: Callable[[], None], *, every_s: float = BEAT_S) -> None:
        self._beat = beat
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the running call."""
        self._stopping.set()
        if self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        is_failing = False
        while not self._stopping.wait(self._every_s):
            try:
                self._beat()
                is_failing = False
            except DatabaseUnavailableError:
                pass  # the database logs when it is away, and when it is back
            except StorageError as error:
                if not is_failing:
                    logger.warning("the server cannot say that it is alive", reason=str(error))
                is_failing = True
            except Exception:
                logger.exception("a heartbeat failed", again_in_s=self._every_s)
