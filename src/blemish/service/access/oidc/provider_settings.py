"""What is set up about the identity provider, and who its people are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from blemish.domain.access.roles import UserRole

NAME_CLAIMS = ("preferred_username", "email", "sub")
"""Where the name of a new user comes from: the first of these that is there."""


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """An identity provider, and which of its people have which role."""

    #: URL, exactly as the provider writes it
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    #: what people call the provider; empty for the host of the issuer
    name: str = ""
    roles_claim: str = "groups"
    #: value of the claim -> role
    roles: Mapping[str, UserRole] = field(default_factory=dict)
    #: of people whom the claim gives none; None refuses them
    default_role: UserRole | None = None

    @property
    def label(self) -> str:
        """What pages call the provider."""
        return self.name or urlsplit(self.issuer).netloc

    def role(self, claims: Mapping[str, Any]) -> UserRole | None:
        """Return the role of somebody, the highest where several groups give one."""
        roles = {self.roles[value] for value in self.role_values(claims) if value in self.roles}
        return max(roles, key=list(UserRole).index) if roles else self.default_role

    def role_values(self, claims: Mapping[str, Any]) -> list[str]:
        """Return the values that decide about the role: one text, or the texts of a list."""
        value = _claim(claims, self.roles_claim)
        values = value if isinstance(value, list) else [value]
        return [name for name in values if isinstance(name, str)]

    def identity(self, claims: Mapping[str, Any]) -> str:
        """Return what stands for somebody for ever, whatever name and address change."""
        return f"{self.issuer} {claims['sub']}"


def called_name(claims: Mapping[str, Any]) -> str:
    """Return what somebody is called at the provider; it may be no name of a user here."""
    names = (claims.get(claim) for claim in NAME_CLAIMS)
    return next(name for name in names if isinstance(name, str) and name)


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim by its name, which may have dots, or by a path of names with dots between."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
