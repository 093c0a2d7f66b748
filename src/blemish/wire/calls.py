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

from blemish.wire.signature import Caller

logger: FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Call:
    """A request, as far as it has come: what is not known yet is None."""

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
    #: of several things that it names, those that its caller may not touch, and why
    refused: dict[str, str] = field(default_factory=dict)
    #: message that replaces NoSuchKey if the caller must not learn that an object is missing
    concealment: str | None = None
    #: what was answered, by the names in the model
    answer: Mapping[str, Any] | None = None
    #: None if the client is gone
    status: int | None = None
    #: the error that the client sees, never an internal one; or ClientGoneError
    error: Exception | None = None
    #: from its headers to its answer, which may still be on its way
    duration_s: float | None = None


Gate = Callable[[Call], None]
"""Accepts a call with its caller and members, or raises a ServiceError."""

Observer = Callable[[Call], None]
"""Called after every call in the thread of the event loop; must not block."""


@contextmanager
def observed(call: Call, observers: Sequence[Observer]) -> Iterator[None]:
    """Tell the observers of a call at the end of the context, whatever that is.

    All that is logged in the task of the request, from now on, carries its id.
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
