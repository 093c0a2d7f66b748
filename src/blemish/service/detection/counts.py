"""How many images were judged, and how many show an anomaly: by project, model and hour.

A detection adds to a count in memory, and waits for no disk. The counts are written together: by
the housekeeper every few seconds, at the end of a server, and before somebody looks at them. What
was counted since is all that a crash takes.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from blemish.domain.entities import DetectionCount, Model
from blemish.service.detection.detection import DetectionTally
from blemish.service.projects import require_project
from blemish.storage.database.database import Database

Place = tuple[str, int, datetime]
"""Project, version of the model, hour."""


@dataclass
class _Sum:
    images: int = 0
    anomalies: int = 0


class DetectionCounts:
    """Counts detections for good; see `service.detection.DetectionTally`."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        #: who changes `_new`; held for a moment only
        self._lock = threading.Lock()
        #: who writes: a count is either new or kept for whoever reads
        self._keeping = threading.Lock()
        self._new: defaultdict[Place, _Sum] = defaultdict(_Sum)

    def judged(self, model: Model, *, is_anomalous: bool, took_s: float) -> None:  # noqa: ARG002
        """Count an image with a verdict."""
        hour = self._now().replace(minute=0, second=0, microsecond=0)
        with self._lock:
            counted = self._new[model.project, model.version, hour]
            counted.images += 1
            counted.anomalies += is_anomalous

    def failed(self, model: Model, error: BaseException) -> None:
        """Count nothing: an image without a verdict was not processed."""

    def keep(self) -> None:
        """Write what is new; what cannot be written stays new.

        Raises:
            StorageError: it cannot be written.
        """
        with self._keeping:
            with self._lock:
                taken, self._new = self._new, defaultdict(_Sum)
            if not taken:
                return
            try:
                self._write(taken)
            except BaseException:
                self._put_back(taken)
                raise

    def since(self, project: str, moment: datetime) -> list[DetectionCount]:
        """Return the counts of a project by model and hour from a moment on, oldest first.

        Raises:
            ResourceNotFoundError: there is no such project.
        """
        self.keep()
        with self._database.reading() as rows:
            return rows.detection_counts.since(require_project(rows, project).id, moment)

    def _write(self, taken: dict[Place, _Sum]) -> None:
        with self._database.writing() as rows:
            for (project, version, hour), counted in taken.items():
                found = rows.projects.find(project)
                if found is None:  # deleted meanwhile, and its counts with it
                    continue
                count = DetectionCount(
                    model_version=version,
                    hour=hour,
                    images=counted.images,
                    anomalies=counted.anomalies,
                )
                rows.detection_counts.add(found.id, count)

    def _put_back(self, taken: dict[Place, _Sum]) -> None:
        with self._lock:
            for place, counted in taken.items():
                self._new[place].images += counted.images
                self._new[place].anomalies += counted.anomalies


class Tallies:
    """Several who count detections, as one."""

    def __init__(self, *tallies: DetectionTally) -> None:
        self._tallies = tallies

    def judged(self, model: Model, *, is_anomalous: bool, took_s: float) -> None:
        """Count an image with a verdict."""
        for tally in self._tallies:
            tally.judged(model, is_anomalous=is_anomalous, took_s=took_s)

    def failed(self, model: Model, error: BaseException) -> None:
        """Count a detection without a verdict."""
        for tally in self._tallies:
            tally.failed(model, error)
