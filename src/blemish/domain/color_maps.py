"""The colour map of a mask: which colour shows which anomaly type."""

from __future__ import annotations

import json
import re

from blemish.domain.palette import BACKGROUND, BACKGROUND_CLASS

_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


def read_color_map(color_map: object, *, where: str, problems: list[str]) -> dict[str, str]:
    """Return the classes of a colour map, by their colours as `#RRGGBB` in upper case.

    Args:
        color_map: the value of `internal-color-map`.
        where: name of the field that holds it.
        problems: gets a sentence for each class that cannot be used.
    """
    if not isinstance(color_map, dict) or not color_map:
        problems.append(f"'internal-color-map' in '{where}' must be an object with classes")
        return {}
    colors: dict[str, str] = {}
    for key, entry in color_map.items():
        name = entry.get("class-name") if isinstance(entry, dict) else None
        color = entry.get("hex-color") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name.strip():
            problems.append(f"class {short_json(key)} in 'internal-color-map' has no 'class-name'")
        elif not isinstance(color, str) or not _COLOR.fullmatch(color):
            problems.append(
                f"'hex-color' of class {short_json(name)} must be like #23A436, "
                f"not {short_json(color)}"
            )
        else:
            _add_color(colors, color.upper(), name.strip(), problems)
    return colors


def _add_color(colors: dict[str, str], color: str, name: str, problems: list[str]) -> None:
    if name.casefold() == BACKGROUND_CLASS:
        name = BACKGROUND_CLASS
    if color == BACKGROUND and name != BACKGROUND_CLASS:
        problems.append(f"class {short_json(name)} has the colour {BACKGROUND} of the background")
    elif colors.setdefault(color, name) != name:
        problems.append(f"{color} is the colour of two classes, {colors[color]} and {name}")


def short_json(value: object) -> str:
    """Return a value as JSON of at most 80 characters, for messages."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
