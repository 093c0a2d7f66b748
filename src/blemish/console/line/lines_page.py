"""The pages of all lines: their state, and the settings of one."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from blemish.console.language.messages import later, say
from blemish.console.line.line_access import (
    CONFIGURE,
    LIST,
    START,
    STOP,
    act_on_line,
    check_models,
    line_path,
    may_on_line,
    visible_line,
    visible_lines,
)
from blemish.console.line.line_requests import set_line_stopped
from blemish.console.line.line_settings import LineForm
from blemish.console.line.reported import reported_text
from blemish.console.ui.dialog import confirm
from blemish.console.ui.frame import empty, frame, heading, link, page, text, visitor
from blemish.console.ui.pill import ChangingPill, Look, PillContent
from blemish.console.ui.table import table
from blemish.console.visitor import Visitor
from blemish.line.feed import LineState
from blemish.line.line import Line

REFRESH_S = 2.0
LOOKS: dict[LineState, Look] = {
    LineState.STOPPED: "",
    LineState.STARTING: "busy",
    LineState.RUNNING: "good",
    LineState.FAILED: "bad",
}
ADVICE = later(
    "A line takes images from a camera or a folder, lets a model of this server "
    "judge each, and hands the verdicts on."
)


@page("/lines", title=later("Lines"))
async def show_lines() -> None:
    """Show all lines."""
    looking = visitor()
    await looking.authorize(LIST, looking.services.lines.arn("*"))
    lines = await visible_lines(looking)
    may_create = await may_on_line(looking, CONFIGURE, "new")
    with frame(say("Lines")):
        with ui.element("div").classes("head"):
            heading(say("Lines"))
            ui.element("div").classes("room")
            if may_create:
                link(say("New line"), "/lines/new", classes="action")
        if not lines:
            empty(say("No lines yet"), say(ADVICE))
            return
        table(
            (say("Line"), say("Model"), say("State"), "", ""),
            [
                (
                    partial(link, line.name, line_path(line.name)),
                    f"{line.project} {line.version}",
                    partial(_state, line),
                    partial(link, say("History"), line_path(line.name, "/history")),
                    partial(link, say("Settings"), line_path(line.name, "/settings")),
                )
                for line in lines
            ],
        )


def _state(line: Line) -> None:
    shown = ChangingPill()
    words = text("", classes="quiet")

    def refresh() -> None:
        shown.show(PillContent(say(str(line.feed.state)), LOOKS[line.feed.state]))
        words.set_content(_escaped(reported_text(line.feed.message)))

    refresh()
    ui.timer(REFRESH_S, refresh)


@page("/lines/new", title=later("New line"))
async def new_line() -> None:
    """Show an empty form."""
    looking = visitor()
    await looking.authorize(CONFIGURE, looking.services.lines.arn("new"))
    with frame(say("New line")):
        heading(say("New line"))
        text(say(ADVICE), classes="quiet", tag="p")
        form = LineForm()
        await form.draw(looking)

        async def create() -> None:
            await _create(visitor(), form.name, form.settings)

        ui.button(say("Create and start"), on_click=create)


async def _create(looking: Visitor, name: str, settings: str) -> None:
    lines = looking.services.lines

    def create() -> None:
        check_models(looking, name, settings)
        lines.create(name, settings)

    await act_on_line(looking, CONFIGURE, name, "CreateLine", create)
    ui.navigate.to(line_path(name, "/settings"))


async def _change(looking: Visitor, name: str, settings: str) -> None:
    lines = looking.services.lines

    def change() -> None:
        check_models(looking, name, settings)
        lines.change(name, settings)

    await act_on_line(looking, CONFIGURE, name, "UpdateLine", change)


@page("/line/{name}/settings", title=later("Line"))
async def line_settings(name: str) -> None:
    """Show the settings of a line, and change them."""
    looking = visitor()
    line = await visible_line(looking, name)
    may_change = await may_on_line(looking, CONFIGURE, name)
    with frame(say("Line {name}", name=name)):
        with ui.element("div").classes("head"):
            heading(say("Line {name}", name=name))
            _state(line)
            ui.element("div").classes("room")
            link(say("Full screen"), line_path(name), classes="action")
            link(say("History"), line_path(name, "/history"), classes="action")
            if line.config and line.config.browser_sources():
                link(say("Camera"), line_path(name, "/camera"), classes="action")
            await _run_buttons(looking, name)
        if not may_change:
            return
        with ui.element("section").classes("panel"):
            heading(say("Settings"), 2)
            area = ui.textarea(say("Settings (TOML)"), value=line.settings).classes("line-settings")
            area.props("autogrow spellcheck=false")

            async def change() -> None:
                await _change(visitor(), name, area.value or "")
                ui.notify(say("The line runs with the new settings."), type="positive")

            ui.button(say("Save"), on_click=change)
        with ui.element("section").classes("panel"):
            heading(say("Delete"), 2)
            text(say("Its records and stored images go too."), classes="quiet", tag="p")
            ui.button(
                say("Delete the line"), on_click=lambda: _ask_to_delete(name), color="negative"
            )


async def _run_buttons(looking: Visitor, name: str) -> None:
    if await may_on_line(looking, START, name):
        ui.button(say("Start"), on_click=lambda: set_line_stopped(visitor(), name, stopped=False))
    if await may_on_line(looking, STOP, name):
        ui.button(
            say("Stop"), on_click=lambda: set_line_stopped(visitor(), name, stopped=True)
        ).props("outline")


def _ask_to_delete(name: str) -> None:
    async def delete() -> None:
        looking = visitor()
        lines = looking.services.lines
        await act_on_line(looking, CONFIGURE, name, "DeleteLine", lambda: lines.delete(name))
        ui.navigate.to("/lines")

    confirm(
        say("Delete line {name}?", name=name),
        say("Its records and stored images are removed for good."),
        say("Delete"),
        delete,
        negative=True,
    )


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;")
