"""Checking a request against the policy of its principal.

Source of the messages: AWS IAM User Guide, "Troubleshoot access denied error messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from blemish.domain.access.context import Context
from blemish.domain.access.policies import Decision
from blemish.domain.access.principals import Principal
from blemish.domain.errors import AccessDeniedError


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An action on a resource."""

    #: for example `lookoutvision:CreateModel`
    action: str
    #: an ARN, or `ANY_RESOURCE`
    resource: str
    #: the resource as the caller named it, if the message must not show more
    description: str | None = None
    #: condition keys of this action, by name in lower case
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    request_tags: Mapping[str, str] = field(default_factory=dict)
    resource_tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """Facts about a request that do not depend on its action."""

    at: datetime
    #: None without a network
    source_ip: str | None
    #: whether the connection is encrypted
    secure: bool


def authorize(principal: Principal, wanted: Wanted, circumstances: Circumstances) -> None:
    """Check that the policy of a principal allows an action.

    Raises:
        AccessDeniedError: the policy does not allow it.
    """
    if problem := denial(principal, wanted, circumstances):
        raise AccessDeniedError(problem)


def denial(principal: Principal, wanted: Wanted, circumstances: Circumstances) -> str | None:
    """Return why the policy denies an action; None if it allows it."""
    context = _context(principal, wanted, circumstances)
    match principal.policy.decide(wanted.action, wanted.resource, context):
        case Decision.ALLOWED:
            return None
        case Decision.DENIED:
            reason = "with an explicit deny in an identity-based policy"
        case Decision.NOT_ALLOWED:
            reason = f"because no identity-based policy allows the {wanted.action} action"
    return (
        f"User: {principal.arn} is not authorized to perform: {wanted.action} on resource: "
        f"{wanted.description or wanted.resource} {reason}"
    )


def authorize_action(principal: Principal, action: str) -> None:
    """Check that the policy of a principal may allow an action on some resource.

    Raises:
        AccessDeniedError: it allows it on none.
    """
    if not principal.policy.allows_somewhere(action):
        raise AccessDeniedError(
            f"User: {principal.arn} is not authorized to perform: {action} on any resource"
        )


def allows_below(
    principal: Principal, action: str, prefix: str, circumstances: Circumstances
) -> bool:
    """Return whether the policy allows an action on all resources whose ARN begins with `prefix`.

    False if it does not allow it on some of them, or may not.
    """
    context = _context(principal, Wanted(action=action, resource=prefix), circumstances)
    return principal.policy.allows_below(action, prefix, context)


def _context(principal: Principal, wanted: Wanted, circumstances: Circumstances) -> Context:
    keys = {
        "aws:currenttime": (circumstances.at.isoformat(),),
        "aws:epochtime": (str(int(circumstances.at.timestamp())),),
        "aws:principalarn": (principal.arn,),
        "aws:securetransport": (str(circumstances.secure).lower(),),
        "aws:username": (principal.name,),
        **wanted.keys,
    }
    if circumstances.source_ip is not None:
        keys["aws:sourceip"] = (circumstances.source_ip,)
    tags = {
        "aws:principaltag": principal.tags,
        "aws:requesttag": wanted.request_tags,
        "aws:resourcetag": wanted.resource_tags,
    }
    return Context(keys=keys, tags=tags)
