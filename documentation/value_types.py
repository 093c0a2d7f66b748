"""What a setting or an option accepts, in words, from its type."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_NAMES: dict[Any, str] = {
    bool: "`true`, `false`",
    int: "whole number",
    float: "number",
    str: "text",
}


def type_text(annotation: Any) -> str:
    """Return the words for a type; None, which stands for an absent value, is left out."""
    if annotation in _NAMES:
        return _NAMES[annotation]
    if members := getattr(annotation, "__members__", None):
        return ", ".join(f"`{member.value}`" for member in members.values())
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is Annotated:
        limits = _limits(arguments[1:])
        return type_text(arguments[0]) + (f", {limits}" if limits else "")
    if origin in {Union, UnionType}:
        return next(type_text(part) for part in arguments if part is not type(None))
    if origin in {tuple, list}:
        return f"list of {type_text(arguments[0])}"
    if origin is not None:
        return "JSON object"
    return {"Path": "path", "SecretStr": "secret"}.get(annotation.__name__, "text")


def _limits(rules: tuple[Any, ...]) -> str:
    bounds = {
        name: bound
        for rule in rules
        for part in (rule, *getattr(rule, "metadata", ()))
        for name in ("ge", "le")
        if (bound := getattr(part, name, None)) is not None
    }
    match bounds:
        case {"ge": least, "le": most}:
            return f"{least:,} to {most:,}"
        case {"ge": least}:
            return f"at least {least:,}"
        case _:
            return ""
