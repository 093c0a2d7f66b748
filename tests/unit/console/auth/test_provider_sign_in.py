from __future__ import annotations

import asyncio
import html
import json
import re
import time
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from blemish.domain.access.roles import UserRole
from blemish.service.access.oidc.provider import OidcProvider
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, ISSUER, OpenIdProvider
from tests.unit.console.auth.test_sign_in import audited
from tests.unit.console.in_process import Browser, InProcessConsole, in_process_console

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessConsole]:
    """A console with an identity provider."""
    with in_process_console(
        tmp_path_factory.mktemp("provider") / "data",
        oidc_issuer=ISSUER,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        oidc_name="Plant & Co",
        oidc_roles={"quality": UserRole.LABELLER, "leads": UserRole.ENGINEER},
    ) as console:
        console.browser(None).get("/sign-in")  # the first request loads what follows
        yield console


@pytest.fixture
def provider(console: InProcessConsole) -> OpenIdProvider:
    """The provider of this console, as new."""
    provider = OpenIdProvider()
    entry = console.console._entrance._entries[-1]
    entry._provider = OidcProvider(
        console.console._services.provider,
        monotonic=time.monotonic,
        transport=provider.transport,
    )
    entry._in_vain.forget("127.0.0.1")
    return provider


def sent_back(browser: Browser, provider: OpenIdProvider, target: str = "") -> dict[str, str]:
    """Go to the provider and sign in there; return what it sends the browser back with."""
    return provider.authorize(browser.get("/sign-in/provider", next=target).headers["location"])


def finished(browser: Browser, answer: dict[str, str]) -> httpx.Response:
    """Come back from the provider, and go on as the page there leads."""
    page = browser.get("/sign-in/callback", **answer)
    assert page.status_code == 200
    (leads,) = re.findall(r'content="0; url=/console([^"]*)"', page.text)
    parts = urlsplit(html.unescape(leads))
    return browser.get(parts.path, **dict(parse_qsl(parts.query)))


def signed_in(browser: Browser, provider: OpenIdProvider, target: str = "") -> httpx.Response:
    """Sign in by the provider."""
    return finished(browser, sent_back(browser, provider, target))


def is_in(browser: Browser) -> bool:
    """Return whether a browser has a session."""
    return browser.get("/image", ref="s3://none/b.jpg").status_code == 404


def test_a_user_of_the_provider_gets_a_session_and_the_role_of_the_groups(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    browser = console.browser(None)

    answer = signed_in(browser, provider, "/console/settings?a=b")

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/settings?a=b")
    assert is_in(browser)
    (user,) = (user for user in console.users.all() if user.name == "anna")
    assert (user.role, user.identity, user.password_hash) == (
        UserRole.LABELLER,
        f"{ISSUER} anna-17",
        None,
    )
    provider.told["groups"] = ["quality", "leads"]
    signed_in(console.browser(None), provider)
    assert [user.role for user in console.users.all() if user.name == "anna"] == ["engineer"]


def test_the_form_offers_the_provider_beside_passwords(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    form = console.browser(None).get("/sign-in", next="/console/line/a?b=c")

    assert "Sign in with Plant &amp; Co" in form.text
    assert 'href="/console/sign-in/provider?next=%2Fconsole%2Fline%2Fa%3Fb%3Dc"' in form.text
    assert not provider.asked


def test_cookies_are_strict_and_over_tls_of_this_host_alone(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    browser = console.browser(None, scheme="https")
    started = browser.get("/sign-in/provider").headers
    ended = finished(browser, provider.authorize(started["location"]))

    cookies = [started["set-cookie"], *ended.headers.get_list("set-cookie")]
    assert "redirect_uri=https%3A%2F%2Fconsole.test%2Fconsole%2Fsign-in" in started["location"]
    assert all(cookie.startswith("__Host-blemish-") for cookie in cookies)
    assert all("SameSite=strict" in cookie and "HttpOnly" in cookie for cookie in cookies)
    assert ended.status_code == 303


def test_an_answer_of_the_provider_is_of_use_in_the_browser_that_asked_alone(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    answer = sent_back(console.browser(None), provider)
    other = console.browser(None)
    sent_back(other, provider)

    refused = finished(other, answer)
    without_cookie = finished(console.browser(None), answer)

    assert (refused.status_code, without_cookie.status_code) == (403, 403)
    assert "began in another browser" in refused.text
    assert not is_in(other)


def test_an_answer_is_of_use_once(console: InProcessConsole, provider: OpenIdProvider) -> None:
    browser = console.browser(None)
    answer = sent_back(browser, provider)
    cookies = dict(browser._client.cookies)
    assert finished(browser, answer).status_code == 303
    browser.ask("POST", "/sign-out")

    assert "finished already" in finished(browser, answer).text
    browser._client.cookies.update(cookies)
    again = finished(browser, answer)

    assert (again.status_code, "used already" in again.text) == (403, True)
    assert not is_in(browser)


def test_who_has_no_role_is_refused_and_signed_out_elsewhere(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    provider.told = {"preferred_username": "carl", "groups": ["quality"], "sub": "carl-3"}
    earlier = console.browser(None)
    signed_in(earlier, provider)
    provider.told["groups"] = ["canteen"]

    refused = signed_in(console.browser(None), provider)

    assert refused.status_code == 403
    assert "You are carl at Plant &amp; Co, but none of your groups" in refused.text
    assert not is_in(earlier)


def test_a_disabled_user_stays_refused(console: InProcessConsole, provider: OpenIdProvider) -> None:
    provider.told = {"preferred_username": "dora", "groups": ["quality"], "sub": "dora-4"}
    browser = console.browser(None)
    signed_in(browser, provider)
    console.users.set_enabled("dora", enabled=False)

    refused = signed_in(console.browser(None), provider)

    assert (refused.status_code, "this user is disabled here" in refused.text) == (403, True)
    assert not is_in(browser)


def test_a_name_that_somebody_has_here_is_not_taken_over(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    console.users.add("berta", PASSWORD, role=UserRole.ADMIN)
    for name, subject in (("berta", "b-1"), ("berta", "b-2"), ("owner", "o-1"), ("Ä ö/ü", "u-1")):
        provider.told = {"preferred_username": name, "groups": ["quality"], "sub": subject}
        assert signed_in(console.browser(None), provider).status_code == 303

    users = {user.name: user for user in console.users.all()}
    assert (users["berta"].role, users["berta"].identity) == (UserRole.ADMIN, None)
    assert users["berta-2"].identity == f"{ISSUER} b-1"
    assert {"berta-3", "owner-2", "-----"} <= set(users)
    assert console.browser(None).sign_in("berta", PASSWORD).status_code == 303
    assert console.browser(None).sign_in("berta-2", PASSWORD).status_code == 403


def test_a_provider_that_is_away_leaves_passwords_and_keys(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    provider.is_away = True
    browser = console.browser(None)

    answer = browser.get("/sign-in/provider")

    assert answer.status_code == 503
    assert "Plant &amp; Co cannot sign anybody in right now" in answer.text
    assert browser.sign_in(*console.keys["owner"]).status_code == 303


def test_what_the_provider_does_wrong_is_for_administrators(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    provider.is_away = True
    answer = console.browser(None).get("/sign-in/provider")
    console.browser().get("/image", ref="s3://after-the-failure/absent.png")

    records = audited(console, until="after-the-failure")

    assert "openid-configuration" not in answer.text
    assert "connection" not in answer.text
    messages = [each.get("errorMessage", "") for each in records]
    assert any(
        "/.well-known/openid-configuration: All connection attempts failed" in each
        for each in messages
    )


def test_a_refusal_of_the_provider_is_told_but_no_text_of_others(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    browser = console.browser(None)
    state = sent_back(browser, provider)["state"]
    cancelled = finished(browser, {"error": "access_denied", "state": state})
    state = sent_back(browser, provider)["state"]
    forged = finished(browser, {"error": "Call 555-0100 now", "state": state})
    state = sent_back(browser, provider)["state"]
    other = finished(browser, {"code": "c", "iss": "https://evil.example", "state": state})

    assert "did not sign you in (access_denied)" in cancelled.text
    assert "555" not in forged.text
    assert "from another provider" in other.text


def test_nobody_is_led_elsewhere_after_signing_in(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    answer = signed_in(console.browser(None), provider, "https://evil.example/console/")

    assert answer.headers["location"] == "/console/"


def test_a_target_that_is_no_address_leads_to_the_overview(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    form = console.browser(None).get("/sign-in", next="//[")
    answer = signed_in(console.browser(None), provider, "//[")

    assert form.status_code == 200
    assert answer.headers["location"] == "/console/"


def test_a_target_too_long_for_a_cookie_leads_to_the_overview(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    browser = console.browser(None)
    long, longer = (f"/console/line/a?b={'ü' * count}" for count in (400, 600))

    short_enough = signed_in(browser, provider, long)
    begun = browser.get("/sign-in/provider", next=longer).headers
    too_long = finished(browser, provider.authorize(begun["location"]))

    assert short_enough.headers["location"].startswith("/console/line/a?b=")
    assert len(begun["set-cookie"]) < 4_096
    assert too_long.headers["location"] == "/console/"


def test_nobody_else_can_end_an_attempt(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    browser = console.browser(None)
    answer = sent_back(browser, provider)

    led_there = finished(browser, {"code": "c", "state": "of another site"})

    assert led_there.status_code == 403
    assert finished(browser, answer).status_code == 303


def test_the_audit_log_names_who_signed_in_by_the_provider(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    browser = console.browser(None)
    wrong = sent_back(browser, provider)
    finished(browser, wrong | {"code": "wrong-code"})
    right = sent_back(browser, provider)
    finished(browser, right)
    browser.get("/image", ref="s3://after-the-provider/absent.png")

    records = audited(console, until="after-the-provider")

    logins = [
        each
        for each in records
        if (each["requestParameters"] or {}).get("identityProvider") == ISSUER
        and each["eventName"] == "ConsoleLogin"
    ]
    assert (logins[-1]["userIdentity"]["userName"], "errorCode" in logins[-1]) == ("anna", False)
    assert logins[-1]["requestParameters"]["role"] == "labeller"
    assert "role" not in logins[-2]["requestParameters"]
    assert logins[-1]["sourceIPAddress"] == "127.0.0.1"
    assert "The provider refused the code" in logins[-2]["errorMessage"]
    assert not any(code in json.dumps(records) for code in (right["code"], right["state"]))


# From here on, the audit log leaves records out: unsigned ones are limited per second.


def test_who_asks_for_a_provider_that_is_away_again_and_again_has_to_wait(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    provider.is_away = True
    browser = console.browser(None)

    statuses = [browser.get("/sign-in/provider").status_code for _ in range(21)]

    assert statuses == [503] * 20 + [429]
    assert browser.sign_in(*console.keys["owner"]).status_code == 303


def test_many_wrong_answers_make_an_address_wait(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    browser = console.browser(None)
    for _ in range(20):
        answer = sent_back(browser, provider)
        finished(browser, answer | {"code": "guessed"})
    asked = len(provider.asked)

    refused = browser.get("/sign-in/provider")

    assert (refused.status_code, "Too many attempts from your" in refused.text) == (429, True)
    assert len(provider.asked) == asked
    assert browser.sign_in(*console.keys["owner"]).status_code == 303


def test_many_answers_at_once_are_no_more_than_many_in_a_row(
    console: InProcessConsole, provider: OpenIdProvider
) -> None:
    browser = console.browser(None)
    guess = sent_back(browser, provider) | {"code": "guessed"}

    async def finish() -> list[httpx.Response]:
        asking = [browser._client.get("/console/sign-in/finish", params=guess) for _ in range(60)]
        return await asyncio.gather(*asking)

    statuses = [answer.status_code for answer in browser._portal.call(finish)]

    assert provider.asked.count("/token") == 20
    assert (statuses.count(403), statuses.count(429)) == (20, 40)
