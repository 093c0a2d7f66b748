"""A console in this process, which all tests of a worker share; each has projects of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.console.in_process import Browser, InProcessConsole, in_process_console


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessConsole]:
    """The console."""
    with in_process_console(tmp_path_factory.mktemp("console") / "data") as console:
        yield console


@pytest.fixture
def browser(console: InProcessConsole) -> Browser:
    """The browser of somebody who may do everything."""
    return console.browser()


@pytest.fixture
def project(console: InProcessConsole) -> str:
    """A project without images."""
    return console.new_project()
