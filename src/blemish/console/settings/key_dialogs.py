"""What is asked and told about an access key, in dialogs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from nicegui import ui

from blemish.console.ui.frame import heading, text
from blemish.domain.access.builtin_policies import BUILT_IN, FULL_ACCESS, READ_ONLY
from blemish.domain.access.policies import PolicyError
from blemish.domain.entities import AccessKey, KeyPair
from blemish.service.access.access_keys import AccessKeyError

OWN_DOCUMENT = "Own document"

CHOICES = {
    FULL_ACCESS: "FullAccess: everything, the access keys included",
    READ_ONLY: "ReadOnly: look at everything but the access keys, change nothing",
    OWN_DOCUMENT: "A policy document of your own",
}

COPY = """(event) => {
    event.currentTarget.closest('.secret-line').querySelector('input').select();
    document.execCommand('copy');
}"""
"""The newer way to copy is closed to pages that come without TLS."""

Act = Callable[[], Awaitable[None]]


def ask(
    title: str, told: str, word: str, act: Callable[[], Awaitable[None]], *, negative: bool = False
) -> None:
    """Ask whether something is meant, and do it."""
    with _dialog(title) as dialog:
        text(told, tag="p")
        _buttons(dialog, word, act, negative=negative)


def ask_for_key(create: Callable[[str, str], Awaitable[None]]) -> None:
    """Ask for the name and the policy of a new access key."""
    with _dialog("New access key") as dialog:
        name = ui.input("Name of its holder").props("autofocus maxlength=64")
        policy = _PolicyFields(FULL_ACCESS)

        async def act() -> None:
            await create((name.value or "").strip(), policy.value)

        _buttons(dialog, "Create", act)


def ask_for_policy(key: AccessKey, change: Callable[[str], Awaitable[None]]) -> None:
    """Show the policy of an access key, and ask for another."""
    with _dialog(f"Policy of {key.name}") as dialog:
        policy = _PolicyFields(key.policy)

        async def act() -> None:
            await change(policy.value)

        _buttons(dialog, "Save", act)


def show_secret(name: str, pair: KeyPair) -> None:
    """Tell the secret of an access key, this once."""
    with _dialog(f"Access key of {name}", persistent=True) as dialog:
        text("The secret is shown this once. Copy it now; it cannot be seen again.", tag="p")
        for told, value in (("Access key ID", pair.id), ("Secret access key", pair.secret)):
            with ui.element("div").classes("secret-line"):
                field = ui.input(told, value=value).props("readonly")
                button = ui.button("Copy").props("outline").on("click", js_handler=COPY)
                button.props["aria-label"] = f"Copy {told}"
                field.classes("code")
        with ui.element("div").classes("line dialog-actions"):
            ui.button("I have copied it", on_click=dialog.close)


class _PolicyFields:
    """A choice of policies, with a field for a document of one's own."""

    def __init__(self, policy: str) -> None:
        chosen = policy if policy in BUILT_IN else OWN_DOCUMENT
        self._choice = ui.select(CHOICES, label="Policy", value=chosen)
        document = BUILT_IN[READ_ONLY] if policy in BUILT_IN else policy
        self._document = ui.textarea("Policy document", value=document).classes("code")
        self._document.props("rows=14 spellcheck=false")
        self._document.bind_visibility_from(self._choice, "value", value=OWN_DOCUMENT)

    @property
    def value(self) -> str:
        """The policy that was chosen or written."""
        if self._choice.value == OWN_DOCUMENT:
            return self._document.value or ""
        return str(self._choice.value)


@contextmanager
def _dialog(title: str, *, persistent: bool = False) -> Iterator[ui.dialog]:
    dialog = ui.dialog()
    dialog.props["aria-label"] = title
    if persistent:
        dialog.props("persistent")
    dialog.on("hide", dialog.delete)
    with dialog, ui.card().classes("stack"):
        heading(title, 2)
        yield dialog
    dialog.open()


def _buttons(dialog: ui.dialog, word: str, act: Act, *, negative: bool = False) -> None:
    problem = text("", classes="problem", tag="p").props("role=alert")
    problem.set_visibility(False)

    async def acted() -> None:
        try:
            await act()
        except (AccessKeyError, PolicyError) as error:
            problem.set_content(_escaped(str(error)))
            problem.set_visibility(True)
            return
        dialog.close()

    with ui.element("div").classes("line dialog-actions"):
        ui.button("Cancel", on_click=dialog.close).props("flat")
        ui.button(word, on_click=acted, color="negative" if negative else "primary")


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>")
