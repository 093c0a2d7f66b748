"""Users and what they did, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.served import ServedDirectory
from tests.console.test_looks import findings
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]
PASSWORD, RENEWED = "correct horse battery", "another long one"


@pytest.fixture(scope="module")
def served(empty_server: ServedDirectory) -> ServedDirectory:
    """A server of its own, with nothing in it."""
    return empty_server


def add_user(page: Page, name: str, role: str) -> None:
    """Add a user on the page of the users."""
    page.get_by_role("button", name="New user").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Role", exact=True).click()
    page.get_by_role("option", name=role).click()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("row").filter(has_text=name)).to_contain_text(role)


def test_a_user_is_added_signs_in_changes_the_password_and_is_disabled(visit: Visit) -> None:
    admin = visit()
    page = admin.open("/settings")
    page.get_by_role("link", name="Users").click()
    add_user(page, "anna", "labeller")
    assert findings(admin.page) == []
    admin.shoot("users", whole=True)
    anna = visit(signed_in=False)
    anna.sign_in(("anna", PASSWORD))
    expect(anna.page.locator("header").get_by_text("anna")).to_be_visible()
    expect(anna.page.get_by_role("button", name="New project")).to_have_count(0)
    expect(anna.open("/settings").get_by_role("link", name="Users")).to_have_count(0)

    anna.page.get_by_role("button", name="Change password").click()
    anna.page.get_by_label("Old password").fill(PASSWORD)
    anna.page.get_by_label("New password").fill(RENEWED)
    anna.page.get_by_role("button", name="Change", exact=True).click()
    expect(anna.page.get_by_label("Name or access key")).to_be_visible()
    anna.sign_in(("anna", RENEWED))
    page.get_by_role("button", name="Disable anna").click()
    page.get_by_role("button", name="Disable", exact=True).last.click()

    expect(anna.page.get_by_label("Name or access key")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="anna")).to_contain_text("Disabled")
    anna.problems.clear()  # the browser says so where the socket is refused first


def test_a_role_can_be_read(visit: Visit) -> None:
    page = visit(dark=True).open("/users")

    page.get_by_text("also judges images").click()

    expect(page.get_by_text("lookoutvision:StopModel")).to_be_visible()
    assert findings(page) == []


def test_who_did_what_is_filtered_and_the_address_keeps_the_filter(visit: Visit) -> None:
    watched = visit()
    page = watched.open("/users")
    add_user(page, "berta", "viewer")
    page.get_by_role("link", name="Who did what").click()
    page.get_by_label("Did what").fill("createuser")
    page.get_by_role("button", name="Show").click()
    rows = page.get_by_role("row")

    expect(rows.filter(has_text="userName: berta")).to_contain_text("first")
    expect(rows.filter(has_text="ConsoleLogin")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Did what")).to_have_value("createuser")
    assert PASSWORD not in page.content()
    assert findings(page) == []
    watched.shoot("who-did-what", whole=True)
    page.goto(f"{watched.root}/audit?user=nobody")
    expect(page.get_by_text("No record of this time matches")).to_be_visible()


def test_times_are_those_of_the_visitors_clock(visit: Visit) -> None:
    watched = visit(timezone_id="Asia/Tokyo")
    time = watched.open("/audit").locator("time[title]").first
    expect(time).to_have_attribute("title", re.compile("UTC$"))

    utc = datetime.fromisoformat(str(time.get_attribute("datetime")))

    expect(time).to_have_text(f"{utc + timedelta(hours=9):%Y-%m-%d %H:%M:%S}")
