"""Buttons that the policies of a visitor keep off, with the reason on them."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from blemish.console.visitor import Visitor


async def permit(visitor: Visitor, button: ui.button, operation: str, /, **members: Any) -> None:
    """Let a button be pressed if its visitor may call the operation behind it."""
    allowed = await visitor.may(operation, **members)
    button.set_enabled(allowed)
    if not allowed:
        button.props["title"] = f"Your access key may not call {operation}."
