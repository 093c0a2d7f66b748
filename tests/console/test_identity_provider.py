"""Signing in by a real identity provider on loopback, in a real browser."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from blemish.service.access.oidc.provider import FAILURE_S
from tests.acceptance.identity_provider import IdentityProvider
from tests.acceptance.served import ServedDirectory
from tests.console.test_looks import findings
from tests.console.watched import Watched

pytestmark = [pytest.mark.acceptance, pytest.mark.registry]

Visit = Callable[..., Watched]

PASSWORD = "correct horse battery"
PEOPLE = [
    {"name": "anna", "password": PASSWORD, "groups": ["inspection leads"]},
    {"name": "otto", "password": PASSWORD, "groups": ["canteen"]},
]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    """The provider, which does not run yet."""
    log: Path = tmp_path_factory.mktemp("provider") / "provider.log"
    provider = IdentityProvider(log, people=PEOPLE)
    yield provider
    provider.end()


@pytest.fixture(scope="module")
def served(
    provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedDirectory]:
    """A server without projects, started before its provider."""
    server = ServedDirectory(
        tmp_path_factory.mktemp("console") / "data",
        environment=provider.settings({"inspection leads": "engineer"}),
    )
    server.start()
    yield server
    server.end(signal.SIGKILL)


def sign_in_at_the_provider(page: Page, name: str) -> None:
    """Fill in the provider's own forms."""
    page.get_by_label("Login").fill(name)
    page.get_by_role("button", name="Continue").click()
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("form button[type=submit]").last.click()


def forgive_the_provider(watched: Watched, provider: IdentityProvider) -> None:
    """Its pages are of another host, and its business."""
    watched.problems[:] = [each for each in watched.problems if provider.issuer not in each]


def test_people_of_the_provider_sign_in_with_the_role_of_their_groups(
    visit: Visit, provider: IdentityProvider
) -> None:
    watched = visit(signed_in=False)
    page = watched.page
    page.goto(f"{watched.root}/settings")
    page.get_by_role("link", name="Sign in with Canaille").click()
    expect(page.get_by_text("Canaille cannot sign anybody in right now")).to_be_visible()
    assert findings(page) == []
    watched.problems.clear()  # the browser says that the answer was 503

    provider.start(redirect_uri=f"{watched.root}/sign-in/callback")
    page.wait_for_timeout(FAILURE_S * 1_000)  # only then the provider is asked again
    page.get_by_role("link", name="Sign in with Canaille").click()
    sign_in_at_the_provider(page, "anna")
    page.get_by_role("button", name="Accept").click()

    expect(page).to_have_url(f"{watched.root}/settings")
    expect(page.locator("header").get_by_text("anna")).to_be_visible()
    expect(page.get_by_role("button", name="Change password")).to_have_count(0)
    forgive_the_provider(watched, provider)
    expect(watched.open("/").get_by_role("button", name="New project")).to_be_visible()
    admin = visit().open("/users")
    row = admin.get_by_role("row").filter(has_text="anna")
    expect(row).to_contain_text("engineer")
    expect(row).to_contain_text("identity provider")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Name or access key")).to_be_visible()
    page.goto(f"{watched.root}/settings")
    expect(page.get_by_label("Name or access key")).to_be_visible()


def test_who_has_no_role_reads_why(visit: Visit, provider: IdentityProvider) -> None:
    watched = visit(signed_in=False)
    page = watched.page
    page.goto(f"{watched.root}/")
    provider.end()
    provider.start(redirect_uri=f"{watched.root}/sign-in/callback")  # with other keys

    page.get_by_role("link", name="Sign in with Canaille").click()
    sign_in_at_the_provider(page, "otto")
    page.get_by_role("button", name="Accept").click()

    expect(page.get_by_role("alert")).to_contain_text("none of your groups there has a role here")
    watched.shoot("no-role")
    watched.problems.clear()  # the answer was 403, and the provider's pages are of another host
