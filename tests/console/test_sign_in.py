"""Signing in and out, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.console.watched import Watched, key_of

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]


def test_who_signs_in_gets_where_they_wanted_to_go_and_out_again(visit: Visit) -> None:
    watched = visit(signed_in=False)
    page = watched.page
    page.goto(f"{watched.root}/?a=b")
    watched.shoot("sign-in")
    key_id, secret = key_of(watched.served)
    page.get_by_label("Name or access key").fill(key_id)
    page.get_by_label("Secret access key").fill(secret)
    page.keyboard.press("Enter")

    expect(page).to_have_url(f"{watched.root}/?a=b")

    watched.open("/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Secret access key")).to_be_visible()
    page.goto(f"{watched.root}/")
    expect(page.get_by_label("Secret access key")).to_be_visible()
