"""The dialog: a title, content, and buttons; it is deleted when it is closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from nicegui import ui

from blemish.console.http import EXPECTED, problem_text
from blemish.console.language.messages import say
from blemish.console.ui.frame import heading, text
from blemish.console.visitor import SignedOutError

Act = Callable[[], Awaitable[object]]


@contextmanager
def dialog(
    title: str, *, persistent: bool = False, classes: str = "", heads: bool = True
) -> Iterator[ui.dialog]:
    """Open a dialog; what is drawn inside is its content.

    Args:
        title: its name, and its heading.
        persistent: whether only its own buttons close it.
        classes: of its content.
        heads: whether the heading is drawn.
    """
    opened = ui.dialog()
    opened.props["aria-label"] = title
    if persistent:
        opened.props("persistent")
    opened.on("hide", opened.delete)
    with opened, ui.card().classes(f"stack {classes}"):
        if heads:
            heading(title, 2)
        yield opened
    opened.open()


def dialog_buttons(
    opened: ui.dialog, word: str, act: Act, *, cancel: str = "", negative: bool = False
) -> Act:
    """Draw the button that acts and closes the dialog, and the one that only closes it.

    What people entered stays when it is refused: the dialog says why and stays open.

    Returns:
        What the first button does, so that a key can do it too.
    """
    return _draw_buttons(opened, word, act, cancel=cancel, negative=negative)[0]


def _draw_buttons(
    opened: ui.dialog, word: str, act: Act, *, cancel: str, negative: bool
) -> tuple[Act, ui.button]:
    problem = text("", classes="problem", tag="p").props("role=alert")
    problem.set_visibility(False)

    async def act_and_close() -> None:
        try:
            await act()
        except SignedOutError:
            raise
        except EXPECTED as error:
            problem.set_content(_escaped(problem_text(error)))
            problem.set_visibility(True)
            return
        opened.close()

    with ui.element("div").classes("line dialog-actions"):
        ui.button(cancel or say("Cancel"), on_click=opened.close).props("flat")
        color = "negative" if negative else "primary"
        button = ui.button(word, on_click=act_and_close, color=color)
    return act_and_close, button


def confirm(
    title: str,
    consequence: str,
    word: str,
    act: Act,
    *,
    cancel: str = "",
    negative: bool = False,
) -> None:
    """Ask before something is done.

    Args:
        title: the question.
        consequence: what it means to do it.
        word: on the button that does it.
        act: does it.
        cancel: on the other button, else Cancel.
        negative: whether something is lost.
    """
    with dialog(title) as opened:
        text(consequence, tag="p")
        dialog_buttons(opened, word, act, cancel=cancel, negative=negative)


def ask_by_name(title: str, consequence: str, name: str, act: Act) -> None:
    """Ask before something is deleted, by its name, which has to be typed."""
    with dialog(title, persistent=True) as opened:
        text(consequence, tag="p")
        field = ui.input(say("Type {name} to delete it", name=name)).props("autofocus")
        _, button = _draw_buttons(opened, say("Delete"), act, cancel=say("Keep it"), negative=True)
        button.disable()
        field.on_value_change(lambda event: button.set_enabled(event.value == name))


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>")
