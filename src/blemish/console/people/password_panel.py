"""One's own password. A part of the settings."""

from __future__ import annotations

from nicegui import ui

from blemish.console.language.messages import say
from blemish.console.people.user_dialogs import password_field
from blemish.console.ui.dialog import dialog, dialog_buttons
from blemish.console.ui.frame import text, visitor
from blemish.console.visitor import in_thread


async def draw_password() -> None:
    """Offer a change of the password to a visitor who has one."""
    looking = visitor()
    name = (await looking.principal()).name
    if not await in_thread(looking.services.users.has_password, name):
        return
    panel = ui.element("section").classes("panel").props("aria-labelledby=password")
    with panel, ui.element("div").classes("head"):
        with ui.element("h2").props("id=password"):
            text(say("Your password"))
        ui.element("div").classes("room")
        ui.button(say("Change password"), on_click=_ask)


def _ask() -> None:
    with dialog(say("Change password")) as opened:
        old = password_field(say("Old password"), "current-password")
        new = password_field(say("New password"), "new-password")
        text(say("You sign in again afterwards, on every device."), tag="p")

        async def act() -> None:
            await visitor().change_password(old=old.value or "", new=new.value or "")

        dialog_buttons(opened, say("Change"), act)
