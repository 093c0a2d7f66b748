from __future__ import annotations

from typing import Any

import pytest

from blemish.domain.access.roles import UserRole
from blemish.service.access.oidc.provider_settings import ProviderSettings, called_name

ROLES = {"quality": UserRole.LABELLER, "leads": UserRole.ENGINEER, "everyone": UserRole.VIEWER}


def settings(**members: Any) -> ProviderSettings:
    fixed = {"issuer": "https://login.example.org", "client_id": "b", "client_secret": "s"}
    return ProviderSettings(**{**fixed, "roles": ROLES, **members})


@pytest.mark.parametrize(
    ("path", "claims", "role"),
    [
        ("groups", {"groups": ["quality", "everyone", "canteen"]}, UserRole.LABELLER),
        ("groups", {"groups": ["leads", "quality"]}, UserRole.ENGINEER),
        ("groups", {"groups": "leads"}, UserRole.ENGINEER),
        ("groups", {"groups": ["Leads", 7, None, ["leads"]]}, None),
        ("groups", {"groups": {"leads": True}}, None),
        ("groups", {}, None),
        ("realm.roles", {"realm": {"roles": ["leads"]}}, UserRole.ENGINEER),
        ("realm.roles", {"realm": ["leads"]}, None),
        ("https://example.org/roles", {"https://example.org/roles": ["leads"]}, UserRole.ENGINEER),
    ],
)
def test_the_highest_role_of_the_groups_counts(
    path: str, claims: dict[str, Any], role: UserRole | None
) -> None:
    assert settings(roles_claim=path).role(claims) is role


def test_others_get_the_default_role_if_there_is_one() -> None:
    assert settings(default_role=UserRole.VIEWER).role({"groups": ["canteen"]}) is UserRole.VIEWER


def test_a_new_user_is_called_as_at_the_provider() -> None:
    claims = {"sub": "17", "email": "a@example.org", "preferred_username": ""}

    assert called_name(claims) == "a@example.org"
    assert called_name({"sub": "17", "email": None}) == "17"


def test_pages_call_the_provider_by_its_host_unless_it_has_a_name() -> None:
    assert (settings().label, settings(name="Plant").label) == ("login.example.org", "Plant")
