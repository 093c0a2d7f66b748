"""A registry, and the state of the services in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from blemish.monitoring.audit_files import AuditFiles
from blemish.monitoring.audit_log import AuditLog
from blemish.monitoring.metrics import DetectionMetrics
from blemish.monitoring.state_metrics import Sources, StateMetrics
from blemish.service.models.hosting import Capacity
from tests.unit.house import House


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def state(house: House, registry: CollectorRegistry) -> Callable[..., DetectionMetrics]:
    """Register the state of the house; return what counts its detections."""

    def register(capacities: dict[int, Capacity]) -> DetectionMetrics:
        detections = DetectionMetrics()
        files = AuditFiles(
            house.directory.audit, now=house.clock, max_age=timedelta(days=1), max_bytes=10**6
        )
        sources = Sources(
            reading=house.database.reading,
            capacities=lambda: capacities,
            model_loads=lambda: 7,
            running_trainings=lambda: 1,
            waiting_requests={"lookoutvision": lambda: 3},
            audit_log=AuditLog(files, gap=lambda missing: {"missing": missing}),
        )
        registry.register(StateMetrics(sources, detections=detections))
        return detections

    return register
