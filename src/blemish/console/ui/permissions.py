"""Controls that people see only if their policies allow what is behind them."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from blemish.console.visitor import Visitor
from blemish.domain.errors import AccessDeniedError


async def may_act(visitor: Visitor, action: str) -> bool:
    """Return whether the policies let a visitor act, on any resource, such as `iam:CreateUser`."""
    try:
        await visitor.authorize(action, "*")
    except AccessDeniedError:
        return False
    return True


def forbid(button: ui.button, why: str | None) -> None:
    """Disable a button that may not be used, and say why; None leaves it as it is."""
    if why is None:
        return
    button.disable()
    with button:
        ui.tooltip(why)


async def permit(visitor: Visitor, button: ui.button, operation: str, /, **members: Any) -> bool:
    """Show a button if its visitor may call the operation behind it; return whether they may."""
    allowed = await visitor.may(operation, **members)
    button.set_visibility(allowed)
    button.set_enabled(allowed)
    return allowed
