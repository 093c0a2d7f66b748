"""A real browser, and pages of a real server in it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.served import ServedDirectory
from tests.console.watched import Watched

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
"""The first has no windows to draw, and takes a fifth less processor time."""

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window.

    While it is there an event loop runs in this process, which other tests could not bear.
    """
    if CHROMIUM is None:
        pytest.skip(
            "there is no Chromium to test the console: apt-get install chromium-headless-shell"
        )
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def content() -> Path | None:
    """The data directory that the server of a module begins with; None for an empty one."""
    return None


@pytest.fixture(scope="module")
def served(
    content: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedDirectory]:
    """A server that the tests of a module share."""
    folder = tmp_path_factory.mktemp("console") / "data"
    server = ServedDirectory(folder, environment={}, content=content)
    server.start()
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture
def visit(browser: Browser, served: ServedDirectory) -> Iterator[Callable[..., Watched]]:
    """Open browsers of their own on the server; whatever goes wrong in a page fails the test."""
    opened: list[Watched] = []

    def open_one(*, signed_in: bool = True, **settings: Any) -> Watched:
        watched = Watched(browser, served, **settings)
        opened.append(watched)
        if signed_in:
            watched.sign_in()
        return watched

    yield open_one
    for watched in opened:
        watched.close()


@pytest.fixture(scope="session")
def cookies(shared: Path) -> Path:
    """The folder of real images of cookies."""
    return shared / "data" / "cookies"
