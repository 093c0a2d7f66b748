"""Records of signing in and out, and of requests that the guard refuses, for the audit log."""

from __future__ import annotations

import re
from dataclasses import replace

from starlette.requests import HTTPConnection

from blemish.console.services import Services
from blemish.domain.access.principals import Principal
from blemish.domain.access.roles import UserRole
from blemish.domain.errors import AccessDeniedError
from blemish.wire.calls import Call
from blemish.wire.signature import Caller

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""Instead of a text that may be a secret in the wrong field, as CloudTrail does."""

_KEY_ID = re.compile(r"BLEM[A-Z0-9]{16}")


def is_key_id(name: str) -> bool:
    """Return whether a text has the form of the id of an access key, as no name of a user has."""
    return _KEY_ID.fullmatch(name) is not None


def record_sign_in(
    services: Services,
    connection: HTTPConnection,
    name: str,
    *,
    principal: Principal | None = None,
    problem: str | None = None,
) -> None:
    """Record an attempt to sign in as a user or with an access key; a problem says why it failed.

    A name is recorded if it is that of a user: any other text may be a password.
    """
    if is_key_id(name):
        members = {"AccessKeyId": name}
    elif services.users.exists(name):
        members = {"UserName": name}
    else:
        members = {"AccessKeyId": HIDDEN}
    call = _call(services, connection, "ConsoleLogin", **members)
    services.audits.sign_in(_ended(call, services, principal=principal, problem=problem))


def record_provider_sign_in(
    services: Services,
    connection: HTTPConnection,
    *,
    principal: Principal | None = None,
    role: UserRole | None = None,
    problem: str | None = None,
) -> None:
    """Record an attempt to sign in by the identity provider; a problem says why it failed.

    The role is recorded too: groups at the provider change it, which no call here shows.
    """
    members = {"IdentityProvider": services.provider.issuer if services.provider else ""}
    members |= {"Role": role} if role else {}
    call = _call(services, connection, "ConsoleLogin", **members)
    services.audits.sign_in(_ended(call, services, principal=principal, problem=problem))


def record_kiosk(
    services: Services,
    connection: HTTPConnection,
    *,
    principal: Principal | None = None,
    problem: str | None = None,
) -> None:
    """Record that a kiosk link was opened; a problem says why it led nowhere."""
    call = _call(services, connection, "OpenKioskLink")
    services.audits.sign_in(_ended(call, services, principal=principal, problem=problem))


def record_sign_out(services: Services, connection: HTTPConnection, principal: Principal) -> None:
    """Record that somebody signed out."""
    call = _call(services, connection, "ConsoleLogout")
    services.audits.sign_in(_ended(call, services, principal=principal))


def record_refusal(services: Services, connection: HTTPConnection, problem: str) -> None:
    """Record a request that reached no page."""
    path = connection.scope["path"]
    call = _call(services, connection, "ConsoleRequest", Path=path)
    services.audits.sign_in(_ended(call, services, problem=problem))


def _call(services: Services, connection: HTTPConnection, operation: str, **members: str) -> Call:
    return Call(
        request_id=services.new_name(),
        received_at=services.clock(),
        source_ip=connection.client.host if connection.client else None,
        user_agent=connection.headers.get("user-agent"),
        secure=connection.scope.get("scheme") in {"https", "wss"},
        operation=operation,
        members=members,
    )


def _ended(
    call: Call,
    services: Services,
    *,
    principal: Principal | None = None,
    problem: str | None = None,
) -> Call:
    caller = None
    if principal is not None:
        caller = Caller(principal=principal, region=services.region, service="signin")
    if problem is None:
        return replace(call, caller=caller, status=200)
    return replace(call, caller=caller, status=403, error=AccessDeniedError(problem))
