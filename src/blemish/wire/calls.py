"""One request as those see it who admit it and those who keep account of it."""

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
    #: whose name, ARN and access key id are those of its `principal`
    caller: Caller | None = None
    #: by their names in the model; not yet checked against its constraints
    members: Mapping[str, Any] = field(default_factory=dict)
    #: whether the answer comes only after the work that the operation leaves to the background
    waits: bool = False
    #: of several things that it names, those that its caller may not touch, and why
    refused: dict[str, str] = field(default_factory=dict)
    #: what its caller is told in place of that an object is missing, if it may not know that
    concealment: str | None = None
    #: what was answered, by the names in the model
    answer: Mapping[str, Any] | None = None
    #: None if the client is gone
    status: int | None = None
    #: what the client is told of, never what went wrong with us; or that the client is gone
    error: Exception | None = None
    #: from its headers to its answer, which may still be on its way
    duration_s: float | None = None


Gate = Callable[[Call], None]
"""Lets a call pass, whose caller and members are known, or raises a ServiceError."""

Observer = Callable[[Call], None]
"""Is told of every call once it was answered, in the thread of the event loop: must not block."""


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
            except Exception:  # the edge: the client gets its answer, and the others are told
                logger.exception("a call could not be kept account of")
