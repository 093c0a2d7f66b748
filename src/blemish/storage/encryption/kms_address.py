"""The address of AWS KMS, and the credentials for it."""

from __future__ import annotations

from dataclasses import dataclass

OUR_ACCESS_KEYS = "BLEM"
"""Prefix of the access keys of Blemish, which AWS KMS does not know."""


@dataclass(frozen=True, kw_only=True)
class KmsAddress:
    """An AWS KMS; JSON values. The credentials are those that AWS clients find on this machine."""

    region: str
    #: of the AWS files; None for the environment, the default profile, or the machine's role
    profile: str | None = None
    #: URL; None for AWS's own
    endpoint: str | None = None
