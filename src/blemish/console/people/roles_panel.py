"""The roles, each with the policy that says what it allows."""

from __future__ import annotations

from nicegui import ui

from blemish.console.language.messages import say
from blemish.console.ui.frame import heading, text
from blemish.domain.access.roles import DESCRIPTIONS, DOCUMENTS


def draw_roles() -> None:
    """Draw every role with its policy document."""
    with ui.element("section").classes("panel"):
        heading(say("Roles"), 2)
        for role, words in DESCRIPTIONS.items():
            with ui.element("details"):
                with ui.element("summary"):
                    text(str(role), tag="strong")
                    text(f" {say(words)}")
                text(DOCUMENTS[role], tag="pre").classes("code").props("tabindex=0")
