"""Readiness of the server: database, store, disk, and hosted models."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import anyio
import structlog
from anyio import CapacityLimiter, to_thread
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import ModelStatus
from blemish.service.objects import Objects
from blemish.storage.rows.all_rows import Rows

logger: FilteringBoundLogger = structlog.get_logger(__name__)

PATIENCE_S = 2.0
"""Timeout of a check; probes give up soon after."""

FRESH_S = 1.0
"""How long results are reused, so that frequent probes are cheap."""

WITHOUT_STORE = (
    "Requests that need it fail with 503. Loaded models go on; trainings, imports and jobs wait "
    "until it is back."
)
PROBE_BYTES = 64 * 1024

Look = Callable[[], str | None]
"""A check: returns the problem, or None."""


class Readiness:
    """Runs all checks in parallel; concurrent callers share the result."""

    def __init__(
        self,
        looks: Mapping[str, Look],
        *,
        harmless: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._looks = looks
        #: checks whose problems do not keep requests from being answered
        self.harmless = harmless
        self._clock = clock
        self._lock = anyio.Lock()
        self._threads = CapacityLimiter(len(looks))
        #: running checks; one that hangs is not started again and delays no other
        self._looking: set[str] = set()
        self._problems: dict[str, str | None] = {}
        self._checked_at: float | None = None

    async def problems(self) -> Mapping[str, str | None]:
        """Return the problem of each check, or None."""
        async with self._lock:
            now = self._clock()
            if self._checked_at is None or now - self._checked_at >= FRESH_S:
                problems: dict[str, str | None] = dict.fromkeys(self._looks)
                async with anyio.create_task_group() as group:
                    for name in self._looks:
                        group.start_soon(self._look, name, problems)
                self._tell(problems)
                self._problems, self._checked_at = problems, self._clock()
            return self._problems

    async def _look(self, name: str, problems: dict[str, str | None]) -> None:
        problems[name] = f"no answer within {PATIENCE_S:g} seconds"
        if name in self._looking:
            return
        self._looking.add(name)
        with anyio.move_on_after(PATIENCE_S):
            problems[name] = await to_thread.run_sync(
                self._looked, name, abandon_on_cancel=True, limiter=self._threads
            )

    def _looked(self, name: str) -> str | None:
        try:
            return self._looks[name]()
        except Exception as error:  # noqa: BLE001 - whatever it is, the server is not ready
            return f"{type(error).__name__}: {error}"
        finally:
            self._looking.discard(name)

    def _tell(self, problems: Mapping[str, str | None]) -> None:
        """Log checks that began to fail or to succeed."""
        for name, problem in problems.items():
            if problem != self._problems.get(name):
                (logger.warning if problem else logger.info)("readiness", of=name, problem=problem)


def database_look(
    reading: Callable[[], AbstractContextManager[Rows]],
    *,
    write_problem: Callable[[], str | None] = lambda: None,
) -> Look:
    """Return a check that rows can be read and written."""

    def look() -> str | None:
        with reading() as rows:
            rows.models.count_hosted()
        return write_problem()

    return look


def store_look(objects: Objects) -> Look:
    """Return a check that the store of the buckets answers anything."""

    def look() -> str | None:
        problem = objects.problem()
        return problem and f"{problem} {WITHOUT_STORE}"

    return look


def disk_look(folder: Path) -> Look:
    """Return a check that a file can be written and synced."""
    path = folder / "readiness-probe"

    def look() -> str | None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if os.write(file, bytes(PROBE_BYTES)) < PROBE_BYTES:
                return "the disk is full"
            os.fsync(file)
        finally:
            os.close(file)
            path.unlink()
        return None

    return look


def models_look(
    reading: Callable[[], AbstractContextManager[Rows]],
    *,
    loaded: Callable[[], Collection[int]] | None,
) -> Look:
    """Return a check that every model that is being updated is loaded, and that none is down.

    Args:
        reading: reads the rows.
        loaded: returns the ids of the loaded models; None if all are loaded on demand.
    """

    def look() -> str | None:
        with reading() as rows:
            updating = rows.models.with_status(ModelStatus.SYSTEM_UPDATING)
            failed = [
                model
                for model in rows.models.waiting_for_hosting()
                if model.status is ModelStatus.HOSTING_FAILED
            ]
        missing = []
        if loaded is not None:
            ready = loaded()
            missing = [
                f"{model.project}/{model.version}" for model in updating if model.id not in ready
            ]
        problems = [f"not loaded yet: {', '.join(missing)}"] if missing else []
        problems += [
            f"down: {model.project}/{model.version}, {model.hosting_failures} times; "
            f"{model.status_message}"
            for model in failed
        ]
        return "; ".join(problems) or None

    return look
