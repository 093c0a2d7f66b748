"""Operations by method, path, query and headers, from the http traits of the service model.

The path is matched as it was sent: an ARN arrives as one percent-encoded segment whose `%2F` is no
separator, and a segment `..` is a label like any other, for the constraints to refuse by its name.
A greedy label `{Key+}` takes the rest of the path.

Operations may share a path. The request must have the query of an operation's template. Of several
such operations, the one with the most required members in the request wins, then the one with the
fewest missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from urllib.parse import parse_qs

from botocore.model import OperationModel, ServiceModel

from blemish.wire.errors import UnknownOperationError

_LABEL = re.compile(r"\{(\w+\+?)\}")
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Router:
    """Finds operations by method, path, query and headers."""

    def __init__(self, model: ServiceModel) -> None:
        #: HTTP method -> its operations, with the patterns of their paths
        self._operations: dict[str, list[tuple[re.Pattern[str], OperationModel]]] = {}
        for operation in map(model.operation_model, model.operation_names):
            pattern = _pattern(operation.http["requestUri"])
            self._operations.setdefault(operation.http["method"], []).append((pattern, operation))

    def operation(
        self, method: str, path: str, *, query: str = "", headers: Mapping[str, str] = _NO_HEADERS
    ) -> OperationModel:
        """Return the operation for a raw path and query, and headers named in lower case.

        Raises:
            UnknownOperationError: there is none.
        """
        parameters = parse_qs(query, keep_blank_values=True)
        matching = [
            operation
            for pattern, operation in self._operations.get(method, ())
            if pattern.fullmatch(path) and _has_markers(operation.http["requestUri"], parameters)
        ]
        if not matching:
            raise UnknownOperationError("No operation has this method and path.")
        return max(matching, key=lambda operation: _nearness(operation, parameters, headers))


def uri_labels(template: str, path: str) -> dict[str, str] | None:
    """Return the values of the labels of a URI template, still encoded; None without a match."""
    match = _pattern(template).fullmatch(path)
    return match.groupdict() if match else None


@cache
def markers(template: str) -> Mapping[str, list[str]]:
    """Return the query of a URI template."""
    return parse_qs(template.partition("?")[2], keep_blank_values=True)


def _has_markers(template: str, parameters: Mapping[str, list[str]]) -> bool:
    return all(
        name in parameters and values in ([""], parameters[name])
        for name, values in markers(template).items()
    )


def _nearness(
    operation: OperationModel, parameters: Mapping[str, list[str]], headers: Mapping[str, str]
) -> tuple[int, int, int]:
    met = unmet = 0
    shape = operation.input_shape
    for name in shape.required_members if shape else ():
        traits = shape.members[name].serialization
        match traits.get("location"):
            case "querystring":
                present = traits["name"] in parameters
            case "header":
                present = traits["name"].lower() in headers
            case _:
                continue
        met += present
        unmet += not present
    return len(markers(operation.http["requestUri"])), met, -unmet


@cache
def _pattern(template: str) -> re.Pattern[str]:
    literals_and_labels = _LABEL.split(template.partition("?")[0])
    return re.compile(
        "".join(
            _label_pattern(part) if index % 2 else re.escape(part)
            for index, part in enumerate(literals_and_labels)
        ),
        re.DOTALL,
    )


def _label_pattern(label: str) -> str:
    name = label.removesuffix("+")
    return f"(?P<{name}>.+)" if label.endswith("+") else f"(?P<{name}>[^/]+)"
