"""The settings, in a real browser: access keys, and what is told of the server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from blemish.cli.access_keys import key_desk
from blemish.settings import Settings
from tests.acceptance.served import ServedDirectory
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]


@pytest.fixture(scope="module")
def served(empty_server: ServedDirectory) -> ServedDirectory:
    """A server of its own: what is done to its keys stands in a short audit log."""
    return empty_server


def create_key(page: Page, name: str, policy: str) -> tuple[str, str]:
    """Make a key; return its id and its secret."""
    page.get_by_role("button", name="New access key").click()
    page.get_by_label("Name of its holder").fill(name)
    if policy != "FullAccess":
        page.get_by_label("Policy", exact=True).click()
        page.get_by_role("option", name=policy).click()
    page.get_by_role("button", name="Create").click()
    return told_key(page)


def told_key(page: Page) -> tuple[str, str]:
    """Return the id and the secret that a page tells, and close what tells it."""
    secret = page.get_by_label("Secret access key", exact=True)
    expect(secret).to_be_visible()
    for name in ("Access key ID", "Secret access key"):
        page.get_by_role("button", name=f"Copy {name}").click()
    told = (
        page.get_by_label("Access key ID", exact=True).input_value(),
        secret.input_value(),
    )
    page.get_by_role("button", name="I have copied it").click()
    expect(secret).to_have_count(0)
    return told


def recorded_of(served: ServedDirectory, name: str) -> list[tuple[str, str | None]]:
    """Return what the audit log says was done to a key: operation and change."""
    deadline = time.monotonic() + 10
    while True:
        lines = [
            json.loads(line)
            for path in sorted((served.folder / "audit").iterdir())
            for line in path.read_text().splitlines()
        ]
        found = [
            (each["eventName"], each["requestParameters"].get("change"))
            for each in lines
            if each["eventSource"] == "iam.amazonaws.com"
            and (each["requestParameters"] or {}).get("userName") == name
        ]
        if ("DeleteAccessKey", None) in found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def signs_in(visit: Visit, key: tuple[str, str]) -> bool:
    """Tell whether a key opens the console."""
    watched = visit(signed_in=False)
    page = watched.page
    page.goto(f"{watched.root}/sign-in")
    page.get_by_label("Name or access key").fill(key[0])
    page.get_by_label("Secret access key").fill(key[1])
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()
    signed_in = page.get_by_role("button", name="Sign out").count() > 0
    watched.problems.clear()  # a refused sign-in is told by a status that browsers log
    return signed_in


def test_a_key_is_made_told_once_disabled_rotated_and_deleted(visit: Visit) -> None:
    watched = visit()
    page = watched.open("/settings")
    row = page.get_by_role("row").filter(has_text="shift-two")
    key = create_key(page, "shift-two", "FullAccess")
    expect(row).to_contain_text(key[0])
    watched.shoot("settings", whole=True)
    assert key[1] not in page.content()
    assert signs_in(visit, key)

    row.get_by_role("button", name="Disable shift-two").click()
    expect(row).to_contain_text("Disabled")
    assert not signs_in(visit, key)
    row.get_by_role("button", name="Enable shift-two").click()
    expect(row).to_contain_text("Enabled")

    row.get_by_role("button", name="Rotate shift-two").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    renewed = told_key(page)
    assert not signs_in(visit, key)
    assert signs_in(visit, renewed)

    row.get_by_role("button", name="Delete shift-two").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    recorded = recorded_of(watched.served, "shift-two")
    assert recorded == [
        ("CreateAccessKey", None),
        ("UpdateAccessKey", "disabled"),
        ("UpdateAccessKey", "enabled"),
        ("UpdateAccessKey", "rotated"),
        ("DeleteAccessKey", None),
    ]


def test_a_policy_is_shown_checked_and_changed(visit: Visit, served: ServedDirectory) -> None:
    with key_desk(Settings(data_dir=served.folder)) as desk:
        desk.create("camera", policy="ReadOnly", tags=[])
    watched = visit(dark=True)
    page = watched.open("/settings")
    page.get_by_role("button", name="Policy camera").click()
    page.get_by_label("Policy", exact=True).click()
    page.get_by_role("option", name="A policy document of your own").click()
    page.get_by_label("Policy document").fill("{}")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").first).to_contain_text("Statement")
    watched.shoot("settings-policy")
    statement = '{"Effect": "Allow", "Action": "lookoutvision:DetectAnomalies", "Resource": "*"}'
    page.get_by_label("Policy document").fill(
        '{"Version": "2012-10-17", "Statement": [' + statement + "]}"
    )
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("row").filter(has_text="camera")).to_contain_text("Own document")
    with key_desk(Settings(data_dir=served.folder)) as desk:
        assert "DetectAnomalies" in desk.policy("camera")
    watched.shoot("settings", whole=True)


def test_the_key_of_who_is_signed_in_and_that_of_the_server_are_safe(visit: Visit) -> None:
    page = visit().open("/settings")

    for word in ("Disable", "Rotate", "Delete", "Policy"):
        expect(page.get_by_role("button", name=f"{word} first")).to_be_disabled()


def test_a_read_only_key_sees_no_keys(visit: Visit) -> None:
    watched = visit()
    key = create_key(watched.open("/settings"), "viewer", "ReadOnly")
    other = visit(signed_in=False)
    other.sign_in(key)
    page = other.open("/settings")

    expect(page.get_by_text("not authorized to perform: iam:ListAccessKeys")).to_be_visible()
    expect(page.get_by_role("button", name="New access key")).to_have_count(0)
    expect(page.locator("#page").get_by_text("viewer")).to_have_count(1)
    expect(page.get_by_text("Free on the disk")).to_be_visible()
    other.shoot("settings-read-only")
    page = other.open("/")
    expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()
    expect(page.get_by_role("button", name="New project")).to_have_count(0)


def test_a_session_elsewhere_is_seen_and_ended(visit: Visit) -> None:
    here, elsewhere = visit(), visit()
    page, other = here.open("/settings"), elsewhere.open("/")
    panel = page.get_by_role("region", name="Your sessions")
    expect(panel.get_by_text("This one")).to_have_count(1)
    expect(panel.get_by_text("127.0.0.1").first).to_be_visible()

    panel.get_by_role("button", name="End all others").click()
    page.get_by_role("button", name="End", exact=True).last.click()

    expect(other.get_by_label("Secret access key")).to_be_visible()
    expect(panel.get_by_role("button", name="End all others")).to_be_disabled()
    elsewhere.problems.clear()  # the browser says so where the socket is refused first
