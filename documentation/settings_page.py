"""The page of all settings, from their definition."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import Annotated, Any

from blemish.settings import Settings
from documentation.value_types import type_text

OF_THIS_MACHINE = {"training_threads", "detection_threads"}
"""Settings whose default is the number of cores."""


def settings_page() -> str:
    """Return every setting with its values, its default and its meaning."""
    texts = _texts()
    rows = "\n".join(
        f"| `BLEMISH_{name.upper()}` | {_values(field)} | {_default(name, field.default)} "
        f"| {texts[name]} |"
        for name, field in Settings.model_fields.items()
    )
    return f"""# Settings

The server reads these environment variables. [Serving](../guide/serve.md#settings) says which of
them are options of `blemish serve` too, and links to the guides. A setting without a default is
off, or the [limits](../guide/data-sets.md#limits) give its value.

| variable | values | default | meaning |
|---|---|---|---|
{rows}
"""


def _texts() -> dict[str, str]:
    """Return the text under each attribute of the class."""
    tree = ast.parse(inspect.getsource(Settings))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    return {
        attribute.target.id: " ".join(text.value.value.split())
        for attribute, text in pairwise(body)
        if isinstance(attribute, ast.AnnAssign)
        and isinstance(attribute.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _values(field: Any) -> str:
    return (
        type_text(Annotated[field.annotation, *field.metadata])
        if field.metadata
        else type_text(field.annotation)
    )


def _default(name: str, value: Any) -> str:
    if name in OF_THIS_MACHINE:
        return "number of cores"
    if value is None or value == {}:
        return "none"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
