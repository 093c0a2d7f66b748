"""The access keys: looking may use the server. A part of the settings.

IAM has no place in the API of the service, so each action is asked for by its name there, on any
resource: `iam:ListAccessKeys`, `iam:CreateAccessKey`, `iam:UpdateAccessKey`, `iam:DeleteAccessKey`.
"""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.settings.key_dialogs import ask_for_key, ask_for_policy, show_secret
from blemish.console.ui.dialog import confirm
from blemish.console.ui.frame import text, visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.permissions import forbid, may_act
from blemish.console.ui.pill import pill
from blemish.console.ui.table import Cell, table
from blemish.console.ui.table_panel import draw_table_panel
from blemish.domain.access.builtin_policies import BUILT_IN
from blemish.domain.entities import AccessKey, KeyPair
from blemish.domain.errors import AccessDeniedError
from blemish.service.access.access_keys import FIRST_KEY

LIST, CREATE = "iam:ListAccessKeys", "iam:CreateAccessKey"
UPDATE, DELETE = "iam:UpdateAccessKey", "iam:DeleteAccessKey"

COLUMNS = (
    later("Name"),
    later("Access key ID"),
    later("Policy"),
    later("State"),
    later("Created"),
    later("Change"),
)

OWN = later("You are signed in with this key. Sign in with another one to change it.")
IN_FILE = later(
    "A file of the server holds this key too. There, `blemish keys {command} first` changes both."
)
FORBIDDEN = later("You may not do it ({action}).")


class AccessKeysPanel:
    """The table of the access keys, and what can be done with each."""

    async def draw(self) -> None:
        """Draw it, or say why the visitor may not see the keys."""
        self._panel = draw_table_panel(say("Access keys"), anchor="keys")
        await self._fill()

    async def _fill(self) -> None:
        looking = visitor()
        self._panel.clear()
        try:
            keys = await looking.act_on_keys(LIST, looking.services.keys.all)
        except AccessDeniedError as error:
            with self._panel.body:
                text(error.message, classes="quiet", tag="p")
            return
        own = (await looking.principal()).name
        forbidden = {
            action: None if await may_act(looking, action) else say(FORBIDDEN, action=action)
            for action in (CREATE, UPDATE, DELETE)
        }
        with self._panel.bar:
            button = ui.button(say("New access key"), icon="add", on_click=self._create)
            forbid(button, forbidden[CREATE])
        with self._panel.body:
            table(
                [say(title) for title in COLUMNS],
                [self._row(key, own=key.name == own, forbidden=forbidden) for key in keys],
            )

    def _row(
        self, key: AccessKey, *, own: bool, forbidden: dict[str, str | None]
    ) -> tuple[Cell, ...]:
        return (
            lambda: _draw_name(key, own=own),
            lambda: text(key.id, classes="code"),
            key.policy if key.policy in BUILT_IN else "Own document",
            lambda: pill(say("Enabled"), "good") if key.enabled else pill(say("Disabled"), "bad"),
            lambda: moment(key.created_at),
            lambda: self._draw_actions(key, own=own, forbidden=forbidden),
        )

    def _draw_actions(self, key: AccessKey, *, own: bool, forbidden: dict[str, str | None]) -> None:
        in_file = key.name == FIRST_KEY
        update = forbidden[UPDATE] or (say(OWN) if own else None)
        rotate = update or (say(IN_FILE, command="rotate") if in_file else None)
        delete = forbidden[DELETE] or (say(OWN) if own else None)
        delete = delete or (say(IN_FILE, command="delete") if in_file else None)
        with ui.element("div").classes("actions"):
            self._action(say("Policy"), key, self._policy, update)
            turn = say("Disable") if key.enabled else say("Enable")
            self._action(turn, key, self._turn, update)
            self._action(say("Rotate"), key, self._rotate, rotate)
            self._action(say("Delete"), key, self._delete, delete)

    @staticmethod
    def _action(
        word: str, key: AccessKey, act: Callable[[AccessKey], object], why_not: str | None
    ) -> None:
        button = ui.button(word, on_click=lambda: act(key)).props("flat dense")
        button.props["aria-label"] = f"{word} {key.name}"
        forbid(button, why_not)

    async def _create(self) -> None:
        async def create(name: str, policy: str) -> None:
            looking = visitor()
            keys = looking.services.keys

            def make() -> KeyPair:
                pair = keys.draw()
                keys.create(name, pair, policy=policy, tags={})
                return pair

            pair = await looking.act_on_keys(CREATE, make, UserName=name)
            await self._fill()
            with self._panel.dialogs:
                show_secret(name, pair)

        with self._panel.dialogs:
            ask_for_key(create)

    async def _policy(self, key: AccessKey) -> None:
        async def change(policy: str) -> None:
            looking = visitor()
            await looking.act_on_keys(
                UPDATE,
                lambda: looking.services.keys.set_policy(key.name, policy),
                UserName=key.name,
                Change="policy",
            )
            await self._fill()

        with self._panel.dialogs:
            ask_for_policy(key, change)

    async def _turn(self, key: AccessKey) -> None:
        looking, enabled = visitor(), not key.enabled
        await looking.act_on_keys(
            UPDATE,
            lambda: looking.services.keys.set_enabled(key.name, enabled=enabled),
            UserName=key.name,
            Change="enabled" if enabled else "disabled",
        )
        await self._fill()

    async def _rotate(self, key: AccessKey) -> None:
        async def rotate() -> None:
            looking = visitor()
            keys = looking.services.keys

            def renew() -> KeyPair:
                pair = keys.draw()
                keys.rotate(key.name, pair)
                return pair

            pair = await looking.act_on_keys(UPDATE, renew, UserName=key.name, Change="rotated")
            await self._fill()
            with self._panel.dialogs:
                show_secret(key.name, pair)

        consequence = say(
            "It gets a new ID and a new secret. The ID and secret of now end at once."
        )
        with self._panel.dialogs:
            confirm(say("Rotate {name}?", name=key.name), consequence, say("Rotate"), rotate)

    async def _delete(self, key: AccessKey) -> None:
        async def delete() -> None:
            looking = visitor()
            await looking.act_on_keys(
                DELETE, lambda: looking.services.keys.delete(key.name), UserName=key.name
            )
            await self._fill()

        consequence = say(
            "Requests with it fail from now on. Disable it to refuse them for a while."
        )
        with self._panel.dialogs:
            confirm(
                say("Delete {name}?", name=key.name),
                consequence,
                say("Delete"),
                delete,
                negative=True,
            )


def _draw_name(key: AccessKey, *, own: bool) -> None:
    text(key.name, tag="strong")
    if own:
        text(say(" (yours)"), classes="quiet")
