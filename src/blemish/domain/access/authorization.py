"""Whether a principal may do something, asked of its policy; and what it is told if not.

Source: AWS IAM User Guide, "Troubleshoot access denied error messages", for the words.
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

    #: such as `lookoutvision:CreateModel`
    action: str
    #: an ARN, or `ANY_RESOURCE`
    resource: str
    #: the resource as the caller named it, if it is to learn no more
    description: str | None = None
    #: condition keys that only some actions have, by their names in lower case
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    request_tags: Mapping[str, str] = field(default_factory=dict)
    resource_tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What a request says of itself, whatever it wants."""

    at: datetime
    #: None if it came by no network
    source_ip: str | None
    #: whether nobody on the way can read it
    secure: bool


def authorize(principal: Principal, wanted: Wanted, circumstances: Circumstances) -> None:
    """Allow what a policy allows.

    Raises:
        AccessDeniedError: it does not.
    """
    if problem := denial(principal, wanted, circumstances):
        raise AccessDeniedError(problem)


def denial(principal: Principal, wanted: Wanted, circumstances: Circumstances) -> str | None:
    """Say why a principal may not have what it wants; None if it may."""
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
