"""What every test shares: hypothesis profiles, and where the real images are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings
from pytest_socket import disable_socket, enable_socket

from tests.once import made_once

if TYPE_CHECKING:
    from tests.postgresql_server import PostgresqlServer

ROOT = Path(__file__).parent.parent

# the workers import every test, and hundreds of processes the package: compiling it each time took
# a third of the time that a server takes to start
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# the workers share the cores, and numpy's threads spin while they wait for each other: a test that
# fits parts as a training does, which has a limit of its own, took ten times as long
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# the quickest backbone; tests of others name them
os.environ.setdefault("BLEMISH_BACKBONE", "scattering")

# as the server does; structlog's own way draws a traceback for two seconds
PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], PLAIN])

SLOW_MACHINE = [HealthCheck.too_slow]
# the same examples in every run, so that a change that fails is the one that broke something;
# `nightly` draws new ones
ALIKE = settings(deadline=None, derandomize=True, suppress_health_check=SLOW_MACHINE)
settings.register_profile("dev", ALIKE, max_examples=25)
settings.register_profile("ci", ALIKE, max_examples=100)
settings.register_profile("nightly", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let only acceptance tests open sockets; asyncio needs those within the process."""
    if item.get_closest_marker("acceptance"):
        enable_socket()
    else:
        disable_socket(allow_unix_socket=True)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a model of the drawn product, to be copied; all workers share it."""
    from tests.acceptance.product import train_into  # noqa: PLC0415 - not for tests of a unit

    return made_once("trained", train_into, temporary=tmp_path_factory)


@pytest.fixture(scope="session")
def edge_bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundles of a classification and of a segmentation model; all workers share them."""
    from tests.edge_bundles import train_edge_bundles  # noqa: PLC0415 - not for every test

    return made_once("edge-bundles", train_edge_bundles, temporary=tmp_path_factory)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A server of PostgreSQL, where it is installed."""
    from tests.postgresql_server import postgresql_server  # noqa: PLC0415 - it may be absent

    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images and the real backbone."""
    folder = Path(os.environ.get("BLEMISH_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"{folder} is absent: set BLEMISH_SHARED to the folder of real images")
    return folder
