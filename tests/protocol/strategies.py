"""Hypothesis strategies that are built from the shapes of a service model."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, Shape, StructureShape
from hypothesis import strategies as st

Texts = Callable[[Shape], st.SearchStrategy[str]]

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
#: a pattern that repeats one class of characters, whose number the lengths give
REPEATED = re.compile(r"\^?(\[[^]]*\]|\.)[*+]\$?")
MOST_REPEATED = 30
#: `\p{L}`, `\p{Z}` and `\p{N}` in a pattern; hypothesis knows no such classes
TAG_TEXT = st.characters(categories=["L", "Zs", "N"], include_characters="_.:/=+-@")


def any_texts(shape: Shape) -> st.SearchStrategy[str]:
    """Texts of every kind that can travel where the shape is located."""
    match shape.serialization.get("location"):
        case "header":
            visible = st.characters(codec="latin-1", exclude_categories=["Cc", "Zs"])
            return st.text(visible, min_size=1)
        case "uri":
            return st.text(min_size=1)
        case _:
            return st.text()


def valid_texts(shape: Shape) -> st.SearchStrategy[str]:
    """Texts that fulfil the constraints of the shape."""
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 10_000)
    if enum := shape.metadata.get("enum"):
        return st.sampled_from(enum)
    pattern = shape.metadata.get("pattern", ".*")
    if r"\p{L}" in pattern:
        return st.text(TAG_TEXT, min_size=least, max_size=most)
    if found := REPEATED.fullmatch(pattern):
        pattern = f"{found[1]}{{{least},{max(least, min(most, MOST_REPEATED))}}}"
    texts = st.from_regex(pattern, fullmatch=True, alphabet=VISIBLE)
    return texts.filter(lambda text: least <= len(text) <= most)


def values(shape: Shape, *, texts: Texts = any_texts) -> st.SearchStrategy[Any]:
    """Values of a shape; those of a query list are never empty, since that cannot be sent."""
    match shape:
        case StructureShape():
            members = {name: values(shape.members[name], texts=texts) for name in shape.members}
            return st.fixed_dictionaries(
                {name: members.pop(name) for name in shape.required_members}, optional=members
            )
        case ListShape():
            sent = "location" in shape.serialization
            return st.lists(values(shape.member, texts=texts), min_size=int(sent), max_size=3)
        case Shape(type_name="string"):
            return texts(shape)
        case Shape(type_name="blob"):
            return st.binary(min_size=shape.metadata.get("min", 0))
        case Shape(type_name="boolean"):
            return st.booleans()
        case Shape(type_name="integer"):
            least, most = shape.metadata.get("min", -(2**31)), shape.metadata.get("max", 2**31 - 1)
            return st.integers(least, most)
        case Shape(type_name="float"):
            return st.floats(allow_nan=False, allow_infinity=False)
        case Shape(type_name="timestamp"):
            return st.integers(0, 4 * 10**12).map(
                lambda ms: datetime.fromtimestamp(ms // 1000, UTC).replace(
                    microsecond=ms % 1000 * 1000
                )
            )
    raise NotImplementedError(shape.type_name)
