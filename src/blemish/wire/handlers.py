"""Handlers of operations: methods bound to the members that they take.

A handler is named like its operation, in snake_case. It takes members as keyword arguments in
snake_case, and the `call` if it has an argument of this name. It returns the members of the output
by their names in the service model. A handler may be a coroutine function.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.model import ServiceModel, StructureShape

from blemish.wire.calls import Call


@dataclass(frozen=True, slots=True)
class BoundHandler:
    """A method that carries out an operation."""

    operation: str
    #: returns the members of the output, or a coroutine of them if `is_async`
    method: Any
    #: names of the members that the method takes
    members: frozenset[str]
    takes_call: bool
    is_async: bool

    def __call__(self, members: Mapping[str, Any], call: Call) -> Any:
        """Call the method with the members that it takes."""
        taken = {name: value for name, value in members.items() if name in self.members}
        extra = {"call": call} if self.takes_call else {}
        return self.method(**arguments_from(taken), **extra)


def bind_handlers(
    model: ServiceModel, groups: Iterable[object], *, complete: bool
) -> dict[str, BoundHandler]:
    """Return the handlers among the methods of some objects, by the names of their operations.

    Args:
        model: the service model.
        groups: the first object that has a method for an operation counts.
        complete: whether a method must take every member of its operation.

    Raises:
        TypeError: a method does not take what its operation demands, or takes something else.
    """
    objects = list(groups)
    handlers: dict[str, BoundHandler] = {}
    for name in model.operation_names:
        methods = (getattr(group, xform_name(name), None) for group in objects)
        method = next(filter(None, methods), None)
        if method is not None:
            handlers[name] = _bound(method, model, operation=name, complete=complete)
    return handlers


def arguments_from(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return members as the keyword arguments of a handler."""
    return {xform_name(name): value for name, value in members.items()}


def _bound(method: Any, model: ServiceModel, *, operation: str, complete: bool) -> BoundHandler:
    shape = model.operation_model(operation).input_shape
    names = list(shape.members) if shape else []
    required = [*shape.required_members, *_payload(shape)] if shape else []
    signature = inspect.signature(method)
    extra = {"call": None} if "call" in signature.parameters else {}
    # a missing argument shows when the server starts, not when a client calls
    signature.bind(**arguments_from(dict.fromkeys(required)), **extra)
    if complete:
        signature.bind(**arguments_from(dict.fromkeys(names)), **extra)
    return BoundHandler(
        operation=operation,
        method=method,
        members=_taken_members(signature, names, operation=operation),
        takes_call=bool(extra),
        is_async=inspect.iscoroutinefunction(method),
    )


def _payload(shape: StructureShape) -> list[str]:
    """Return the member that is the body, which a handler always gets unless it is a document."""
    name = shape.serialization.get("payload")
    return [] if name is None or isinstance(shape.members[name], StructureShape) else [name]


def _taken_members(
    signature: inspect.Signature, names: list[str], *, operation: str
) -> frozenset[str]:
    parameters = signature.parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return frozenset(names)
    arguments = signature.parameters.keys() - {"call"}
    if unknown := arguments - {xform_name(name) for name in names}:
        raise TypeError(f"{operation} has no members {sorted(unknown)}")
    return frozenset(name for name in names if xform_name(name) in arguments)
