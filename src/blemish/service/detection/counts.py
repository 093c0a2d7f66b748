"""The number of images, and of anomalous ones, by project, model and hour.

A detection adds to a count in memory, and waits for no disk. All counts are written together: by
the housekeeper every few seconds, at the end of a server, and before they are read. A crash loses
only what was counted since.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from blemish.domain.entities import DetectionCount, Model
from blemish.service.detection.detection import DetectionCounter
from blemish.service.projects import require_project
from blemish.storage.database.database import Database

CountKey = tuple[str, int, datetime]
"""Project, version of the model, hour."""


@dataclass
class _Sum:
    images: int = 0
    anomalies: int = 0


class DetectionCounts:
    """Counts detections in the database; see `service.detection.DetectionCounter`."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        #: guards `_new`; held for a moment only
        self._lock = threading.Lock()
        #: held while counts are written, so that a reader sees each of them once
        self._writing = threading.Lock()
        self._new: defaultdict[CountKey, _Sum] = defaultdict(_Sum)

    def detected(self, model: Model, *, is_anomalous: bool, took_s: float) -> None:  # noqa: ARG002
        """Count an image with a result."""
        hour = self._now().replace(minute=0, second=0, microsecond=0)
        with self._lock:
            counted = self._new[model.project, model.version, hour]
            counted.images += 1
            counted.anomalies += is_anomalous

    def failed(self, model: Model, error: Exception) -> None:
        """Count nothing: an image without a result was not processed."""

    def write(self) -> None:
        """Write what is new; what cannot be written stays new.

        Raises:
            StorageError: it cannot be written.
        """
        with self._writing:
            with self._lock:
                taken, self._new = self._new, defaultdict(_Sum)
            if not taken:
                return
            try:
                self._write_rows(taken)
            except BaseException:
                self._put_back(taken)
                raise

    def since(self, project: str, moment: datetime) -> list[DetectionCount]:
        """Return the counts of a project by model and hour from a moment on, oldest first.

        Raises:
            ResourceNotFoundError: there is no such project.
        """
        self.write()
        with self._database.reading() as rows:
            return rows.detection_counts.since(require_project(rows, project).id, moment)

    def _write_rows(self, taken: dict[CountKey, _Sum]) -> None:
        with self._database.writing() as rows:
            for (project, version, hour), counted in taken.items():
                row = rows.projects.find(project)
                if row is None:  # deleted meanwhile, and its counts with it
                    continue
                count = DetectionCount(
                    model_version=version,
                    hour=hour,
                    images=counted.images,
                    anomalies=counted.anomalies,
                )
                rows.detection_counts.add(row.id, count)

    def _put_back(self, taken: dict[CountKey, _Sum]) -> None:
        with self._lock:
            for key, counted in taken.items():
                self._new[key].images += counted.images
                self._new[key].anomalies += counted.anomalies


class DetectionCounters:
    """Several counters of detections as one."""

    def __init__(self, *counters: DetectionCounter) -> None:
        self._counters = counters

    def detected(self, model: Model, *, is_anomalous: bool, took_s: float) -> None:
        """Count an image with a result."""
        for counter in self._counters:
            counter.detected(model, is_anomalous=is_anomalous, took_s=took_s)

    def failed(self, model: Model, error: Exception) -> None:
        """Count a detection without a verdict."""
        for counter in self._counters:
            counter.failed(model, error)
