from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from blemish.domain.errors import ConflictError, ResourceType, ThrottlingError
from blemish.monitoring.access_log import access_log
from blemish.s3.protocol.errors import NoSuchKeyError
from blemish.wire.errors import UnknownOperationError
from blemish.wire.request_body import ClientGoneError
from tests.unit.monitoring.made import CALLER, call

CONFLICT = ConflictError("It exists.", resource_type=ResourceType.PROJECT, resource_id="a")


def line_of(**fields: Any) -> Any:
    with capture_logs() as logged:
        access_log("lookoutvision")(call(**fields))
    [line] = logged
    return line


def test_a_request_is_one_line_without_what_is_in_it() -> None:
    line = line_of(
        operation="CreateProject",
        caller=CALLER,
        members={"ProjectName": "secret-product"},
        status=200,
        duration_s=0.01234,
    )

    assert line == {
        "log_level": "info",
        "event": "request",
        "service": "lookoutvision",
        "operation": "CreateProject",
        "status": 200,
        "error": None,
        "duration_ms": 12.3,
        "access_key_id": "BLEMKEY",
        "source_ip": "192.0.2.7",
    }


@pytest.mark.parametrize(
    ("operation", "status", "error", "level", "name"),
    [
        ("DetectAnomalies", 200, None, "debug", None),
        ("ListProjects", 200, None, "debug", None),
        ("GetObject", 206, None, "debug", None),
        ("PutObject", 200, None, "info", None),
        (
            "DetectAnomalies",
            429,
            ThrottlingError("Later.", retry_after_s=1),
            "info",
            "ThrottlingException",
        ),
        ("CreateProject", 409, CONFLICT, "info", "ConflictException"),
        ("GetObject", 404, NoSuchKeyError("There is none."), "info", "NoSuchKey"),
        (None, 404, UnknownOperationError("No."), "info", "UnknownOperationException"),
        ("DetectAnomalies", None, ClientGoneError(), "info", "ClientGone"),
        ("DetectAnomalies", None, None, "info", "ClientGone"),
    ],
)
def test_only_what_was_read_as_it_should_is_left_to_debug(
    operation: str | None, status: int | None, error: Exception | None, level: str, name: str | None
) -> None:
    line = line_of(operation=operation, status=status, error=error)

    assert (line["log_level"], line["error"]) == (level, name)
