"""The dialogs about a user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from blemish.console.language.messages import say
from blemish.console.ui.dialog import dialog, dialog_buttons
from blemish.console.ui.frame import text
from blemish.domain.access.roles import DESCRIPTIONS, UserRole
from blemish.domain.entities import User
from blemish.service.access.passwords import MAX_CHARACTERS, MIN_CHARACTERS


def _roles() -> dict[UserRole, str]:
    return {role: f"{role}: {say(words)}" for role, words in DESCRIPTIONS.items()}


"""What people choose from."""


def ask_for_user(create: Callable[[str, str, UserRole], Awaitable[None]]) -> None:
    """Ask for name, password and role of a new user."""
    with dialog(say("New user")) as opened:
        name = ui.input(say("Name")).props("autofocus maxlength=64 autocomplete=off")
        password = password_field(say("Password"), "new-password")
        role = ui.select(_roles(), label=say("Role"), value=UserRole.VIEWER)
        text(say("Tell the password to its owner, who can change it under Settings."), tag="p")

        async def act() -> None:
            await create((name.value or "").strip(), password.value or "", UserRole(role.value))

        dialog_buttons(opened, say("Create"), act)


def ask_for_role(user: User, change: Callable[[UserRole], Awaitable[None]]) -> None:
    """Ask for another role of a user."""
    with dialog(say("Role of {name}", name=user.name)) as opened:
        role = ui.select(_roles(), label=say("Role"), value=user.role)

        async def act() -> None:
            await change(UserRole(role.value))

        dialog_buttons(opened, say("Save"), act)


def ask_for_password(name: str, change: Callable[[str], Awaitable[None]]) -> None:
    """Ask for another password of a user."""
    with dialog(say("Password of {name}", name=name)) as opened:
        password = password_field(say("New password"), "new-password")
        text(say("The sessions of now end."), tag="p")

        async def act() -> None:
            await change(password.value or "")

        dialog_buttons(opened, say("Save"), act)


def password_field(label: str, purpose: str) -> ui.input:
    """Draw a field for a password, of whose purpose browsers know: "new-password"."""
    field = ui.input(label, password=True)
    field.props(f"maxlength={MAX_CHARACTERS} autocomplete={purpose}")
    if purpose == "new-password":
        field.props["hint"] = say("{number} characters or more", number=MIN_CHARACTERS)
    return field
