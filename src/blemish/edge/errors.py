"""The errors of the edge.

* EdgeError             the device's own files or settings are wrong; the message is for people
  - CallError           a client's call fails; the class says by which code of gRPC
    + InvalidCallError        INVALID_ARGUMENT
    + UnknownModelError       NOT_FOUND
    + ModelStateError         FAILED_PRECONDITION
    + AgentBusyError          RESOURCE_EXHAUSTED
"""

from __future__ import annotations

from typing import ClassVar


class EdgeError(Exception):
    """Base of the errors whose messages are for people."""


class CallError(EdgeError):
    """Base of what is wrong with a call."""

    #: name in `grpc.StatusCode`
    code: ClassVar[str]


class InvalidCallError(CallError):
    """A member of the request is missing or wrong."""

    code = "INVALID_ARGUMENT"


class UnknownModelError(CallError):
    """No installed component has this name."""

    code = "NOT_FOUND"


class ModelStateError(CallError):
    """The state of the model forbids the call."""

    code = "FAILED_PRECONDITION"


class AgentBusyError(CallError):
    """Too many images wait already."""

    code = "RESOURCE_EXHAUSTED"
