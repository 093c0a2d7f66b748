"""One request as those see it who admit it and those who keep account of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from blemish.wire.signature import Caller


@dataclass(kw_only=True)
class Call:
    """A request, as far as it has come: what is not known yet is None."""

    request_id: str
    received_at: datetime
    #: the address that the request came from
    source_ip: str | None
    user_agent: str | None
    operation: str | None = None
    #: whose name, ARN and access key id are those of its `principal`
    caller: Caller | None = None
    #: by their names in the model; not yet checked against its constraints
    members: Mapping[str, Any] = field(default_factory=dict)
    #: what was answered, by the names in the model
    answer: Mapping[str, Any] | None = None
    status: int | None = None
    error: Exception | None = None


Gate = Callable[[Call], None]
"""Lets a call pass, whose caller and members are known, or raises a ServiceError."""

Observer = Callable[[Call], None]
"""Is told of every call once it was answered, in the thread of the event loop: must not block."""
