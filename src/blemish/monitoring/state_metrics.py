"""Metrics that are read on request: models, their capacity, and queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import structlog
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import Model, ModelStatus
from blemish.domain.lifecycle import MODEL_WITH_UNITS
from blemish.monitoring.audit_log import AuditLog
from blemish.monitoring.metrics import MODEL, DetectionMetrics
from blemish.service.models.hosting import Capacity
from blemish.storage.errors import DatabaseUnavailableError
from blemish.storage.rows.all_rows import Rows

logger: FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The sources of the metrics."""

    reading: Callable[[], AbstractContextManager[Rows]]
    #: model -> its inference units
    capacities: Callable[[], Mapping[int, Capacity]]
    #: models that were loaded since the start, again or for the first time
    model_loads: Callable[[], int]
    #: trainings that run now
    running_trainings: Callable[[], int]
    #: service -> requests that wait for a thread
    waiting_requests: Mapping[str, Callable[[], int]]
    audit_log: AuditLog


class StateMetrics(Collector):
    """Reads the state for every scrape."""

    def __init__(self, sources: Sources, *, detections: DetectionMetrics) -> None:
        self._sources = sources
        self._detections = detections

    def describe(self) -> Iterator[Metric]:
        """Return nothing, so that registering reads nothing."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, after removing counts of deleted models."""
        try:
            by_status, hosted, down = self._looked_up()
        except DatabaseUnavailableError:
            pass  # the database logs when it is away, and when it is back
        except Exception:  # the edge: metrics that need no database are still reported
            logger.exception("the state of the models cannot be looked up")
        else:
            yield from self._of_models(by_status, hosted)
            yield _down(down)
        yield from self._detections.collect()
        yield _by(
            "blemish_requests_waiting",
            "Requests that wait for a thread.",
            "service",
            {service: count() for service, count in self._sources.waiting_requests.items()},
        )
        yield from _audit(self._sources.audit_log)

    def _looked_up(self) -> tuple[dict[ModelStatus, int], list[Model], list[Model]]:
        with self._sources.reading() as rows:
            self._detections.forget(
                lambda project, version: rows.models.find(project, version) is not None
            )
            hosted = [
                model
                for status in sorted(MODEL_WITH_UNITS)
                for model in rows.models.with_status(status)
            ]
            return rows.models.count_by_status(), hosted, rows.models.waiting_for_hosting()

    def _of_models(
        self, by_status: Mapping[ModelStatus, int], hosted: list[Model]
    ) -> Iterator[Metric]:
        yield _by(
            "blemish_models",
            "Models, by their status.",
            "status",
            {status: by_status.get(status, 0) for status in ModelStatus},
        )
        running = self._sources.running_trainings()
        waiting = max(0, by_status.get(ModelStatus.TRAINING, 0) - running)
        yield _by(
            "blemish_trainings",
            "Trainings that run, and that wait for their turn.",
            "state",
            {"running": running, "waiting": waiting},
        )
        capacities = self._sources.capacities()
        yield from _units(hosted, capacities)
        yield GaugeMetricFamily(
            "blemish_models_loaded", "Hosted models that are in memory.", len(capacities)
        )
        yield CounterMetricFamily(
            "blemish_model_loads",
            "Models that were loaded since the start, repeated loads included.",
            self._sources.model_loads(),
        )


def _down(models: list[Model]) -> Metric:
    metric = GaugeMetricFamily(
        "blemish_model_hosting_failures",
        "Failed starts or updates in a row of a model, which is tried again.",
        labels=MODEL,
    )
    for model in models:
        metric.add_metric((model.project, str(model.version)), model.hosting_failures)
    return metric


def _units(models: list[Model], capacities: Mapping[int, Capacity]) -> Iterator[Metric]:
    least = GaugeMetricFamily(
        "blemish_min_inference_units", "Units that StartModel asked for.", labels=MODEL
    )
    most = GaugeMetricFamily(
        "blemish_max_inference_units", "Units that StartModel allowed.", labels=MODEL
    )
    desired = GaugeMetricFamily(
        "blemish_desired_inference_units", "Units that the model is to have.", labels=MODEL
    )
    in_service = GaugeMetricFamily(
        "blemish_in_service_inference_units", "Units that judge images.", labels=MODEL
    )
    waiting = GaugeMetricFamily(
        "blemish_images_waiting", "Images that wait for a unit.", labels=MODEL
    )
    for model in models:
        if model.units is None:
            continue
        labels = (model.project, str(model.version))
        maximum = model.units.maximum or model.units.minimum
        stopping = model.status is ModelStatus.STOPPING_HOSTING
        capacity = capacities.get(model.id, Capacity(units=0, waiting=0))
        least.add_metric(labels, model.units.minimum)
        most.add_metric(labels, maximum)
        wanted = maximum if capacity.desired is None else capacity.desired
        desired.add_metric(labels, 0 if stopping else wanted)
        in_service.add_metric(labels, capacity.units)
        waiting.add_metric(labels, capacity.waiting)
    yield from (least, most, desired, in_service, waiting)


def _audit(log: AuditLog) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "blemish_audit_records_waiting", "Audit records that are not written yet.", log.waiting
    )
    yield CounterMetricFamily(
        "blemish_audit_records_lost", "Audit records that were lost since the start.", log.lost
    )


def _by(name: str, text: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    metric = GaugeMetricFamily(name, text, labels=(label,))
    for value, count in values.items():
        metric.add_metric((value,), count)
    return metric
