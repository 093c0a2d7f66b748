"""Members as an XML document: the body of rest-xml.

A request's document may not declare anything: without a document type there are no entities, so
none is looked up or blown up. Its depth and its elements are bounded; its size is by whoever reads
the body.

Source: Smithy, "XML binding traits".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from xml.parsers import expat

from botocore.model import ListShape, Shape, StructureShape

from blemish.s3.protocol.errors import MalformedXMLError
from blemish.wire.errors import SerializationError
from blemish.wire.text import read_text
from blemish.wire.xml_writer import element_name

MAX_DEPTH = 16
"""Elements inside of each other; the deepest of S3's own has 6."""

MAX_ELEMENTS = 100_000
"""Of a document. The largest of S3's own has 10,000 parts to complete, with an ETag, a number and
some checksums each; one of 1,000 objects to delete is far smaller.
"""


_ATTRIBUTE = re.compile(rb"=[ \t\r\n]*+[\"']")


@dataclass(slots=True)
class Element:
    """An element of a document; names are without their namespaces."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)


def parse_xml(body: bytes) -> Element:
    """Return the root of a document.

    Raises:
        MalformedXMLError: it is no XML, declares a document type or an encoding that is not known,
            is too deep, or has too many elements.
    """
    _check_attributes(body)
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError):  # the last two: of the encoding it declares
        raise MalformedXMLError("The body is not well-formed XML.") from None
    return reader.document.children[0]


def from_xml(shape: Shape, element: Element) -> Any:
    """Return what an element stands for; members that its shape does not know are left out.

    Raises:
        MalformedXMLError: it, or an element inside it, is not of the shape's type.
    """
    match shape:
        case StructureShape():
            return members_from_xml(shape.members, element)
        case ListShape():
            name = shape.member.serialization.get("name", "member")
            return [from_xml(shape.member, item) for item in element.children if item.name == name]
    if element.children:
        raise MalformedXMLError(f"{element.name} must have no elements inside.")
    try:
        if shape.type_name == "blob":
            return base64.b64decode(element.text, validate=True)
        return read_text(shape, element.text, name=element.name)
    except (SerializationError, ValueError):
        raise MalformedXMLError(f"{element.name} must be of type {shape.type_name}.") from None


def members_from_xml(members: Mapping[str, Shape], element: Element) -> dict[str, Any]:
    """Return those members that an element has.

    Raises:
        MalformedXMLError: one is not of its type, or is there twice.
    """
    values: dict[str, Any] = {}
    for name, member in members.items():
        tag = element_name(name, member)
        matching = [child for child in element.children if child.name == tag]
        if isinstance(member, ListShape) and member.serialization.get("flattened"):
            if matching:
                values[name] = [from_xml(member.member, child) for child in matching]
        elif len(matching) > 1:
            raise MalformedXMLError(f"{tag} is given {len(matching)} times.")
        elif matching:
            values[name] = from_xml(member, matching[0])
    return values


class _Reader:
    """Builds elements from what the parser calls."""

    def __init__(self) -> None:
        self.document = Element("")
        self._open = [self.document]
        self._texts: list[list[str]] = [[]]  # of the open elements, joined when they are whole
        self._elements = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = _refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, name: str, _: Mapping[str, str]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise MalformedXMLError(f"The body has more than {MAX_DEPTH} levels of elements.")
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise MalformedXMLError(f"The body has more than {MAX_ELEMENTS} elements.")
        element = Element(name.rpartition(" ")[2])
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def _end(self, _: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)


def _check_attributes(body: bytes) -> None:
    """Refuse a document with too many attributes, before the parser takes memory for them."""
    if body.count(b"=") > MAX_ELEMENTS:
        attributes = sum(1 for _ in islice(_ATTRIBUTE.finditer(body), MAX_ELEMENTS + 1))
        if attributes > MAX_ELEMENTS:
            raise MalformedXMLError(f"The body has more than {MAX_ELEMENTS} attributes.")


def _refuse_doctype(*_: object) -> None:
    raise MalformedXMLError("The body may not declare a document type.")
