"""Hypothesis strategies that are built from the shapes of a service model."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from hypothesis import strategies as st

from blemish.wire.text import EPOCH, INTEGER_BITS

Texts = Callable[[Shape], st.SearchStrategy[str]]

#: NUL is refused, whatever takes the text
ANY = st.characters(codec="utf-8", exclude_characters="\0")
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
            return st.text(ANY, min_size=1)
        case _:
            return st.text(ANY)


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
    """Values of a shape; a list in a query, or flattened, is never empty: that cannot be sent."""
    match shape:
        case StructureShape():
            members = {name: values(shape.members[name], texts=texts) for name in shape.members}
            return st.fixed_dictionaries(
                {name: members.pop(name) for name in shape.required_members}, optional=members
            )
        case ListShape():
            sent = not shape.serialization.keys().isdisjoint({"location", "flattened"})
            least = max(int(sent), shape.metadata.get("min", 0))
            return st.lists(values(shape.member, texts=texts), min_size=least, max_size=3)
        case MapShape():  # in headers, whose names are in lower case
            names = st.from_regex(r"[a-z0-9-]{1,10}", fullmatch=True)
            visible = st.text(VISIBLE, min_size=1)
            return st.dictionaries(names, visible, min_size=1, max_size=3)
        case Shape(type_name="string"):
            return texts(shape)
        case _:
            return _scalars(shape)


def _scalars(shape: Shape) -> st.SearchStrategy[Any]:
    match shape.type_name:
        case "blob":
            return st.binary(min_size=shape.metadata.get("min", 0))
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            bits = INTEGER_BITS[shape.type_name]
            least, most = -(1 << bits - 1), (1 << bits - 1) - 1
            return st.integers(shape.metadata.get("min", least), shape.metadata.get("max", most))
        case "float" | "double":
            least, most = shape.metadata.get("min"), shape.metadata.get("max")
            return st.floats(least, most, allow_nan=False, allow_infinity=False)
        case "timestamp":
            in_seconds = not shape.serialization.keys().isdisjoint({"location", "timestampFormat"})
            step = 1_000 if in_seconds else 1
            return st.integers(0, 4 * 10**12 // step).map(
                lambda steps: EPOCH + timedelta(milliseconds=steps * step)
            )
    raise NotImplementedError(shape.type_name)
