"""The page Projects: cards to be searched, made and deleted."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from nicegui import ui

from blemish.console.images.image_requests import thumbnail_url
from blemish.console.language.messages import counted, later, say
from blemish.console.language.numbers import number_text, percent_text
from blemish.console.paths import ROOT, project_path
from blemish.console.projects.delete_project import ask_to_delete
from blemish.console.projects.project_summary import ProjectSummary, summary_of
from blemish.console.ui.dialog import dialog, dialog_buttons
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor
from blemish.console.ui.pill import pill
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.errors import ConflictError

CARDS = 24
"""How many are shown at first, and how many more at each press of the button."""

STYLE = f'<link rel="stylesheet" href="{ROOT}/static/projects.css">'


@page("/", title=later("Projects"))
async def projects(q: str = "") -> None:
    """Show the projects as cards."""
    looking = visitor()
    names = await project_names(looking)
    may_create = await looking.may("CreateProject", ProjectName="new")
    ui.add_head_html(STYLE)
    with frame(say("Projects")):
        board = _Board(looking, names)
        with ui.element("div").classes("head"):
            heading(say("Projects"))
            ui.element("div").classes("room")
            link(say("Trash"), "/trash", classes="action")
            if names:
                search = ui.input(say("Search"), value=q).props(
                    "clearable debounce=150 type=search"
                )
                search.on_value_change(lambda event: board.search(event.value or ""))
                _new_button(allowed=may_create)
        if names:
            board.draw()
            await board.search(q)
            return
        advice = say(
            "A project is one product that you inspect: its images, and the models they teach."
        )
        with empty(say("No projects yet"), advice):
            _new_button(allowed=may_create)


async def project_names(looking: Visitor) -> list[str]:
    """Return the names of all projects that are not in the trash, newest first."""
    names: list[str] = []
    token = None
    trashed = await in_thread(looking.services.trash.projects)
    while True:
        answer = await looking.call("ListProjects", MaxResults=100, NextToken=token)
        listed = [project["ProjectName"] for project in answer["Projects"]]
        names += [name for name in listed if name not in trashed]
        token = answer.get("NextToken")
        if token is None:
            return names


class _Board:
    """The cards of the projects whose names match a search."""

    def __init__(self, looking: Visitor, names: list[str]) -> None:
        self._visitor = looking
        self._names = names
        self._query = ""
        self._shown = 0

    def draw(self) -> None:
        """Draw where the cards will be."""
        self._cards = ui.element("div").classes("tiles")
        self._none = text("", classes="quiet").props("role=status")
        self._more = ui.button(say("Show more"), on_click=self._go_on).props("outline")

    async def search(self, query: str) -> None:
        """Show the projects that have this in their name, whatever its case."""
        if query != self._query:
            address = f"{ROOT}/?q={quote(query, safe='')}" if query else f"{ROOT}/"
            ui.navigate.history.replace(address)
        self._query, self._shown = query, 0
        self._cards.clear()
        self._none.set_content("" if self._matching() else say("No project has that in its name."))
        await self._go_on()

    async def _go_on(self) -> None:
        query, matching = self._query, self._matching()
        names = matching[self._shown : self._shown + CARDS]
        self._shown += len(names)
        self._more.set_visibility(self._shown < len(matching))
        summaries = await gather(*(summary_of(self._visitor, name) for name in names))
        if query != self._query:  # somebody types on
            return
        may_delete = await gather(
            *(self._visitor.may("DeleteProject", ProjectName=name) for name in names)
        )
        with self._cards:
            for summary, may in zip(summaries, may_delete, strict=True):
                if summary is not None:
                    _card(summary, may_delete=may)

    def _matching(self) -> list[str]:
        wanted = self._query.casefold()
        return [name for name in self._names if wanted in name.casefold()]


def _card(summary: ProjectSummary, *, may_delete: bool) -> None:
    with ui.element("article").classes("project-card"):
        with ui.element("div").classes("project-image"):
            if summary.image is None:
                ui.icon("add_photo_alternate", size="40px").props("aria-hidden=true")
            else:
                image = ui.element("img").props('alt="" loading=lazy')
                image.props["src"] = thumbnail_url(summary.image)
        with ui.element("div").classes("project-facts"):
            with ui.element("h2"):
                anchor = ui.element("a")
                anchor.props["href"] = ROOT + project_path(summary.name)
                with anchor:
                    text(summary.name)
            text(_images_text(summary), classes="quiet")
            with ui.element("div").classes("line"):
                _pills(summary)
        if not may_delete:
            return
        button = (
            ui.button(icon="delete_outline", color=None)
            .props("flat round dense")
            .classes("project-delete")
        )
        button.props["aria-label"] = say("Delete project {name}", name=summary.name)
        button.on_click(lambda: ask_to_delete(visitor(), summary.name))


def _images_text(summary: ProjectSummary) -> str:
    if not summary.images:
        return say("No images yet")
    return say(
        "{number}, {labeled} labelled",
        number=counted(summary.images, "{count} image", "{count} images"),
        labeled=number_text(summary.labeled),
    )


def _pills(summary: ProjectSummary) -> None:
    measured = summary.measured
    if summary.training:
        pill(say("training"), "busy")
    if measured is not None:
        pill(f"F1 {percent_text(measured['Performance']['F1Score'])}")
    if not summary.models:
        pill(say("No model yet"))
        return
    if summary.more_models:
        pill(say("{number}+ models", number=number_text(len(summary.models))))
    else:
        pill(counted(len(summary.models), "{count} model", "{count} models"))
    if summary.running:
        pill(say("running"), "good")


def _new_button(*, allowed: bool) -> None:
    if allowed:
        ui.button(say("New project"), icon="add", on_click=_ask_for_name)


async def _created(name: str) -> Mapping[str, Any]:
    """Create a project.

    Raises:
        ServiceError: it cannot be created; the message says so if the name is in the trash.
    """
    try:
        return await visitor().call("CreateProject", ProjectName=name)
    except ConflictError as error:
        if name not in await in_thread(visitor().services.trash.projects):
            raise
        error.message = say(
            "{name} is in the trash. Restore it, or delete it there for good.", name=name
        )
        error.args = (error.message,)
        raise


def _ask_for_name() -> None:
    with dialog(say("New project")) as opened:
        name = ui.input(say("Name")).props("autofocus maxlength=255")
        name.props["hint"] = say("Letters, digits, underscores and hyphens")

        async def create() -> None:
            answer = await _created((name.value or "").strip())
            ui.navigate.to(project_path(answer["ProjectMetadata"]["ProjectName"]))

        name.on("keydown.enter", dialog_buttons(opened, say("Create"), create))
