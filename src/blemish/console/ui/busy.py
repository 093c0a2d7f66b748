"""A button while its work goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui


@contextmanager
def busy(button: ui.button) -> Iterator[None]:
    """Show that something takes its time, and let nobody start it twice."""
    button.props("loading").disable()
    try:
        yield
    finally:
        button.props(remove="loading").enable()
