"""What is offered of a service's operations: that which handlers take.

An operation without a handler, and a member that its handler does not take, are not offered: they
are refused, never left out of account. A handler with `**` takes every member, and sees to that
itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.model import OperationModel, ServiceModel, StructureShape

from blemish.s3.protocol.checksums import PREFIX
from blemish.s3.protocol.errors import UnsupportedError
from blemish.s3.protocol.rest_xml import streaming_payload
from blemish.wire.calls import Call
from blemish.wire.dispatch import Handler, arguments_of
from blemish.wire.http_bindings import members_with_location, wire_name


@dataclass(frozen=True, slots=True)
class Offer:
    """A handler, and what of its operation it takes."""

    operation: str
    handler: Handler
    #: names of the operation's members
    members: frozenset[str]
    #: members that are seen to before the handler is called; it need not take them
    settled: frozenset[str]
    #: whether the handler has an argument `call`, and gets the call
    takes_call: bool

    def call(self, members: Mapping[str, Any], call: Call) -> Mapping[str, Any]:
        """Call the handler with the members of a request.

        Raises:
            UnsupportedError: the handler does not take one.
        """
        for name in members:
            if name not in self.members and name not in self.settled:
                raise UnsupportedError(f"{self.operation} is not offered with {name}.")
        taken = {name: value for name, value in members.items() if name in self.members}
        extra = {"call": call} if self.takes_call else {}
        return self.handler(**arguments_of(taken), **extra)


def offers_of(model: ServiceModel, methods: object) -> dict[str, Offer]:
    """Return what an object's methods offer, by names of operations.

    Raises:
        TypeError: a method does not take what its operation demands, or takes something else.
    """
    offers: dict[str, Offer] = {}
    for name in model.operation_names:
        handler = getattr(methods, xform_name(name), None)
        if handler is None:
            continue
        operation = model.operation_model(name)
        shape = operation.input_shape
        members = {xform_name(member): member for member in (shape.members if shape else ())}
        taken = inspect.signature(handler)
        # what it lacks shows when the server is put together, not when a client asks
        taken.bind(**arguments_of(dict.fromkeys(_always_given(shape))))
        offers[name] = Offer(
            operation=name,
            handler=handler,
            members=_taken(taken, members, operation=name),
            takes_call="call" in taken.parameters,
            settled=frozenset(_settled(operation, shape) if shape else ()),
        )
    return offers


def _always_given(shape: StructureShape | None) -> list[str]:
    streamed = streaming_payload(shape)
    return [*(shape.required_members if shape else ()), *([streamed] if streamed else ())]


def _taken(
    signature: inspect.Signature, members: Mapping[str, str], *, operation: str
) -> frozenset[str]:
    parameters = signature.parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return frozenset(members.values())
    names = signature.parameters.keys() - {"call"}
    if unknown := names - members.keys():
        raise TypeError(f"{operation} has no members {sorted(unknown)}")
    return frozenset(members[name] for name in names)


def _settled(operation: OperationModel, shape: StructureShape) -> Iterator[str]:
    for name, member in members_with_location(shape, "header").items():
        header = wire_name(member).lower()
        of_body = header.startswith(PREFIX) or header == "x-amz-sdk-checksum-algorithm"
        if header in {"content-length", "content-md5"} or (of_body and checks_body(operation)):
            yield name


def checks_body(operation: OperationModel) -> bool:
    """Tell whether the checksums in the headers of an operation are those of its body."""
    return "requestAlgorithmMember" in operation.http_checksum
