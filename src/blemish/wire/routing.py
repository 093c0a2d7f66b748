"""Which operation a request is for, from the http traits of the service model.

The path is matched as it was sent: an ARN arrives as one percent-encoded segment whose `%2F` is no
separator, and a segment `..` is a label like any other, for the constraints to refuse by its name.
"""

from __future__ import annotations

import re
from functools import cache

from botocore.model import OperationModel, ServiceModel

from blemish.wire.errors import UnknownOperationError

_LABEL = re.compile(r"\{(\w+)\}")


class Router:
    """Finds operations by method and path."""

    def __init__(self, model: ServiceModel) -> None:
        self._operations = [model.operation_model(name) for name in model.operation_names]

    def operation(self, method: str, path: str) -> OperationModel:
        """Return the operation for a raw path.

        Raises:
            UnknownOperationError: there is none.
        """
        for operation in self._operations:
            http = operation.http
            if http["method"] == method and uri_labels(http["requestUri"], path) is not None:
                return operation
        raise UnknownOperationError("No operation has this method and path.")


def uri_labels(template: str, path: str) -> dict[str, str] | None:
    """Return what the labels of a URI template stand for, still encoded; None if it is no match."""
    found = _pattern(template).fullmatch(path)
    return found.groupdict() if found else None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    literals_and_labels = _LABEL.split(template)
    return re.compile(
        "".join(
            f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part)
            for index, part in enumerate(literals_and_labels)
        )
    )
