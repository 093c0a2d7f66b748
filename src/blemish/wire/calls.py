"""A call: one request, as gates and observers see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.access.principals import Principal
from blemish.wire.signature import Caller

logger: FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Call:
    """A request in progress; members that are not known yet are None."""

    request_id: str
    received_at: datetime
    #: the address that the request came from
    source_ip: str | None
    user_agent: str | None
    #: whether it came by TLS
    secure: bool = False
    operation: str | None = None
    #: `caller.principal` has name, ARN and access key id
    caller: Caller | None = None
    #: by their names in the model; not yet checked against its constraints
    members: Mapping[str, Any] = field(default_factory=dict)
    #: whether the answer comes only after the work that the operation leaves to the background
    waits: bool = False
    #: resources in the request that the caller may not use -> the reason
    refused: dict[str, str] = field(default_factory=dict)
    #: message that replaces NoSuchKey if the caller must not learn that an object is missing
    concealment: str | None = None
    #: members of the answer, by their names in the model
    answer: Mapping[str, Any] | None = None
    #: None if the client is gone
    status: int | None = None
    #: the error that the client sees, never an internal one; or ClientGoneError
    error: Exception | None = None
    #: from the headers of the request to its answer, which may not be sent completely
    duration_s: float | None = None


ActionGate = Callable[[Principal, str], None]
"""Raises an AccessDeniedError if a principal may carry out an operation on no resource at all."""

Gate = Callable[[Call], None]
"""Accepts a call with its caller and members, or raises a ServiceError."""

Observer = Callable[[Call], None]
"""Called after every call in the thread of the event loop; must not block."""


@contextmanager
def observed(call: Call, observers: Sequence[Observer]) -> Iterator[None]:
    """Notify the observers of a call at the end of the context, however it ends.

    All later log lines in the task of the request have its id.
    """
    structlog.contextvars.bind_contextvars(request_id=call.request_id)
    began = perf_counter()
    try:
        yield
    finally:
        call.duration_s = perf_counter() - began
        for observe in observers:
            try:
                observe(call)
            except Exception:  # the edge: the client gets its answer, and the other observers run
                logger.exception("a call could not be kept account of")
