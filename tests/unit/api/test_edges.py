"""The longest and largest that the model allows of each member, and one more."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import regex
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import ListShape, Shape, StructureShape

from tests.unit.api.requests import SOURCE
from tests.unit.api.test_declared_errors import COMPONENT, GOOD, NAMES, THE_ORIGINAL
from tests.unit.house import House

Path = tuple[str | int, ...]

LETTERS = ("a", "1", "a ", "é")
NOT_BY_LENGTH = {
    "ComponentVersion": "its pattern ends before 64 characters",
    "DatasetType": "one of two words",
    "AnomalyClass": "one of two words",
    "ContentType": "one of two media types",
}
SMALL = {"Changes": "10 MiB have a test of their own", "Body": "the profile bounds it"}


def bounded(shape: Shape, path: Path = ()) -> Iterator[tuple[Path, Shape]]:
    """Yield where in the members of a shape there is a value with a maximum."""
    match shape:
        case StructureShape():
            for name, member in shape.members.items():
                yield from bounded(member, (*path, name))
            return
        case ListShape():
            yield from bounded(shape.member, (*path, 0))
    if shape.metadata.get("max") and not {*path} & {*NOT_BY_LENGTH, *SMALL}:
        yield path, shape


TAGS = [{"Key": "k", "Value": "v"}]
MORE: dict[str, dict[str, Any]] = {
    "CreateDataset": {"DatasetSource": SOURCE},
    "CreateModel": {"Tags": TAGS},
    "StartModelPackagingJob": {
        "Configuration": {"Greengrass": COMPONENT["Greengrass"] | {"Tags": TAGS}}
    },
}
"""What a value of the case stands in."""

CASES = [
    pytest.param(name, path, shape, id=f"{name}-{'.'.join(map(str, path))}")
    for name in NAMES
    for path, shape in bounded(THE_ORIGINAL.operation_model(name).input_shape)
]


def value_of(shape: Shape, size: int) -> Any:
    """Return a value of a size that fulfils the other constraints of a shape."""
    match shape:
        case ListShape():
            item = shape.member
            if isinstance(item, StructureShape):
                return [{"Key": f"key-{i}", "Value": ""} for i in range(size)]
            return [f"key-{i}" for i in range(size)]
        case Shape(type_name="integer"):
            return size
    pattern = regex.compile(shape.metadata.get("pattern", ".*"))
    texts = [(letters * size)[:size] for letters in LETTERS]
    return next((text for text in texts if pattern.fullmatch(text)), texts[0])


def parameters(operation: str, path: Path, value: Any) -> dict[str, Any]:
    """Return good parameters of an operation with a value somewhere inside."""
    members: dict[str, Any] = deepcopy(GOOD[operation] | MORE.get(operation, {}))
    place: Any = members
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return members


def told(client: Any, operation: str, members: dict[str, Any]) -> str:
    """Return the code and the message of an error; nothing if there is none."""
    try:
        getattr(client, xform_name(operation))(**members)
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return ""


@pytest.mark.parametrize(("operation", "path", "shape"), CASES)
def test_a_member_at_its_edge_and_past_it(
    client: Any, trainable: House, operation: str, path: Path, shape: Shape
) -> None:
    trainable.trained()
    most = shape.metadata["max"]
    name = str(next(step for step in reversed(path) if isinstance(step, str)))
    spot = name[:1].lower() + name[1:]

    at_the_edge = told(client, operation, parameters(operation, path, value_of(shape, most)))
    past_it = told(client, operation, parameters(operation, path, value_of(shape, most + 1)))

    assert "failed to satisfy constraint" not in at_the_edge
    assert past_it.startswith("ValidationException: ")
    assert "failed to satisfy constraint" in past_it
    assert spot in past_it
    assert str(most) in past_it
