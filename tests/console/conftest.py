"""A real browser, and pages of a real server in it."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from blemish.server.stores import bundles_of
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from tests.acceptance.served import ServedDirectory
from tests.console.watched import Watched
from tests.once import made_once

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


@pytest.fixture(scope="session")
def two_models(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two models; the second one has a copy of the bundle of the first.

    So no test of the console has to wait for a training, but those that are about one.
    """

    def make(folder: Path) -> None:
        shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("reserve"))
        with closing(sqlite3.connect(folder / "blemish.db")) as database, database:
            names = [row[1] for row in database.execute("PRAGMA table_info(models)")]
            copied = [name for name in names if name not in {"id", "version", "bundle"}]
            columns = ", ".join(copied)
            ((bundle,),) = database.execute("SELECT bundle FROM models")
            bundles = bundles_of(Settings(data_dir=folder), DataDirectory(folder))
            bundles.add(f"2-{bundle}", bundles.read(bundle), kms_key_id=None)
            database.execute(
                f"INSERT INTO models (version, bundle, {columns}) "
                f"SELECT 2, '2-' || bundle, {columns} FROM models"
            )

    return made_once("two-models", make, temporary=tmp_path_factory)


@pytest.fixture(scope="session")
def shared_server(
    two_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedDirectory]:
    """A server with two models that all modules of a worker share: each has projects of its own."""
    yield from running(two_models, tmp_path_factory)


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    """A server without projects, of one module."""
    yield from running(None, tmp_path_factory)


@pytest.fixture(scope="module")
def trained_server(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedDirectory]:
    """A server with a trained model, of one module that changes its project."""
    yield from running(trained, tmp_path_factory)


def running(content: Path | None, temporary: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    """Run a server over a copy of a data directory."""
    server = ServedDirectory(temporary.mktemp("console") / "data", environment={}, content=content)
    server.start()
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def served(shared_server: ServedDirectory) -> ServedDirectory:
    """The server of a module: the shared one, unless the module needs another."""
    return shared_server


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
