"""Who acts: the holder of an access key, as policies and logs name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from blemish.domain.access.policies import NOTHING, Policy


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who acts, and what it may do."""

    access_key_id: str
    #: of the access key; stays when the key is rotated
    name: str
    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: Policy = field(default=NOTHING, repr=False)


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Who may sign requests, and with which secret."""

    principal: Principal
    secret: str = field(repr=False)
