"""Which AWS KMS may be asked, and as whom."""

from __future__ import annotations

from dataclasses import dataclass

OUR_ACCESS_KEYS = "BLEM"
"""Begins the access keys of our own servers, which open no AWS KMS."""


@dataclass(frozen=True, kw_only=True)
class KmsAddress:
    """An AWS KMS; JSON values. Credentials are those that any AWS client finds here."""

    region: str
    #: of the AWS files; None for the environment, the default profile, or the machine's role
    profile: str | None = None
    #: URL; None for AWS's own
    endpoint: str | None = None
