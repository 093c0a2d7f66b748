from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from blemish.domain.entities import InferenceUnits, ModelStatus
from blemish.domain.errors import ConflictError, ResourceType, ThrottlingError, ValidationError
from blemish.domain.limits import Quota
from blemish.monitoring.metrics import DetectionMetrics, RequestMetrics, server_registry
from blemish.service.models.hosting import Capacity
from tests.unit.house import House
from tests.unit.monitoring.made import call

S = ModelStatus
MODEL = {"project_name": "circuits", "model_version": "1"}
CONFLICT = ConflictError("It is.", resource_type=ResourceType.MODEL, resource_id="a")
BUSY = ThrottlingError("Later.", retry_after_s=1, quota=Quota.DETECTIONS)


def test_requests_are_counted_by_operation_and_error(registry: CollectorRegistry) -> None:
    observe = RequestMetrics(registry).observer("lookoutvision")

    observe(call(operation="CreateProject", status=200, duration_s=0.02))
    observe(call(operation="CreateProject", status=409, error=CONFLICT, duration_s=0.02))
    observe(call(status=None))

    def count(operation: str, error: str) -> float | None:
        labels = {"service": "lookoutvision", "operation": operation, "error": error}
        return registry.get_sample_value("blemish_requests_total", labels)

    assert count("CreateProject", "") == 1
    assert count("CreateProject", "ConflictException") == 1
    assert count("Unknown", "ClientGone") == 1
    assert (
        registry.get_sample_value(
            "blemish_request_duration_seconds_bucket",
            {"service": "lookoutvision", "operation": "CreateProject", "le": "0.025"},
        )
        == 2
    )


def test_detections_are_counted_by_model_as_cloudwatch_does(
    trainable: House, registry: CollectorRegistry, state: Callable[..., DetectionMetrics]
) -> None:
    model = trainable.trained(S.HOSTED)
    metrics = state({})

    metrics.detected(model, is_anomalous=True, took_s=0.04)
    metrics.detected(model, is_anomalous=False, took_s=0.2)
    metrics.failed(model, ValidationError("No image."))
    metrics.failed(model, CONFLICT)
    metrics.failed(model, BUSY)

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"blemish_{name}", MODEL)

    assert value("detected_anomaly_count_total") == 1
    assert value("processed_image_count_total") == 2
    assert value("successful_request_count_total") == 2
    assert value("invalid_image_count_total") == 1
    assert value("error_count_total") == 2
    assert value("throttled_count_total") == 1
    assert value("time_seconds_sum") == pytest.approx(0.24)


def test_units_and_models_are_looked_up(
    trainable: House, registry: CollectorRegistry, state: Callable[..., DetectionMetrics]
) -> None:
    model = trainable.trained(S.TRAINED)
    with trainable.database.writing() as rows:
        rows.models.move(
            model.id,
            sources=[S.TRAINED],
            target=S.STARTING_HOSTING,
            status_message="It starts.",
            units=InferenceUnits(minimum=2, maximum=4),
        )
    trainable.model()
    state({model.id: Capacity(units=4, waiting=5)})

    def unit(name: str) -> float | None:
        return registry.get_sample_value(f"blemish_{name}", MODEL)

    assert unit("min_inference_units") == 2
    assert unit("max_inference_units") == 4
    assert unit("desired_inference_units") == 4
    assert unit("in_service_inference_units") == 4
    assert unit("images_waiting") == 5
    statuses = {
        status: registry.get_sample_value("blemish_models", {"status": status}) for status in S
    }
    assert statuses == dict.fromkeys(S, 0) | {S.STARTING_HOSTING: 1, S.TRAINING: 1}
    assert registry.get_sample_value("blemish_trainings", {"state": "running"}) == 1
    assert registry.get_sample_value("blemish_trainings", {"state": "waiting"}) == 0
    assert registry.get_sample_value("blemish_requests_waiting", {"service": "lookoutvision"}) == 3
    assert registry.get_sample_value("blemish_audit_records_lost_total") == 0


def test_a_model_that_is_not_loaded_has_no_unit_in_service(
    trainable: House, registry: CollectorRegistry, state: Callable[..., DetectionMetrics]
) -> None:
    trainable.trained(S.HOSTED)
    state({})

    assert registry.get_sample_value("blemish_in_service_inference_units", MODEL) == 0
    assert registry.get_sample_value("blemish_desired_inference_units", MODEL) == 1


def test_the_series_of_a_deleted_model_go(
    trainable: House, registry: CollectorRegistry, state: Callable[..., DetectionMetrics]
) -> None:
    gone, stays = trainable.trained(S.HOSTED), trainable.trained(S.HOSTED)
    detections = state({})
    for model in (gone, stays):
        detections.detected(model, is_anomalous=False, took_s=0.1)
    with trainable.database.writing() as rows:
        rows.models.delete(gone.id)

    text = generate_latest(registry).decode()

    versions = {line for line in text.splitlines() if "processed_image_count_total{" in line}
    assert versions == {
        'blemish_processed_image_count_total{model_version="2",project_name="circuits"} 1.0'
    }
    assert 'model_version="1"' not in text


def test_without_a_database_the_rest_is_told(
    trainable: House, registry: CollectorRegistry, state: Callable[..., DetectionMetrics]
) -> None:
    detections = state({})
    detections.detected(trainable.trained(S.HOSTED), is_anomalous=True, took_s=0.1)
    with trainable.database.writing() as rows:
        rows.models._connection.exec_driver_sql("DROP TABLE models")

    with capture_logs() as logged:
        text = generate_latest(registry).decode()

    assert "blemish_audit_records_waiting 0.0" in text
    assert "blemish_detected_anomaly_count_total{" in text
    assert "blemish_models{" not in text
    assert [line["event"] for line in logged] == ["the state of the models cannot be looked up"]


def test_the_process_is_measured_too() -> None:
    text = generate_latest(server_registry()).decode()

    assert "process_resident_memory_bytes" in text
    assert "process_open_fds" in text
