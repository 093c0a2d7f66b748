"""Metrics that are counted as requests and detections happen.

The metrics of detections have their names of Amazon CloudWatch, in Prometheus's style:
`ProcessedImageCount` is `blemish_processed_image_count_total`.

Source: Amazon Lookout for Vision Developer Guide, "Monitoring Lookout for Vision with Amazon
CloudWatch".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from blemish.domain.entities import Model
from blemish.domain.errors import ThrottlingError, ValidationError
from blemish.monitoring.calls import error_name
from blemish.wire.calls import Call, Observer

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

MODEL = ("project_name", "model_version")
"""Labels of metrics by model: CloudWatch's dimensions ProjectName and ModelVersion."""

UNKNOWN = "Unknown"


def server_registry() -> CollectorRegistry:
    """Return a registry with the metrics of the process."""
    # they double the number of series
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class RequestMetrics:
    """Counts requests by operation and error of the API, which are few."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "blemish_requests",
            "Requests by what was asked and by the error that was answered, empty for none.",
            ("service", "operation", "error"),
            registry=registry,
        )
        self._durations = Histogram(
            "blemish_request_duration_seconds",
            "From a request's headers to its answer's, in seconds.",
            ("service", "operation"),
            buckets=BUCKETS_S,
            registry=registry,
        )

    def observer(self, service: str) -> Observer:
        """Return the observer that counts the requests to a service."""

        def count(call: Call) -> None:
            operation = call.operation or UNKNOWN
            self._requests.labels(service, operation, error_name(call) or "").inc()
            self._durations.labels(service, operation).observe(call.duration_s or 0.0)

        return count


class DetectionMetrics:
    """Counts detections by model; see `service.detection.DetectionCounter`.

    It is in no registry: `StateMetrics` collects it after removing deleted models.
    """

    def __init__(self) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"blemish_{name}", text, MODEL, registry=None)

        self._anomalies = counter("detected_anomaly_count", "Images that show an anomaly.")
        self._images = counter("processed_image_count", "Images that were judged.")
        self._invalid = counter("invalid_image_count", "Images that could not be judged.")
        self._successes = counter("successful_request_count", "Detections that were answered.")
        self._errors = counter("error_count", "Detections that failed, invalid images included.")
        self._throttled = counter("throttled_count", "Detections refused while too many waited.")
        self._times = Histogram(
            "blemish_time_seconds",
            "From an image to its verdict, the wait for an inference unit included, in seconds.",
            MODEL,
            buckets=BUCKETS_S,
            registry=None,
        )
        self._lock = threading.Lock()
        self._counted: set[tuple[str, str]] = set()

    def detected(self, model: Model, *, is_anomalous: bool, took_s: float) -> None:
        """Count an image with a result."""
        with self._lock:
            labels = self._labels(model)
            self._successes.labels(*labels).inc()
            self._images.labels(*labels).inc()
            self._anomalies.labels(*labels).inc(is_anomalous)
            self._times.labels(*labels).observe(took_s)

    def failed(self, model: Model, error: Exception) -> None:
        """Count a detection without a result."""
        with self._lock:
            labels = self._labels(model)
            if isinstance(error, ThrottlingError):
                self._throttled.labels(*labels).inc()
                return
            self._errors.labels(*labels).inc()
            if isinstance(error, ValidationError):
                self._invalid.labels(*labels).inc()

    def forget(self, exists: Callable[[str, int], bool]) -> None:
        """Remove the series of deleted models."""
        with self._lock:
            gone = {
                (project, version)
                for project, version in self._counted
                if not exists(project, int(version))
            }
            self._counted -= gone
            for labels in gone:
                for metric in (*self._counters, self._times):
                    metric.remove(*labels)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for metric in (*self._counters, self._times):
            yield from metric.collect()

    @property
    def _counters(self) -> tuple[Counter, ...]:
        return (
            self._anomalies,
            self._images,
            self._invalid,
            self._successes,
            self._errors,
            self._throttled,
        )

    def _labels(self, model: Model) -> tuple[str, str]:
        labels = (model.project, str(model.version))
        if labels not in self._counted:
            self._counted.add(labels)
            for metric in self._counters:
                metric.labels(*labels)  # creates the series with 0
            self._times.labels(*labels)
        return labels
