"""Links for screens at a line: made, listed and revoked. They count as access keys to policies."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.paths import KIOSK
from blemish.console.settings.key_dialogs import COPY
from blemish.console.ui.dialog import confirm, dialog, dialog_buttons
from blemish.console.ui.frame import frame, heading, labelled, link, page, text, visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.permissions import forbid, may_act
from blemish.console.ui.table import Cell, table
from blemish.domain.entities import KioskLink
from blemish.service.access.kiosk_links import MOST_NOTE, SHOWN_ID

LIST, CREATE, DELETE = "iam:ListAccessKeys", "iam:CreateAccessKey", "iam:DeleteAccessKey"

COLUMNS = (later("Line"), later("Note"), "ID", later("Created by"), later("Created"), "")

FORBIDDEN = later("You may not do it ({action}).")


@page("/kiosks", title=later("Kiosk links"))
async def kiosks() -> None:
    """Show the links."""
    with frame(say("Kiosk links")):
        with ui.element("div").classes("head"):
            heading(say("Kiosk links"))
            ui.element("div").classes("room")
            link(say("Settings"), "/settings")
        text(
            say(
                "A kiosk link opens the full screen of one line without signing in, and "
                "nothing else. It works until it is revoked."
            ),
            classes="quiet",
            tag="p",
        )
        await _KioskPanel().draw()


class _KioskPanel:
    """The table of the links."""

    async def draw(self) -> None:
        """Draw it.

        Raises:
            AccessDeniedError: the visitor may not see the links.
        """
        self._bar = ui.element("div").classes("head")
        self._body = ui.element("div")
        self._dialogs = ui.element("div").classes("dialogs")
        await self._fill()

    async def _fill(self) -> None:
        looking = visitor()
        links = await looking.act_on_keys(LIST, looking.services.kiosks.all, Kind="kiosk")
        may_delete = await may_act(looking, DELETE)
        may_create = await may_act(looking, CREATE)
        self._bar.clear()
        self._body.clear()
        with self._bar:
            button = ui.button(say("New kiosk link"), icon="add", on_click=self._create)
            forbid(button, None if may_create else say(FORBIDDEN, action=CREATE))
        with self._body:
            if links:
                with ui.element("div").classes("panel"):
                    table(
                        [say(title) for title in COLUMNS],
                        [self._row(kiosk, may_delete=may_delete) for kiosk in links],
                    )
            else:
                text(say("There are none."), classes="quiet", tag="p")

    def _row(self, kiosk: KioskLink, *, may_delete: bool) -> tuple[Cell, ...]:
        def draw_button() -> None:
            button = ui.button(say("Revoke"), on_click=partial(self._revoke, kiosk))
            button.props("flat dense").props["aria-label"] = say(
                "Revoke {shown_id}", shown_id=_shown_id(kiosk)
            )
            forbid(button, None if may_delete else say(FORBIDDEN, action=DELETE))

        return (
            kiosk.line,
            kiosk.note or "-",
            _shown_id(kiosk),
            kiosk.created_by,
            lambda: moment(kiosk.created_at),
            draw_button,
        )

    def _create(self) -> None:
        with self._dialogs, dialog(say("New kiosk link")) as opened:
            line = ui.input(say("Name of the line")).props("autofocus maxlength=63")
            note = ui.input(say("Note, such as where the screen is")).props(
                f"maxlength={MOST_NOTE}"
            )

            async def act() -> None:
                looking = visitor()
                name = (await looking.principal()).name
                line_name, words = (line.value or "").strip(), (note.value or "").strip()
                token = await looking.act_on_keys(
                    CREATE,
                    partial(looking.services.kiosks.create, line_name, note=words, by=name),
                    Kind="kiosk",
                    Line=line_name,
                )
                await self._fill()
                with self._dialogs:
                    await _show_link(token)

            dialog_buttons(opened, say("Create"), act)

    def _revoke(self, kiosk: KioskLink) -> None:
        async def revoke() -> None:
            looking = visitor()
            await looking.act_on_keys(
                DELETE,
                partial(looking.services.kiosks.revoke, kiosk.token_sha256),
                Kind="kiosk",
                Line=kiosk.line,
                Id=_shown_id(kiosk),
            )
            await self._fill()

        consequence = say("The screens that it opened show nothing more within seconds.")
        with self._dialogs:
            confirm(
                say("Revoke {shown_id}?", shown_id=_shown_id(kiosk)),
                consequence,
                say("Revoke"),
                revoke,
                negative=True,
            )


def _shown_id(kiosk: KioskLink) -> str:
    return kiosk.token_sha256[:SHOWN_ID]


async def _show_link(token: str) -> None:
    """Show a link, this once."""
    request = ui.context.client.request
    address = f"{request.url.scheme}://{request.url.netloc}{KIOSK}?token={token}"
    with dialog(say("Kiosk link"), persistent=True) as opened:
        text(say("The link is shown this once. Open it on the screen at the line."), tag="p")
        with ui.element("div").classes("secret-line"):
            ui.input(say("Link"), value=address).props("readonly").classes("code")
            labelled(ui.button(say("Copy")).props("outline"), say("Copy link")).on(
                "click", js_handler=COPY
            )
        with ui.element("div").classes("line dialog-actions"):
            ui.button(say("I have copied it"), on_click=opened.close)
