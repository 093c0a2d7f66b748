"""The dialogs about an access key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from blemish.console.language.messages import later, say, say_all
from blemish.console.ui.dialog import dialog, dialog_buttons
from blemish.console.ui.frame import text
from blemish.domain.access.builtin_policies import BUILT_IN, FULL_ACCESS, READ_ONLY
from blemish.domain.entities import AccessKey, KeyPair

OWN_DOCUMENT = "Own document"

CHOICES = {
    FULL_ACCESS: later("FullAccess: everything, the access keys included"),
    READ_ONLY: later("ReadOnly: look at everything but the access keys, change nothing"),
    OWN_DOCUMENT: later("A policy document of your own"),
}

COPY = """(event) => {
    event.currentTarget.closest('.secret-line').querySelector('input').select();
    document.execCommand('copy');
}"""
"""Copies in a way that pages without TLS may use as well."""


def ask_for_key(create: Callable[[str, str], Awaitable[None]]) -> None:
    """Ask for the name and the policy of a new access key."""
    with dialog(say("New access key")) as opened:
        name = ui.input(say("Name of its holder")).props("autofocus maxlength=64")
        policy = _PolicyFields(FULL_ACCESS)

        async def act() -> None:
            await create((name.value or "").strip(), policy.value)

        dialog_buttons(opened, say("Create"), act)


def ask_for_policy(key: AccessKey, change: Callable[[str], Awaitable[None]]) -> None:
    """Show the policy of an access key, and ask for another."""
    with dialog(say("Policy of {name}", name=key.name)) as opened:
        policy = _PolicyFields(key.policy)

        async def act() -> None:
            await change(policy.value)

        dialog_buttons(opened, say("Save"), act)


def show_secret(name: str, pair: KeyPair) -> None:
    """Show the secret of an access key, this once."""
    with dialog(say("Access key of {name}", name=name), persistent=True) as opened:
        text(say("The secret is shown this once. Copy it now; it cannot be seen again."), tag="p")
        for title, value in (
            (say("Access key ID"), pair.id),
            (say("Secret access key"), pair.secret),
        ):
            with ui.element("div").classes("secret-line"):
                field = ui.input(title, value=value).props("readonly")
                button = ui.button(say("Copy")).props("outline").on("click", js_handler=COPY)
                button.props["aria-label"] = say("Copy {title}", title=title)
                field.classes("code")
        with ui.element("div").classes("line dialog-actions"):
            ui.button(say("I have copied it"), on_click=opened.close)


class _PolicyFields:
    """A choice of policies, with a field for a document of one's own."""

    def __init__(self, policy: str) -> None:
        choice = policy if policy in BUILT_IN else OWN_DOCUMENT
        self._choice = ui.select(say_all(CHOICES), label=say("Policy"), value=choice)
        document = BUILT_IN[READ_ONLY] if policy in BUILT_IN else policy
        self._document = ui.textarea(say("Policy document"), value=document).classes("code")
        self._document.props("rows=14 spellcheck=false")
        self._document.bind_visibility_from(self._choice, "value", value=OWN_DOCUMENT)

    @property
    def value(self) -> str:
        """The policy that was selected or written."""
        if self._choice.value == OWN_DOCUMENT:
            return self._document.value or ""
        return str(self._choice.value)
