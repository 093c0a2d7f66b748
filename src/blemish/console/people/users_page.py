"""The users: their roles, and what can be done to each.

IAM has no place in the API of the service, so each action is asked for by its name there, on any
resource: `iam:ListUsers`, `iam:CreateUser`, `iam:UpdateUser`.
"""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.people.roles_panel import draw_roles
from blemish.console.people.user_dialogs import ask_for_password, ask_for_role, ask_for_user
from blemish.console.ui.dialog import confirm
from blemish.console.ui.frame import frame, heading, link, page, text, visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.permissions import forbid, may_act
from blemish.console.ui.pill import pill
from blemish.console.ui.table import Cell, table
from blemish.console.ui.table_panel import draw_table_panel
from blemish.domain.access.roles import UserRole
from blemish.domain.entities import User
from blemish.service.access.user_accounts import UserError

LIST, CREATE, UPDATE = "iam:ListUsers", "iam:CreateUser", "iam:UpdateUser"

COLUMNS = (
    later("Name"),
    later("Role"),
    later("Signs in by"),
    later("State"),
    later("Created"),
    later("Change"),
)

OWN = later("This is you. Another admin can change it; your password is under Settings.")
ELSEWHERE = later("The identity provider decides this.")
FORBIDDEN = later("You may not do it ({action}).")


@page("/users", title=later("Users"))
async def users() -> None:
    """Show the users and the roles."""
    with frame(say("Users")):
        with ui.element("div").classes("head"):
            heading(say("Users"))
            ui.element("div").classes("room")
            link(say("Who did what"), "/audit")
            link(say("Settings"), "/settings")
        await UsersPanel().draw()
        draw_roles()


class UsersPanel:
    """The table of the users."""

    async def draw(self) -> None:
        """Draw it.

        Raises:
            AccessDeniedError: the visitor may not see the users.
        """
        self._panel = draw_table_panel(say("People who sign in by name"), anchor="users")
        await self._fill()

    async def _fill(self) -> None:
        looking = visitor()
        accounts = await looking.act_on_keys(LIST, looking.services.users.all)
        own = (await looking.principal()).name
        forbidden = {
            action: None if await may_act(looking, action) else say(FORBIDDEN, action=action)
            for action in (CREATE, UPDATE)
        }
        self._panel.clear()
        with self._panel.bar:
            forbid(ui.button(say("New user"), icon="add", on_click=self._create), forbidden[CREATE])
        with self._panel.body:
            if accounts:
                update = forbidden[UPDATE]
                table(
                    [say(title) for title in COLUMNS],
                    [self._row(user, own=own, update=update) for user in accounts],
                )
            else:
                text(say("There are none yet. People sign in with access keys."), classes="quiet")

    def _row(self, user: User, *, own: str, update: str | None) -> tuple[Cell, ...]:
        is_own = user.name == own
        return (
            lambda: text(
                say("{name} (you)", name=user.name) if is_own else user.name, tag="strong"
            ),
            str(user.role),
            say("password") if user.identity is None else say("identity provider"),
            lambda: pill(say("Enabled"), "good") if user.enabled else pill(say("Disabled"), "bad"),
            lambda: moment(user.created_at),
            lambda: self._draw_actions(user, why_not=update or (say(OWN) if is_own else None)),
        )

    def _draw_actions(self, user: User, *, why_not: str | None) -> None:
        elsewhere = say(ELSEWHERE) if user.identity is not None else None
        with ui.element("div").classes("actions"):
            self._action(say("Role"), user, self._role, why_not or elsewhere)
            self._action(say("Password"), user, self._password, why_not or elsewhere)
            self._action(
                say("Disable") if user.enabled else say("Enable"), user, self._turn, why_not
            )

    @staticmethod
    def _action(word: str, user: User, act: Callable[[User], object], why_not: str | None) -> None:
        button = ui.button(word, on_click=lambda: act(user)).props("flat dense")
        button.props["aria-label"] = f"{word} {user.name}"
        forbid(button, why_not)

    async def _create(self) -> None:
        async def create(name: str, password: str, role: UserRole) -> None:
            looking = visitor()
            await looking.act_on_keys(
                CREATE,
                lambda: looking.services.users.add(name, password, role=role),
                hashes=True,
                UserName=name,
                Role=role,
            )
            await self._fill()

        with self._panel.dialogs:
            ask_for_user(create)

    async def _change(
        self, user: User, change: str, act: Callable[[], None], *, hashes: bool = False
    ) -> None:
        looking = visitor()
        if (await looking.principal()).name == user.name:  # a browser may send more than it shows
            raise UserError(say(OWN))
        await looking.act_on_keys(UPDATE, act, hashes=hashes, UserName=user.name, Change=change)
        await self._fill()

    async def _role(self, user: User) -> None:
        accounts = visitor().services.users

        async def change(role: UserRole) -> None:
            await self._change(user, f"role {role}", lambda: accounts.set_role(user.name, role))

        with self._panel.dialogs:
            ask_for_role(user, change)

    async def _password(self, user: User) -> None:
        accounts = visitor().services.users

        async def change(password: str) -> None:
            await self._change(
                user,
                "password",
                lambda: accounts.set_password(user.name, password),
                hashes=True,
            )

        with self._panel.dialogs:
            ask_for_password(user.name, change)

    async def _turn(self, user: User) -> None:
        accounts, enabled = visitor().services.users, not user.enabled

        async def turn() -> None:
            await self._change(
                user,
                "enabled" if enabled else "disabled",
                lambda: accounts.set_enabled(user.name, enabled=enabled),
            )

        if enabled:
            await turn()
            return
        consequence = say("The pages that are open there show the sign-in form within seconds.")
        with self._panel.dialogs:
            confirm(
                say("Disable {name}?", name=user.name),
                consequence,
                say("Disable"),
                turn,
                negative=True,
            )
