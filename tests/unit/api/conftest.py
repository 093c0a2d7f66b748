"""A boto3 client of the operations, over the services of the test; there is no socket."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blemish.api.service_model import service_model
from blemish.domain.access.builtin_policies import FULL_ACCESS
from blemish.server.interfaces import build_operations
from blemish.wire.rest_json_service import rest_json_dispatcher
from tests.asgi_client import PRINCIPAL, boto3_client, installed_models, signer
from tests.unit.fakes import FakeHosting
from tests.unit.house import House

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Switch:
    """An application that another one answers for: a client takes long to make, and is kept."""

    application: Application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.application(scope, receive, send)


@dataclass
class Passed:
    """How much time the operations believe has passed."""

    time: timedelta = timedelta(0)


@pytest.fixture
def passed() -> Passed:
    """Time that a test lets pass."""
    return Passed()


@pytest.fixture(scope="session")
def switch() -> Switch:
    """What the client of all tests speaks to."""
    return Switch()


@pytest.fixture(scope="session")
def kept_client(switch: Switch) -> Any:
    """The client of all tests."""
    return boto3_client(switch)


@pytest.fixture(scope="session")
def kept_extended_client(switch: Switch) -> Any:
    """The client of all tests of what is ours."""
    return boto3_client(switch, models=installed_models())


@pytest.fixture
def hosting(house: House) -> FakeHosting:
    """Where hosted models run."""
    return house.hosting


@pytest.fixture
def operations(house: House) -> list[object]:
    """The operations over the services of the test, which know the key of its client."""
    house.key(PRINCIPAL.name, FULL_ACCESS)
    return build_operations(house.foundation, house.services)


@pytest.fixture
def application(operations: list[object], passed: Passed) -> Application:
    """What answers by the operations."""
    numbers = itertools.count(1)
    return rest_json_dispatcher(
        service_model(),
        operations,
        signer=signer,
        clock=lambda: datetime.now(UTC) + passed.time,
        clock_skew_s=10**6,  # the client signs by the time that it is
        request_ids=lambda: f"request-{next(numbers)}",
        max_body_bytes=lambda _: 1_000_000,
    )


@pytest.fixture
def client(application: Application, switch: Switch, kept_client: Any) -> Any:
    """A boto3 client whose calls the operations answer."""
    switch.application = application
    return kept_client


@pytest.fixture
def extended_client(application: Application, switch: Switch, kept_extended_client: Any) -> Any:
    """A boto3 client that knows what is ours, too."""
    switch.application = application
    return kept_extended_client
