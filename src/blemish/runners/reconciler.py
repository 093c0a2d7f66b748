"""Runs the work of rows in progress, after a start, a crash or a request.

The status row is the truth. A worker owns a row by attempt and lease. This loop claims free rows,
hands them to workers, and renews their leases. Where servers share a database, the loop of each
looks for rows whose lease has ended.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
from structlog.contextvars import bound_contextvars
from structlog.typing import FilteringBoundLogger

from blemish.domain.attempts import pause_after
from blemish.domain.detection_jobs import DetectionJob
from blemish.domain.entities import Dataset, Model, ModelStatus
from blemish.domain.lifecycle import MODEL_LOADING
from blemish.domain.packaging import PackagingJob
from blemish.storage.database.database import Database
from blemish.storage.errors import DatabaseError, DatabaseUnavailableError, is_passing
from blemish.storage.rows.all_rows import Rows
from blemish.storage.rows.datasets import Datasets
from blemish.storage.rows.detection_jobs import DetectionJobs
from blemish.storage.rows.models import Models
from blemish.storage.rows.packaging_jobs import PackagingJobs

logger: FilteringBoundLogger = structlog.get_logger(__name__)

POLL_S = 1.0
"""Interval of reading rows if nothing wakes the loop, and of renewing leases."""

SHORT_WORKERS = 4
"""Threads for imports, as many for starting models, and as many for stopping and deleting them.

A start may wait for room that only a stop makes.
"""

MOST_IMPORTS = 2 * SHORT_WORKERS
"""Imports that are claimed at once; other servers may take the rest."""

Row = TypeVar("Row", Dataset, Model, DetectionJob, PackagingJob)
Row_contra = TypeVar("Row_contra", Dataset, Model, DetectionJob, PackagingJob, contravariant=True)


class _ChangedError(Exception):
    """A row has changed since it was read."""


class Work(Protocol[Row_contra]):
    """Work for one kind of rows in progress."""

    def carry_out(self, row: Row_contra, /, *, attempt: int) -> None:
        """Do the work of the row's status."""

    def give_up(self, row: Row_contra, /, *, attempt: int, reason: str) -> None:
        """Move the row to the failure of its status."""


class Reconciler:
    """Claims rows in progress in a thread, and runs their work in others."""

    def __init__(
        self,
        database: Database,
        *,
        datasets: Work[Dataset],
        trainings: Work[Model],
        hosting: Work[Model],
        detection_jobs: Work[DetectionJob],
        packaging_jobs: Work[PackagingJob],
        trainings_at_once: int,
        owner: str,
        clock: Callable[[Rows], datetime],
        lease: timedelta,
        is_shared: bool = False,
    ) -> None:
        self._database = database
        self._datasets = datasets
        self._trainings = trainings
        self._hosting = hosting
        self._detection_jobs = detection_jobs
        self._packaging_jobs = packaging_jobs
        self._trainings_at_once = trainings_at_once
        self._owner = owner
        self._clock = clock
        self._lease = lease
        #: whether other servers may work on the rows of the database
        self._is_shared = is_shared
        #: so that servers that look at the same rows do not all try the same one
        self._draw = random.Random(owner)  # noqa: S311 - no secret
        #: rows of each kind that were held when the loop looked, by any server
        self._leased: dict[str, set[int]] = {}
        #: (kind, id) of rows with a worker -> attempt
        self._busy: dict[tuple[str, int], int] = {}
        #: (kind, id) of rows -> attempts in a row that this machine was out of something
        self._shortages: dict[tuple[str, int], int] = {}
        #: (kind, id) of rows whose interruption is not written yet -> attempt
        self._unwritten: dict[tuple[str, int], int] = {}
        #: models that were taken to be loaded; some may have ended
        self._loading: set[int] = set()
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self._imports = ThreadPoolExecutor(SHORT_WORKERS, thread_name_prefix="import")
        self._starts = ThreadPoolExecutor(SHORT_WORKERS, thread_name_prefix="start-model")
        self._stops = ThreadPoolExecutor(SHORT_WORKERS, thread_name_prefix="stop-model")
        self._long = ThreadPoolExecutor(trainings_at_once, thread_name_prefix="training")
        self._single = ThreadPoolExecutor(1, thread_name_prefix="detection-job")
        self._packager = ThreadPoolExecutor(1, thread_name_prefix="packaging-job")

    def start(self) -> None:
        """Start. No other process may use the data directory.

        What a former process worked on is free then, unless others share the database.
        """
        if not self._is_shared:
            with self._database.writing() as rows:
                rows.work.interrupt_all(self._clock(rows))
        self._thread.start()

    def wake(self) -> None:
        """Read the rows now."""
        self._awake.set()

    def stop(self) -> None:
        """Accept no more work and wait for the workers; end long work before."""
        self._stopping.set()
        self._awake.set()
        if self._thread.ident:
            self._thread.join()
        self._imports.shutdown()
        self._starts.shutdown()
        self._stops.shutdown()
        self._long.shutdown()
        self._single.shutdown()
        self._packager.shutdown()
        try:
            with self._database.writing() as rows:
                rows.work.free_all(owner=self._owner)
        except DatabaseError:
            logger.exception("rows could not be freed; their attempts count as interrupted")

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                self._look()
            except DatabaseUnavailableError:
                pass  # the database logs when it is away, and when it is back
            except Exception:
                logger.exception("the rows could not be looked at", again_in_s=POLL_S)
            self._awake.wait(POLL_S)

    def _look(self) -> None:
        with suppress(DatabaseError):  # other work may go on, such as deletions on a full disk
            self._write_interruptions()
        with self._database.reading() as rows:
            now = self._clock(rows)
            self._leased = rows.work.leased(now) if self._is_shared else {}
            servers = rows.servers.count(now - self._lease) if self._is_shared else 1
            datasets = self._due("dataset", rows.datasets.unsettled(), now, servers)
            models = self._due("model", rows.models.unsettled(), now, servers)
            jobs = self._due("detection job", rows.detection_jobs.unsettled(), now, servers)
            packaging_jobs = self._due(
                "packaging job", rows.packaging_jobs.unsettled(), now, servers
            )
        self._renew()
        for dataset in datasets:
            if self._count("dataset") < MOST_IMPORTS:
                self._take("dataset", dataset, self._datasets, self._imports)
        self._take_models(models)
        for job in jobs:
            if not self._count("detection job"):
                self._take("detection job", job, self._detection_jobs, self._single)
        for packaging_job in packaging_jobs:
            if not self._count("packaging job"):
                self._take("packaging job", packaging_job, self._packaging_jobs, self._packager)

    def _due(self, kind: str, rows: Sequence[Row], now: datetime, servers: int) -> list[Row]:
        """Return the rows whose next attempt may begin, oldest first.

        Of several servers, each begins with another one of as many rows as there are servers.
        """
        due = _due(rows, now)
        if servers < 2:
            return due
        leased = self._leased.get(kind, set())
        free = [row for row in due if row.id not in leased]
        held = [row for row in due if row.id in leased]
        self._draw.shuffle(first := free[:servers])
        return first + free[servers:] + held

    def _take_models(self, models: Sequence[Model]) -> None:
        for model in models:
            if model.status is ModelStatus.TRAINING:
                if self._count("training") < self._trainings_at_once:
                    self._take("training", model, self._trainings, self._long)
            elif model.status not in MODEL_LOADING:
                self._take("model", model, self._hosting, self._stops)
        self._take_loads([model for model in models if model.status in MODEL_LOADING])

    def _take_loads(self, models: Sequence[Model]) -> None:
        """Load models. One during whose load the server ended is loaded alone.

        So a second end shows which model it was, and the others are not blamed.
        """
        suspects = {model.id for model in models if model.interruptions}
        for model in sorted(models, key=lambda model: bool(model.interruptions)):
            with self._lock:
                loading = self._loading & {row for kind, row in self._busy if kind == "model"}
            if loading & suspects or len(loading) >= SHORT_WORKERS:
                return
            if model.id not in suspects or not loading:
                self._take("model", model, self._hosting, self._starts)
                self._loading = loading | {model.id}

    def _take(self, kind: str, row: Row, work: Work[Row], pool: ThreadPoolExecutor) -> None:
        key = (kind, row.id)
        with self._lock:
            if key in self._busy or self._stopping.is_set():
                return
        if row.id in self._leased.get(kind, ()):
            return
        try:
            attempt = self._claim(kind, row)
        except _ChangedError:
            return  # it is read again
        if attempt is None:
            return
        with self._lock:
            self._busy[key] = attempt
        future = pool.submit(self._carry_out, key, row, work, attempt)
        future.add_done_callback(partial(_log_failure, about=_about(row) | {"attempt": attempt}))

    def _claim(self, kind: str, row: Row) -> int | None:
        """Claim a row; return the number of the attempt, None if another worker has the row.

        Raises:
            _ChangedError: the row has changed since it was read.
        """
        with self._database.renewing() as rows:
            table, now = _table(rows, kind), self._clock(rows)
            former = rows.work.holder(kind, row.id) if self._is_shared else None
            attempt = table.claim(row.id, owner=self._owner, now=now, lease_until=now + self._lease)
            # read after the claim, which lets nobody change the row until this is committed
            if attempt is not None and row not in [
                replace(now_row, attempt=row.attempt, interruptions=row.interruptions)
                for now_row in table.unsettled()
            ]:
                raise _ChangedError
        if attempt is not None and former not in {None, self._owner}:
            logger.warning("work of a lost server is taken over", server=former, **_about(row))
        return attempt

    def _carry_out(self, key: tuple[str, int], row: Row, work: Work[Row], attempt: int) -> None:
        with bound_contextvars(**_about(row), attempt=attempt):
            logger.info("work begins")
            try:
                work.carry_out(row, attempt=attempt)
                self._shortages.pop(key, None)
                logger.info("work ends")
            except Exception as error:
                if not is_passing(error):
                    self._shortages.pop(key, None)
                    logger.exception("work failed")
                    reason = "an internal error; the log says more."
                    work.give_up(row, attempt=attempt, reason=reason)
                    return
                logger.warning("work was interrupted", reason=str(error))
                with self._lock:
                    self._shortages[key] = self._shortages.get(key, 0) + 1
                    self._unwritten[key] = attempt
                self._write_interruptions()
            finally:
                with self._lock:
                    del self._busy[key]
                self.wake()

    def _write_interruptions(self) -> None:
        """Leave rows to later attempts, because the machine was out of something.

        If the database is what it is out of, the loop writes it later. Otherwise the lease would
        end, which looks as if the server had ended amid the work.
        """
        with self._lock:
            unwritten = list(self._unwritten.items())
        for key, attempt in unwritten:
            kind, row_id = key
            with self._database.writing() as rows:
                not_before = self._clock(rows) + pause_after(self._shortages.get(key, 0))
                rows.work.interrupt(
                    kind, row_id, attempt=attempt, counts=False, not_before=not_before
                )
            with self._lock:
                if self._unwritten.get(key) == attempt:
                    del self._unwritten[key]

    def running_trainings(self) -> int:
        """Return the number of trainings with a worker."""
        return self._count("training")

    def _count(self, kind: str) -> int:
        with self._lock:
            return sum(busy_kind == kind for busy_kind, _ in self._busy)

    def _renew(self) -> None:
        """Renew the leases of all workers except trainings, which renew theirs with reports."""
        with self._lock:
            busy = [(kind, row, attempt) for (kind, row), attempt in self._busy.items()]
        ours = [work for work in busy if work[0] != "training"]
        if not ours:
            return
        with self._database.renewing() as rows:
            until = self._clock(rows) + self._lease
            for kind, row, attempt in ours:
                _table(rows, kind).renew(row, attempt=attempt, lease_until=until)


def _due(rows: Sequence[Row], now: datetime) -> list[Row]:
    """Return the rows whose next attempt may begin."""
    return [row for row in rows if row.not_before is None or row.not_before <= now]


def _log_failure(future: Future[None], *, about: Mapping[str, Any]) -> None:
    """Log an error of the failure handling; the row is claimed again when its lease ends."""
    if error := future.exception():
        logger.error("a row could not be turned to its failure", exc_info=error, **about)


def _about(row: Dataset | Model | DetectionJob | PackagingJob) -> dict[str, Any]:
    """Return the fields of log lines about a row."""
    match row:
        case Dataset():
            return {"project": row.project, "dataset": row.type, "status": row.status}
        case Model():
            return {"project": row.project, "version": row.version, "status": row.status}
        case DetectionJob():
            return {"project": row.project, "job": row.name, "kind": row.kind, "status": row.status}
        case PackagingJob():
            return {"project": row.project, "packaging_job": row.name, "status": row.status}


def _table(rows: Rows, kind: str) -> Datasets | Models | DetectionJobs | PackagingJobs:
    match kind:
        case "dataset":
            return rows.datasets
        case "detection job":
            return rows.detection_jobs
        case "packaging job":
            return rows.packaging_jobs
        case _:
            return rows.models
