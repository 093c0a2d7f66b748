"""What every page has around it, and how it shows errors.

    @page("/projects/{project}/train", title="Train")
    async def train(project: str) -> None:
        with frame("Train", project=project, section="train"):
            ...

A page calls the API as its `visitor()` and lets errors pass. While the page is built, an error
replaces it; later, an error is shown above it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from nicegui import ui
from nicegui.language import Language
from starlette.responses import Response

from blemish.console.away import away_response
from blemish.console.http import EXPECTED, is_away, problem_text
from blemish.console.language.messages import later, say
from blemish.console.language.scripts import script_tags
from blemish.console.language.visitor_language import current_language
from blemish.console.paths import ROOT, SIGN_IN, SIGN_OUT, project_path
from blemish.console.visitor import SignedOutError, Visitor, in_thread
from blemish.domain.errors import ResourceNotFoundError, ResourceType

Parameters = ParamSpec("Parameters")
Labelled = TypeVar("Labelled", bound=ui.element)

SESSION_CHECK_S = 5.0
"""How often an open page checks whether its session goes on."""

PROJECT_CHECK_S = 5.0
"""How often an open page checks whether its project is still there."""

RAIL = (
    ("overview", later("Overview"), "insights", ""),
    ("images", later("Images"), "photo_library", "/images"),
    ("train", later("Train"), "model_training", "/train"),
    ("models", later("Models"), "category", "/models"),
    ("try", later("Try it"), "image_search", "/try"),
)
"""The pages of a project: name in `frame`, what people read, icon, end of the path."""

QUASAR_LANGUAGES: Mapping[str, Language] = {
    "de": "de-DE",
    "es": "es",
    "ja": "ja",
    "zh": "zh-CN",
}
"""What the framework says itself, such as in the head of a table."""

for kind, props in (
    (ui.button, "unelevated no-caps"),
    (ui.input, "outlined dense"),
    (ui.select, "outlined dense"),
    (ui.number, "outlined dense"),
    (ui.textarea, "outlined dense"),
):
    kind.default_props(props)


def visitor() -> Visitor:
    """Return the visitor of the page that is being built, or whose event is handled."""
    looking: Visitor = ui.context.client.request.state.visitor
    return looking


class _TranslatedPage(ui.page):
    """A page whose title and framework speak the language of the visitor."""

    def resolve_title(self) -> str:
        return f"{say(self.title or '')} - Blemish"

    def resolve_language(self) -> Language | None:
        return QUASAR_LANGUAGES.get(current_language(), "en-US")


def page(path: str, *, title: str) -> Callable[..., Callable[..., Any]]:
    """Register the function that builds the page at a path below `/console`."""

    def register(
        build: Callable[Parameters, Awaitable[None]],
    ) -> Callable[Parameters, Awaitable[None]]:
        @_TranslatedPage(path, title=title, response_timeout=30)
        @wraps(build)
        async def built(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Response | None:
            name = _escaped(ui.context.client.request.state.visitor_name)
            ui.add_head_html(
                f'<meta name="blemish-visitor" content="{name}">'  # whose drafts scripts show
                f'<link rel="stylesheet" href="{ROOT}/static/console.css">{script_tags()}'
                f'<script src="{ROOT}/static/theme.js"></script>'
                f'<script src="{ROOT}/static/signed_out.js"></script>'
                f'<script src="{ROOT}/static/local_times.js"></script>'
                f'<script src="{ROOT}/static/typing_ahead.js"></script>'
            )
            if visitor().services.lines.names():
                ui.add_head_html(f'<script src="{ROOT}/static/waiting.js"></script>')
            ui.on_exception(show_problem)
            ui.timer(SESSION_CHECK_S, visitor().principal, immediate=False)
            try:
                await build(*args, **kwargs)
            except EXPECTED as error:
                if is_away(error):
                    return away_response(ui.context.client.request, problem_text(error))
                _replace_page(error)
            return None

        return built

    return register


@contextmanager
def frame(title: str, *, project: str | None = None, section: str = "") -> Iterator[None]:
    """Draw the bar, and a project's rail; what is drawn inside is the page.

    Args:
        title: the name of the page in the bar.
        project: the project that the page is about.
        section: name in `RAIL` of the page, or of the page that it belongs to.
    """
    _bar(title, project)
    with ui.element("div").classes("below"):
        if project is not None:
            _rail(project, section)
            ui.timer(PROJECT_CHECK_S, partial(_check_project, visitor(), project), immediate=False)
        with ui.element("div").classes("page").props("id=page"):
            yield


def link(text: str, path: str, *, classes: str = "") -> ui.element:
    """Draw a link to a page of the console; the path begins with a slash."""
    anchor = ui.element("a").props(f'href="{ROOT}{quote(path, safe="/?=&%#")}"').classes(classes)
    with anchor:
        ui.html(tag="span", content="", sanitize=False).set_content(_escaped(text))
    return anchor


def heading(text: str, level: int = 1) -> None:
    """Draw a heading."""
    ui.html(_escaped(text), sanitize=False, tag=f"h{level}")


def text(content: str, *, classes: str = "", tag: str = "span") -> ui.html:
    """Draw a text, whatever characters are in it."""
    return ui.html(_escaped(content), sanitize=False, tag=tag).classes(classes)


def labelled(element: Labelled, label: str) -> Labelled:
    """Give an element a name for people who do not see it, and return it."""
    element.props["aria-label"] = label
    return element


def empty(title: str, advice: str) -> ui.element:
    """Draw why there is nothing to show; buttons for the next step go inside."""
    block = ui.element("div").classes("empty")
    with block:
        heading(title, 2)
        text(advice, tag="p")
    return block


def show_problem(error: Exception) -> None:
    """Show an error above the page; show the sign-in form if the session is over."""
    if isinstance(error, SignedOutError):
        ui.navigate.to(SIGN_IN.removeprefix(ROOT))
        return
    if isinstance(error, ResourceNotFoundError) and error.resource_type is ResourceType.PROJECT:
        _replace_page(error)
        return
    ui.notify(
        problem_text(error),
        type="negative",
        multi_line=True,
        timeout=12_000,
        close_button=say("Close"),
    )


def _replace_page(error: Exception) -> None:
    """Show an error instead of the page, as when its project was deleted in another tab."""
    content = ui.context.client.content
    content.clear()
    with content:
        _show_instead(error)


def _show_instead(error: Exception) -> None:
    if isinstance(error, SignedOutError):
        ui.navigate.to(SIGN_IN.removeprefix(ROOT))
        return
    with frame(say("Not available")), empty(say("This page cannot be shown"), problem_text(error)):
        link(say("All projects"), "/")


async def _check_project(looking: Visitor, project: str) -> None:
    """Raise if the project was deleted meanwhile.

    Raises:
        ResourceNotFoundError: it was.
    """

    def check() -> None:
        try:
            looking.services.models.page(project, token=None, limit=1)
        except ResourceNotFoundError as error:
            raise ResourceNotFoundError(
                say("The project {project} was deleted.", project=project),
                resource_type=ResourceType.PROJECT,
                resource_id=error.resource_id,
            ) from None

    await in_thread(check)


def _bar(title: str, project: str | None) -> None:
    with ui.element("header").classes("bar"):
        with ui.element("a").props('href="#page"').classes("skip"):
            text(say("Skip to the page"))
        with ui.element("a").props(f'href="{ROOT}/"').classes("mark"):
            ui.html(
                f'<img src="{ROOT}/static/mark.svg" alt="" width="24" height="24">', sanitize=False
            )
            text("Blemish")
        if project is not None:
            link(project, project_path(project), classes="crumb")
        text(title, classes="crumb")
        ui.element("div").classes("room")
        link(say("Projects"), "/", classes="plain")
        with link(say("Lines"), "/lines", classes="plain"):
            ui.element("span").props("data-waiting")
        link(say("Settings"), "/settings", classes="plain")
        button = ui.button(icon="contrast").props("flat round dense data-theme-button")
        labelled(button, say("Theme")).on("click", js_handler="() => nextTheme()")
        text(ui.context.client.request.state.visitor_name, classes="who")
        _sign_out()


def _sign_out() -> None:
    with ui.element("form").props(f'method=post action="{SIGN_OUT}"'):
        ui.button(say("Sign out")).props("flat dense type=submit")


def _rail(project: str, section: str) -> None:
    with labelled(ui.element("nav").classes("rail"), say("Project")):
        for name, title, icon, rest in RAIL:
            current = " aria-current=page" if name == section else ""
            target = f"{ROOT}{project_path(project, rest)}"
            with ui.element("a").props(f'href="{target}"{current}'):
                ui.icon(icon, size="20px").props("aria-hidden=true")
                text(say(title))


def _escaped(content: str) -> str:
    return content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class _Expected(logging.Filter):
    """Keeps errors out of the log that a person was shown."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else record.msg
        return not isinstance(error, EXPECTED)


logging.getLogger("nicegui").addFilter(_Expected())
