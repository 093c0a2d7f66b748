"""A kiosk link opens one line, in a server in this process."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from blemish.wire.wrong_secrets import WrongSecrets
from tests.unit.console.in_process import Browser, InProcessConsole


@pytest.fixture(scope="module")
def token(console: InProcessConsole) -> str:
    """Return the token of a link to a line."""
    return console.kiosks.create("press-4", note="at the door", by="owner")


def opened(console: InProcessConsole, token: str) -> Browser:
    """Return a browser that opened a link."""
    browser = console.browser(None)
    answer = browser.get("/kiosk", token=token)
    assert answer.status_code == 200
    assert 'content="0; url=/console/line/press-4"' in answer.text
    assert "max-age=34560000" in answer.headers["set-cookie"].lower()
    return browser


def test_a_link_opens_its_line_and_nothing_else(console: InProcessConsole, token: str) -> None:
    browser = opened(console, token)
    page = {"accept": "text/html"}

    statuses = {
        path: browser.ask("GET", path).status_code
        for path in ("/", "/settings", "/line/press-40", "/image?ref=s3://a/b", "/line/press-4/..")
    }
    more_of_line = {
        browser.ask("GET", f"/line/press-4/{page}").status_code
        for page in ("history", "export.zip", "export.csv", "review", "reviews", "camera")
    }
    elsewhere = browser.ask("GET", "/settings", headers=page)

    assert set(statuses.values()) == more_of_line == {403}
    assert browser.ask("GET", "/line/press-4/images/1/image").status_code != 403
    assert (elsewhere.status_code, elsewhere.headers["location"]) == (303, "/console/line/press-4")
    assert browser.ask("GET", "/line/press-4").status_code != 403


def test_a_revoked_link_and_a_wrong_one_open_nothing(console: InProcessConsole) -> None:
    token = console.kiosks.create("press-4", note="", by="owner")
    browser = opened(console, token)
    (link,) = (each for each in console.kiosks.all() if not each.note)

    console.kiosks.revoke(link.token_sha256)

    assert browser.ask("GET", "/line/press-4").status_code == 401
    assert console.browser(None).get("/kiosk", token=token).status_code == 403
    assert console.browser(None).get("/kiosk", token="").status_code == 403
    assert token not in str(console.kiosks.all())
    opened(console, console.kiosks.create("press-4", note="x", by="owner"))


def test_many_guesses_at_once_are_no_more_than_many_in_a_row(
    console: InProcessConsole, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, kiosks, *_ = console.console._entrance._entries
    few = WrongSecrets(monotonic=time.monotonic, free=2)  # those of all tests stay free
    monkeypatch.setattr(kiosks, "_wrong_secrets", few)
    browser = console.browser(None)

    async def guess() -> list[httpx.Response]:
        paths = [f"/console/kiosk?token={number:064x}" for number in range(8)]
        return await asyncio.gather(*map(browser._client.get, paths))

    answers = browser._portal.call(guess)
    right = browser.get("/kiosk", token=token)

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(403), statuses.count(429)) == (2, 6)
    assert right.status_code == 429
    assert '<meta http-equiv="refresh" content="60">' in right.text
    assert "set-cookie" not in right.headers


def test_who_may_see_access_keys_sees_links(console: InProcessConsole, token: str) -> None:
    assert "at the door" in console.browser().ask("GET", "/kiosks").text
    assert token not in console.browser().ask("GET", "/kiosks").text
    assert "cannot be shown" in console.browser("looker").ask("GET", "/kiosks").text
