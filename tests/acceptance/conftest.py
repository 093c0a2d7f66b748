"""Servers for the tests that want one."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.served import ServedDirectory


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServedDirectory]]:
    """Start servers, each over a folder of its own; they end with the test."""
    started: list[ServedDirectory] = []

    def start(*, content: Path | None = None, **environment: str) -> ServedDirectory:
        folder = tmp_path / f"data-{len(started)}"
        served = ServedDirectory(folder, environment=environment, content=content)
        started.append(served)
        served.start()
        return served

    yield start
    for served in started:
        served.end(signal.SIGKILL)


@pytest.fixture
def served(serve: Callable[..., ServedDirectory]) -> ServedDirectory:
    """A server with the default settings."""
    return serve()


@pytest.fixture
def served_model(serve: Callable[..., ServedDirectory], trained: Path) -> ServedDirectory:
    """A server with the default settings and a trained model."""
    return serve(content=trained)
