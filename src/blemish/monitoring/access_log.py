"""The access log: one line a request, without what is in it."""

from __future__ import annotations

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.monitoring.calls import error_name, is_read_only
from blemish.wire.calls import Call, Observer

logger: FilteringBoundLogger = structlog.get_logger("blemish.access")


def access_log(service: str) -> Observer:
    """Return the observer that logs the requests to a service.

    What was only read, as it should be, is logged at DEBUG: a line of machines may detect thirty
    times a second for years. Every other request is logged at INFO.
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
