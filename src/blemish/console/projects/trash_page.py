"""The trash: projects and models that were deleted in the console, for a day."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.projects.delete_project import POLL_S, delete_project
from blemish.console.ui.dialog import ask_by_name
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.permissions import forbid
from blemish.console.ui.table import Cell, table
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import TrashItem
from blemish.service.deletions import UNDO_AGE

COLUMNS = (
    later("What"),
    later("Deleted by"),
    later("Deleted"),
    later("Kept until"),
    "",
)

MOST_LOOKS = 100
"""At a model that is deleted, before the page shows it as it is."""

FORBIDDEN = later("You may not delete it, so you may not restore it either.")


@page("/trash", title=later("Trash"))
async def trash() -> None:
    """Show the trash."""
    await visitor().authorize("lookoutvision:ListProjects", "*")
    with frame(say("Trash")):
        with ui.element("div").classes("head"):
            heading(say("Trash"))
            ui.element("div").classes("room")
            link(say("Projects"), "/")
        text(
            say("What is deleted in the console stays here for a day. Programs see it as before."),
            classes="quiet",
            tag="p",
        )
        await _TrashTable().draw()


class _TrashTable:
    """What is in the trash, with a button to restore each."""

    async def draw(self) -> None:
        """Draw it."""
        self._body = ui.element("div")
        self._dialogs = ui.element("div").classes("dialogs")
        await self._fill()

    async def _fill(self) -> None:
        looking = visitor()
        items = await in_thread(looking.services.trash.items)
        rows = [await self._row(looking, item) for item in items]
        self._body.clear()
        with self._body:
            if rows:
                with ui.element("div").classes("panel"):
                    table([say(title) for title in COLUMNS], rows)
            else:
                empty(say("Nothing in the trash"), say("Nothing was deleted here in the last day."))

    async def _row(self, looking: Visitor, item: TrashItem) -> tuple[Cell, ...]:
        allowed = await looking.may(_operation(item), **_members(item))
        why_not = None if allowed else say(FORBIDDEN)

        def draw_actions() -> None:
            with ui.element("div").classes("actions"):
                for word, act in (
                    (say("Restore"), self._restore),
                    (say("Delete now"), self._delete),
                ):
                    self._draw_action(word, item, act, why_not)

        return (
            name_of(item),
            item.moved_by,
            lambda: moment(item.moved_at),
            lambda: moment(item.moved_at + UNDO_AGE),
            draw_actions,
        )

    @staticmethod
    def _draw_action(
        word: str,
        item: TrashItem,
        act: Callable[[TrashItem], Awaitable[None]],
        why_not: str | None,
    ) -> None:
        button = ui.button(word, on_click=lambda: act(item)).props("flat dense")
        button.props["aria-label"] = f"{word}: {name_of(item)}"
        forbid(button, why_not)

    async def _restore(self, item: TrashItem) -> None:
        looking = visitor()
        contents = looking.services.trash

        def restore(_name: str) -> None:
            if item.version is None:
                contents.restore_project(item.project)
            else:
                contents.restore_model(item.project, str(item.version))

        event = "RestoreProject" if item.version is None else "RestoreModel"
        await looking.act_if_allowed(event, _operation(item), restore, **_members(item))
        ui.notify(say("{name_of} is back.", name_of=name_of(item)))
        await self._fill()

    async def _delete(self, item: TrashItem) -> None:
        async def delete() -> None:
            if item.version is None:
                await delete_project(visitor(), item.project, report=ui.notify)
            else:
                await visitor().call("DeleteModel", **_members(item))
                for _ in range(MOST_LOOKS):  # it is deleted in the background
                    if await _is_gone(item):
                        break
                    await asyncio.sleep(POLL_S)
            await self._fill()

        name = item.project if item.version is None else f"{item.project} {item.version}"
        with self._dialogs:
            ask_by_name(
                say("Delete {name_of} now?", name_of=name_of(item)),
                say("Nothing brings it back."),
                name,
                delete,
            )


async def _is_gone(item: TrashItem) -> bool:
    return item not in await in_thread(visitor().services.trash.items)


def name_of(item: TrashItem) -> str:
    """Return what people call an item."""
    if item.version is None:
        return say("Project {project}", project=item.project)
    return say("Model {version} of {project}", version=item.version, project=item.project)


def _operation(item: TrashItem) -> str:
    return "DeleteProject" if item.version is None else "DeleteModel"


def _members(item: TrashItem) -> dict[str, str]:
    members = {"ProjectName": item.project}
    return members if item.version is None else {**members, "ModelVersion": str(item.version)}
