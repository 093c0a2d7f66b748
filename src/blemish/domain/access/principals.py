"""Principals: the holders of access keys and users, as policies and logs name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from blemish.domain.access.policies import NOTHING, Policy

_USER = "user:"
"""Begins the ids of users among those of access keys, none of which has a colon."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The holder of an access key or a user, with the policy."""

    #: empty for a user, who signs no requests
    access_key_id: str
    #: name of the user, or of the access key, which rotation does not change
    name: str
    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: Policy = field(default=NOTHING, repr=False)
    #: the line whose page is the only one that it may open in the console; None for people
    only_line: str | None = None


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A principal with the secret that it signs requests with."""

    principal: Principal
    secret: str = field(repr=False)


def user_holder_id(name: str) -> str:
    """Return what stands for a user where else the id of an access key stands."""
    return f"{_USER}{name}"


def user_of_holder(holder_id: str) -> str | None:
    """Return the name of the user that an id stands for; None for the id of an access key."""
    return holder_id.removeprefix(_USER) if holder_id.startswith(_USER) else None
