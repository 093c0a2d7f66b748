"""Each request needs what docs/guide/permissions.md says: no permission less, and none more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from blemish.api.service_model import service_model
from blemish.domain.access.policies import parse_policy
from blemish.domain.access.roles import DOCUMENTS, UserRole
from blemish.domain.errors import AccessDeniedError
from blemish.s3.authorization import ACTIONS, s3_gate
from blemish.server.interfaces import build_operations
from blemish.wire.calls import Call
from blemish.wire.dispatch import Dispatcher
from blemish.wire.rest_json_service import rest_json_dispatcher
from blemish.wire.signature import Caller
from tests.asgi_client import PRINCIPAL, signer
from tests.permissions import (
    ARNS,
    PAGE,
    Need,
    UnreadDatabase,
    api_gate,
    api_members,
    api_needs,
    page,
    s3_members,
    s3_needs,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ROLES = list(UserRole)
API = sorted(service_model().operation_names)
API_NEEDS = [(operation, need) for operation in API for need in api_needs(operation)]
S3_NEEDS = [(operation, need) for operation in ACTIONS for need in s3_needs(operation)]


class UnreadServices:
    """Services of which none may be called."""

    def __getattr__(self, name: str) -> Any:
        return UnreadDatabase()


@cache
def dispatcher() -> Dispatcher:
    """The API over services that may not be called."""
    foundation: Any = SimpleNamespace(arns=ARNS)
    services: Any = UnreadServices()
    return rest_json_dispatcher(
        service_model(),
        build_operations(foundation, services),
        signer=signer,
        clock=lambda: NOW,
        request_ids=lambda: "1",
        max_body_bytes=lambda _: 0,
        gates=[api_gate()],
    )


def call_of(operation: str, members: Any, *, policy: list[dict[str, Any]]) -> Call:
    document = json.dumps({"Version": "2012-10-17", "Statement": policy})
    principal = replace(PRINCIPAL, policy=parse_policy(document))
    return Call(
        request_id="1",
        received_at=NOW,
        source_ip=None,
        user_agent=None,
        operation=operation,
        caller=Caller(principal=principal, region="REGION", service="s3"),
        members=members,
    )


def all_but(need: Need) -> list[dict[str, Any]]:
    return [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": need[0], "Resource": need[1]},
    ]


def only(needs: Iterable[Need]) -> list[dict[str, Any]]:
    return [{"Effect": "Allow", "Action": action, "Resource": on} for action, on in needs]


def refusal(operation: str, policy: list[dict[str, Any]]) -> str | None:
    """Return how the API refuses a call; None if it passes the gate."""
    call = call_of(operation, api_members(operation), policy=policy)
    try:
        asyncio.run(dispatcher().invoke(call))
    except AccessDeniedError as error:
        return str(error)
    except Exception:  # noqa: BLE001 - the sample is not valid, or a service is missing
        return None
    return None


def s3_refusal(operation: str, policy: list[dict[str, Any]]) -> str | None:
    call = call_of(operation, s3_members(operation), policy=policy)
    try:
        s3_gate(call)
    except AccessDeniedError as error:
        return str(error)
    return next(iter(call.refused.values()), None)


def test_the_page_has_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.permissions"


@pytest.mark.parametrize(("operation", "need"), API_NEEDS)
def test_an_operation_is_refused_without_one_permission(operation: str, need: Need) -> None:
    problem = refusal(operation, all_but(need))

    assert problem is not None
    assert need[0] in problem


@pytest.mark.parametrize("operation", API)
def test_an_operation_needs_no_other_permission(operation: str) -> None:
    assert refusal(operation, only(api_needs(operation))) is None


@pytest.mark.parametrize(("operation", "need"), S3_NEEDS)
def test_a_request_to_s3_is_refused_without_one_permission(operation: str, need: Need) -> None:
    problem = s3_refusal(operation, all_but(need))

    assert problem is not None
    assert need[0] in problem


@pytest.mark.parametrize("operation", sorted(ACTIONS))
def test_a_request_to_s3_needs_no_other_permission(operation: str) -> None:
    assert s3_refusal(operation, only(s3_needs(operation))) is None


@pytest.mark.parametrize("role", ROLES)
def test_a_role_passes_the_gate_for_what_the_page_says_and_nothing_else(role: UserRole) -> None:
    statements = json.loads(DOCUMENTS[role])["Statement"]
    gate = api_gate()
    allowed = set()

    for operation in API:
        try:
            gate(call_of(operation, api_members(operation), policy=statements))
        except AccessDeniedError:
            continue
        allowed.add(operation)

    number = ROLES.index(role) + 1
    lines = PAGE.read_text().partition("## The roles")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert allowed == {row[0] for row in rows if row[0] in API and row[number] == "yes"}
