"""The access log: one line for each request, without its content."""

from __future__ import annotations

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.monitoring.calls import error_name, is_read_only
from blemish.wire.calls import Call, Observer

logger: FilteringBoundLogger = structlog.get_logger("blemish.access")


def access_log(service: str) -> Observer:
    """Return the observer that logs the requests to a service.

    Successful requests that change nothing are logged at DEBUG: a production line may send thirty
    detections a second for years. Other requests are logged at INFO.
    """

    def log(call: Call) -> None:
        error = error_name(call)
        quiet = error is None and is_read_only(call.operation)
        (logger.debug if quiet else logger.info)(
            "request",
            service=service,
            operation=call.operation,
            status=call.status,
            error=error,
            duration_ms=round(1_000 * (call.duration_s or 0.0), 1),
            access_key_id=call.caller.principal.access_key_id if call.caller else None,
            source_ip=call.source_ip,
        )

    return log
