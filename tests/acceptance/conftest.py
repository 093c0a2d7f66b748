"""Servers for the tests that want one."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.served import ServedDirectory

if TYPE_CHECKING:
    from tests.acceptance.station_receivers import Broker


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


@pytest.fixture
def broker_folder(tmp_path: Path) -> Path:
    """A folder that mosquitto may read."""
    from tests.acceptance.station_receivers import MOSQUITTO  # noqa: PLC0415 - not for every test

    if MOSQUITTO is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.fixture
def broker(broker_folder: Path) -> Iterator[Broker]:
    """An MQTT broker that knows the user `line`."""
    from tests.acceptance.station_receivers import Broker  # noqa: PLC0415 - not for every test

    process = Broker(broker_folder, "user root")
    process.start()
    yield process
    process.end()
