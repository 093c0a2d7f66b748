"""Constraints of the service model on members: presence, lengths, ranges, patterns, enums.

One ValidationError names all problems at once. Lengths count characters, bytes and items; a
pattern must match the whole text.

Source: Smithy, "Constraint traits".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain, islice
from typing import Any

import regex
from botocore.model import ListShape, Shape, StructureShape

from blemish.domain.errors import ValidationError

MAX_SHOWN = 20
"""Problems that a message names; the rest are only counted."""

MAX_VALUE_LENGTH = 64
"""Characters of a value that a message repeats."""


def check_constraints(shape: StructureShape, members: Mapping[str, Any]) -> None:
    """Accept members that fulfil every constraint of their shape.

    Raises:
        ValidationError: a member breaks a constraint; the message says what is allowed.
    """
    problems = _structure_problems(shape, members, prefix="")
    shown = list(islice(problems, MAX_SHOWN))
    if not shown:
        return
    more = sum(1 for _ in problems)
    count = len(shown) + more
    raise ValidationError(
        f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(shown)}"
        + (f"; and {more} more" if more else "")
    )


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Yield the problems of a value and of everything inside it."""
    for demand in chain(_size_demands(shape, value), _text_demands(shape, value)):
        yield _problem(_shown(value), path, demand)
    match shape:
        case StructureShape():
            yield from _structure_problems(shape, value, prefix=f"{path}.")
        case ListShape():
            for position, item in enumerate(value, start=1):
                yield from _problems(shape.member, item, f"{path}.{position}.member")


def _structure_problems(
    shape: StructureShape, members: Mapping[str, Any], *, prefix: str
) -> Iterator[str]:
    for name in shape.required_members:
        if name not in members:
            yield _problem("null", f"{prefix}{_in_camel_case(name)}", "not be null")
    for name, value in members.items():
        yield from _problems(shape.members[name], value, f"{prefix}{_in_camel_case(name)}")


def _problem(value: str, path: str, demand: str) -> str:
    return f"Value {value} at '{path}' failed to satisfy constraint: Member must {demand}"


def _size_demands(shape: Shape, value: Any) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is None and most is None:
        return
    if isinstance(value, int | float):
        size, measure = value, "value"
    else:
        size, measure = len(value), "length"
    if least is not None and size < least:
        yield f"have {measure} greater than or equal to {least}"
    if most is not None and size > most:
        yield f"have {measure} less than or equal to {most}"


def _text_demands(shape: Shape, value: Any) -> Iterator[str]:
    pattern, enum = shape.metadata.get("pattern"), shape.metadata.get("enum")
    if pattern is not None and not _compiled(pattern).fullmatch(value):
        yield f"satisfy regular expression pattern: {pattern}"
    if enum is not None and value not in enum:
        yield f"satisfy enum value set: [{', '.join(enum)}]"


@cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


def _in_camel_case(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(value: Any) -> str:
    match value:
        case bytes():
            return f"of {len(value)} bytes"
        case list():
            return f"of {len(value)} items"
        case str() if len(value) > MAX_VALUE_LENGTH:
            return f"'{value[:MAX_VALUE_LENGTH]}...' of {len(value)} characters"
        case _:
            return f"'{value}'"
