"""The page of all commands, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from blemish.cli.main import app
from documentation.value_types import type_text


def commands_page() -> str:
    """Return every command with its arguments and options."""
    sections = "\n\n".join(
        _section(name, command) for name, command in _commands(typer.main.get_command(app))
    )
    return f"""# Commands

`blemish --help` and `COMMAND --help` print the same.

{sections}
"""


def _commands(command: Any, name: str = "blemish") -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        if not command.hidden:
            yield name, command
        return
    for part, member in below.items():
        yield from _commands(member, f"{name} {part}")


def _section(name: str, command: Any) -> str:
    text = "\n".join(line.strip() for line in (command.help or "").strip().splitlines())
    rows = [
        _row(parameter)
        for parameter in command.params
        if not getattr(parameter, "hidden", False) and parameter.name != "help"
    ]
    table = ["", "| argument or option | values | default | meaning |", "|---|---|---|---|", *rows]
    return "\n".join([f"## {name}", "", text, *(table if rows else [])])


def _row(parameter: Any) -> str:
    names = parameter.opts + parameter.secondary_opts
    if parameter.param_type_name == "argument":
        names = [name.upper() for name in names]
    shown = ", ".join(f"`{name}`" for name in names)
    default = parameter.default
    nothing = default is None or default is False or callable(default) or default == ()
    text = "required" if parameter.required else "" if nothing else f"`{_shown(default)}`"
    meaning = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| {shown} | {_values(parameter)} | {text} | {meaning} |"


def _shown(default: Any) -> str:
    value = getattr(default, "value", default)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _values(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return "flag"
    return type_text(parameter.type_descriptor.annotation)
