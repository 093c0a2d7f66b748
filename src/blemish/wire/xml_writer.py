"""Members as XML elements: the responses of the protocols rest-xml and query.

Source: Smithy, "XML binding traits".
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import ListShape, Shape, StructureShape

from blemish.wire.text import write_text

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

#: characters that a parser would change, or end the text at; S3 writes control characters so, too
_ENTITIES = {chr(code): f"&#x{code:X};" for code in range(32) if chr(code) not in "\t\n"}


def to_xml(shape: Shape, value: Any, *, tag: str, attributes: str = "") -> str:
    """Return an element; `None` inside a structure counts as absent.

    Raises:
        ValueError: a structure has a member that its shape does not know.
    """
    match shape:
        case StructureShape():
            inside = members_to_xml(shape.members, value)
        case ListShape():
            name = shape.member.serialization.get("name", "member")
            inside = "".join(to_xml(shape.member, item, tag=name) for item in value)
        case Shape(type_name="blob"):
            inside = base64.b64encode(value).decode("ascii")
        case _:
            inside = escape(write_text(shape, value, timestamps="iso8601"), _ENTITIES)
    return f"<{tag}{attributes}>{inside}</{tag}>"


def members_to_xml(members: Mapping[str, Shape], values: Mapping[str, Any]) -> str:
    """Return the elements of a structure.

    Raises:
        ValueError: there is a value that no member has the name of.
    """
    if unknown := values.keys() - members.keys():
        raise ValueError(f"the service model does not know {sorted(unknown)}")
    return "".join(
        part
        for name, member in members.items()
        if values.get(name) is not None
        for part in _elements(member, values[name], tag=element_name(name, member))
    )


def text_element(tag: str, text: str) -> str:
    """Return an element that holds a text."""
    return f"<{tag}>{escape(text, _ENTITIES)}</{tag}>"


def _elements(shape: Shape, value: Any, *, tag: str) -> Iterator[str]:
    if isinstance(shape, ListShape) and shape.serialization.get("flattened"):
        for item in value:
            yield to_xml(shape.member, item, tag=tag)
    else:
        yield to_xml(shape, value, tag=tag)


def element_name(name: str, member: Shape) -> str:
    """Return the name of the element of a member."""
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        name = member.member.serialization.get("name", name)
    tag: str = member.serialization.get("name", name)
    return tag
