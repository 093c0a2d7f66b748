"""Principals: the holders of access keys, as policies and logs name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from blemish.domain.access.policies import NOTHING, Policy


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The holder of an access key, with its policy."""

    access_key_id: str
    #: name of the access key, which rotation does not change
    name: str
    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: Policy = field(default=NOTHING, repr=False)


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A principal with the secret that it signs requests with."""

    principal: Principal
    secret: str = field(repr=False)
