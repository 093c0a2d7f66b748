from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from blemish.api.service_model import service_model
from blemish.domain.access.principals import Principal
from blemish.domain.arns import ArnScope
from blemish.domain.errors import ConflictError, ResourceType
from blemish.monitoring.access_log import access_log
from blemish.monitoring.audit_records import AuditRecords
from blemish.monitoring.line_metrics import LineMetrics
from blemish.monitoring.metrics import DetectionMetrics, RequestMetrics
from blemish.wire.calls import Call
from blemish.wire.signature import Caller
from tests.unit.monitoring.made import WHEN, call

GUIDE = (Path(__file__).parents[3] / "docs" / "guide" / "monitoring.md").read_text()
EXAMPLES = [
    json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
]


def refused() -> Call:
    """Return the call that the examples in the guide tell of."""
    arns = ArnScope(region="us-east-1", account="000000000000")
    line_4 = Principal(access_key_id="BLEMF5QFPKFIGD5RSU4R", name="line-4", arn=arns.user("line-4"))
    return call(
        request_id="59337159-004e-4220-9d66-3a294e2e6b29",
        source_ip="127.0.0.1",
        operation="CreateProject",
        caller=Caller(principal=line_4, region="us-east-1", service="lookoutvision"),
        members={"ProjectName": "plates"},
        status=409,
        error=ConflictError(
            "Project plates exists already.",
            resource_type=ResourceType.PROJECT,
            resource_id=arns.project("plates"),
        ),
        duration_s=0.0033,
    )


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    assert document.keys() >= set(names)
    return {name: value for name, value in document.items() if name not in names}


def test_the_line_of_the_log_in_the_guide_is_one_that_is_written() -> None:
    [example, *_] = EXAMPLES

    with capture_logs() as logged:
        access_log("lookoutvision")(refused())

    [line] = logged
    assert without(example, "time", "level", "logger", "request_id") == without(
        dict(line), "log_level"
    )


def test_the_audit_record_in_the_guide_is_one_that_is_written() -> None:
    [_, example, _] = EXAMPLES
    records = AuditRecords(
        arns=ArnScope(region="us-east-1", account="000000000000"), new_id=str, now=lambda: WHEN
    )

    record = records.of_call(refused(), source="lookoutvision.amazonaws.com", model=service_model())

    changing = ("eventID", "eventTime", "userAgent")
    assert without(example, *changing) == without(dict(record), *changing)
    assert list(example) == list(record)


def test_the_metrics_in_the_guide_are_those_that_can_be_read(
    registry: CollectorRegistry, state: Callable[..., DetectionMetrics]
) -> None:
    state({})
    RequestMetrics(registry)
    registry.register(LineMetrics(lambda: [("line-1", "camera", "dark", True)]))
    rows = re.findall(r"^\| `(blemish_\w+)` \| (counter|gauge|histogram) \|", GUIDE, re.MULTILINE)

    kinds = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name: metric.type
        for metric in registry.collect()
    }

    assert dict(rows) == kinds
    assert len(rows) == len(kinds)
