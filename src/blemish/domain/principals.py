"""Who acts: the holder of an access key, as policies and logs name it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who acts."""

    access_key_id: str
    #: of the access key; stays when the key is rotated
    name: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Who may sign requests, and with which secret."""

    principal: Principal
    secret: str = field(repr=False)
