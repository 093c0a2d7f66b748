"""XML files of other tools.

A file may not declare a document type: so there are no entities, and none is looked up or blown up.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

MAX_DEPTH = 64
"""Elements inside of each other; those of CVAT are 4 deep."""


def parse_xml_file(data: bytes) -> Element:
    """Return the root of a document.

    Raises:
        ValueError: it is no XML, declares a document type or an encoding that is not known, or is
            too deep.
    """
    builder, depth = TreeBuilder(), 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"it has more than {MAX_DEPTH} levels of elements")
        builder.start(name, dict(attributes))

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f"it is not well-formed XML ({error})") from None
    except LookupError as error:
        raise ValueError(f"its encoding is not known ({error})") from None
    return builder.close()


def child_text(element: Element, name: str) -> str | None:
    """Return the text of a child, without spaces around it; None without one."""
    text = element.findtext(name)
    return text.strip() if text and text.strip() else None


def _refuse_doctype(name: str, *_: object) -> None:
    raise ValueError(f"it declares the document type {name!r:.80}, which may hide entities")
