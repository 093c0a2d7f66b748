from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from blemish.domain.access.roles import UserRole
from blemish.service.access.oidc.attempts import SignInAttempt
from blemish.service.access.oidc.errors import IdentityProviderError, ProofError
from blemish.service.access.oidc.provider import (
    FAILURE_S,
    MAX_AGE_S,
    MOST_AT_ONCE,
    OidcProvider,
)
from blemish.service.access.oidc.provider_settings import ProviderSettings
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, ISSUER, OpenIdProvider, SigningKey

BACK = "https://blemish.example.org/console/sign-in/callback"
ATTEMPT = SignInAttempt(secret="0" * 64)
SETTINGS = ProviderSettings(
    issuer=ISSUER,
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    roles={"quality": UserRole.ENGINEER},
)
COMPRESSED = {"content-encoding": "gzip"}
DISCOVERY = "/plant/.well-known/openid-configuration"


class Client:
    """Our side, at the provider of a test; its clock stands still."""

    def __init__(self) -> None:
        self.provider = OpenIdProvider()
        self.now_s = 0.0
        self._ours = OidcProvider(
            SETTINGS, monotonic=lambda: self.now_s, transport=self.provider.transport
        )

    def url(self) -> str:
        return asyncio.run(self._ours.sign_in_url(ATTEMPT, redirect_uri=BACK))

    def urls(self, count: int) -> list[str | BaseException]:
        """Ask for as many at once."""

        async def ask() -> list[str | BaseException]:
            asking = [self._ours.sign_in_url(ATTEMPT, redirect_uri=BACK) for _ in range(count)]
            return await asyncio.gather(*asking, return_exceptions=True)

        return asyncio.run(ask())

    def code(self) -> str:
        return self.provider.authorize(self.url())["code"]

    def claims(self, code: str, *, attempt: SignInAttempt = ATTEMPT) -> Mapping[str, Any]:
        return asyncio.run(self._ours.claims(code, attempt, redirect_uri=BACK))


@pytest.fixture
def client() -> Client:
    return Client()


def test_the_address_asks_for_a_code_that_is_bound_to_the_attempt(client: Client) -> None:
    query = {name: values[0] for name, values in parse_qs(urlsplit(client.url()).query).items()}

    assert query == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": BACK,
        "scope": "openid profile email groups",
        "state": ATTEMPT.state,
        "nonce": ATTEMPT.nonce,
        "code_challenge": ATTEMPT.challenge,
        "code_challenge_method": "S256",
    }
    assert len({ATTEMPT.state, ATTEMPT.nonce, ATTEMPT.verifier, ATTEMPT.challenge}) == 4


@pytest.mark.parametrize("methods", [None, ["client_secret_post"]])
def test_a_code_leads_to_who_signed_in(client: Client, methods: list[str] | None) -> None:
    client.provider.metadata["token_endpoint_auth_methods_supported"] = methods

    claims = client.claims(client.code())

    assert (claims["sub"], claims["groups"]) == ("anna-17", ["quality"])
    assert "/userinfo" not in client.provider.asked


def test_a_code_is_good_for_one_time_and_for_the_browser_that_asked(client: Client) -> None:
    used, stolen = client.code(), client.code()
    client.claims(used)

    with pytest.raises(ProofError, match="used already"):
        client.claims(used)
    with pytest.raises(ProofError, match="used already"):
        client.claims(stolen, attempt=SignInAttempt(secret="1" * 64))


def test_new_keys_of_the_provider_are_read_when_a_token_names_one(client: Client) -> None:
    client.claims(client.code())
    client.provider.key = SigningKey("second")

    assert client.claims(client.code())["sub"] == "anna-17"
    assert client.provider.asked.count("/keys") == 2


def test_a_key_that_the_provider_took_back_is_believed_for_an_hour_at_most(client: Client) -> None:
    stolen = client.provider.key
    client.url()
    client.provider.key = SigningKey("second")
    client.now_s = MAX_AGE_S + 1
    code = client.code()
    client.provider.key, published = stolen, client.provider.key
    client.provider.wrong["/keys"] = JSONResponse({"keys": [published.published]})

    with pytest.raises(ProofError, match="'first', which is not published"):
        client.claims(code)


def test_groups_may_come_in_the_answer_about_the_user_alone(client: Client) -> None:
    client.provider.told = {}
    client.provider.userinfo = {"sub": "anna-17", "groups": ["quality"], "email": "a@example.org"}

    claims = client.claims(client.code())

    assert (claims["groups"], claims["email"]) == (["quality"], "a@example.org")


def test_an_answer_about_another_user_is_refused(client: Client) -> None:
    client.provider.told = {}
    client.provider.userinfo = {"sub": "root", "groups": ["quality"]}

    with pytest.raises(ProofError, match="another person"):
        client.claims(client.code())


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"issuer": f"{ISSUER}/"}, "but BLEMISH_OIDC_ISSUER is"),
        ({"token_endpoint": "http://login.example.org/token"}, "token_endpoint is .* with https"),
        ({"userinfo_endpoint": "http://login.example.org/u"}, "userinfo_endpoint is"),
        ({"jwks_uri": None}, "jwks_uri is None"),
        ({"authorization_endpoint": "https://[", "x": 1}, "authorization_endpoint is"),
    ],
)
def test_a_provider_that_says_wrong_addresses_is_not_used(
    client: Client, metadata: dict[str, Any], reason: str
) -> None:
    client.provider.metadata = metadata

    with pytest.raises(IdentityProviderError, match=reason):
        client.url()


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        (DISCOVERY, Response(status_code=502), "openid-configuration answered 502"),
        (DISCOVERY, PlainTextResponse("<html>"), "answered no JSON object"),
        (DISCOVERY, PlainTextResponse("[" * 100_000), "answered no JSON object"),
        (DISCOVERY, PlainTextResponse(" " * 2**21), "more than 1,048,576 bytes"),
        (DISCOVERY, Response(gzip.compress(b"{}"), headers=COMPRESSED), "answered no JSON object"),
        (DISCOVERY, httpx.ReadTimeout(""), "configuration did not answer within 10 seconds"),
        (DISCOVERY, httpx.ReadError(""), "configuration: ReadError"),
        (DISCOVERY, Response(status_code=302, headers={"location": "/x"}), "answered 302"),
        (DISCOVERY, PlainTextResponse('{"issuer": "\\ud800"}'), "answered no JSON object"),
        ("/keys", JSONResponse({"keys": []}), "/keys: It has no key that can be used"),
        ("/keys", JSONResponse({"keys": "none"}), "/keys: It has no list of keys"),
        ("/keys", JSONResponse({"keys": [1, {"kty": "RSA", "alg": []}]}), "no key that can be"),
    ],
)
def test_what_is_wrong_with_the_provider_is_told(
    client: Client, path: str, answer: Response | httpx.HTTPError, reason: str
) -> None:
    client.provider.wrong[path] = answer

    with pytest.raises(IdentityProviderError, match=reason):
        client.url()


def test_keys_that_cannot_be_used_are_no_reason_against_others(client: Client) -> None:
    wrong = [1, {"kty": "RSA", "alg": []}, {"kty": "RSA", "n": "AA", "e": "AA"}, {"kty": "oct"}]
    good = client.provider.key.published
    client.provider.wrong["/keys"] = JSONResponse({"keys": [*wrong, good]})

    assert client.claims(client.code())["sub"] == "anna-17"


@pytest.mark.parametrize("member", ["scopes_supported", "token_endpoint_auth_methods_supported"])
def test_what_should_be_a_list_and_is_none_counts_as_absent(client: Client, member: str) -> None:
    client.provider.metadata[member] = 5

    assert client.claims(client.code())["sub"] == "anna-17"


def test_an_access_token_that_no_header_can_hold_is_a_fault_of_the_provider(
    client: Client,
) -> None:
    client.provider.told = {}
    client.provider.access_token = "schlüssel"

    with pytest.raises(IdentityProviderError, match=r"/userinfo: .*ascii"):
        client.claims(client.code())


class Pieces(httpx.AsyncByteStream):
    """Two MiB in small pieces, which are there at once."""

    def __init__(self) -> None:
        self.are_read = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.are_read.set()
        for _ in range(2_048):
            yield b" " * 1_024


def test_others_go_on_while_a_provider_sends_many_pieces() -> None:
    async def ask() -> int:
        """Return how often another task went on meanwhile."""
        pieces = Pieces()
        transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=pieces))
        ours = OidcProvider(SETTINGS, monotonic=lambda: 0.0, transport=transport)
        asking = asyncio.create_task(ours.sign_in_url(ATTEMPT, redirect_uri=BACK))
        await pieces.are_read.wait()
        turns = 0
        while not asking.done():
            await asyncio.sleep(0)
            turns += 1
        with pytest.raises(IdentityProviderError, match="more than 1,048,576 bytes"):
            asking.result()
        return turns

    assert asyncio.run(ask()) > 1_000


def test_a_provider_is_asked_by_few_at_once(client: Client) -> None:
    codes = [client.code() for _ in range(MOST_AT_ONCE + 8)]

    async def ask() -> list[Mapping[str, Any]]:
        asking = [client._ours.claims(code, ATTEMPT, redirect_uri=BACK) for code in codes]
        return await asyncio.gather(*asking)

    claims = asyncio.run(ask())

    assert {each["sub"] for each in claims} == {"anna-17"}
    assert client.provider.most_at_once == MOST_AT_ONCE


def test_a_provider_that_is_away_is_asked_again_a_moment_later(client: Client) -> None:
    client.provider.is_away = True
    with pytest.raises(IdentityProviderError, match="All connection attempts failed"):
        client.url()
    client.provider.is_away = False
    with pytest.raises(IdentityProviderError, match="All connection attempts failed"):
        client.url()
    assert not client.provider.asked
    client.now_s += FAILURE_S

    assert client.claims(client.code())["sub"] == "anna-17"


def test_many_at_once_ask_the_provider_as_often_as_one(client: Client) -> None:
    client.provider.wrong[DISCOVERY] = Response(status_code=502)
    failures = client.urls(20)
    asked_in_vain = client.provider.asked.copy()
    client.provider.wrong.clear()
    client.now_s += FAILURE_S
    urls = client.urls(20)

    assert all(isinstance(each, IdentityProviderError) for each in failures)
    assert asked_in_vain == [DISCOVERY]
    assert len(set(urls)) == 1
    assert client.provider.asked == [DISCOVERY, DISCOVERY, "/keys"]


def test_the_authorities_are_read_once_and_hold_no_other_request_up(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    read = ssl.create_default_context

    def noted() -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return read()

    monkeypatch.setattr(ssl, "create_default_context", noted)
    client.claims(client.code())

    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


@pytest.mark.parametrize("status", [400, 403])
def test_a_refused_code_is_known_by_the_name_of_the_error(client: Client, status: int) -> None:
    code = client.code()
    client.provider.wrong["/token"] = JSONResponse({"error": "invalid_grant"}, status)

    with pytest.raises(ProofError, match="used already"):
        client.claims(code)


def test_a_wrong_secret_of_the_client_is_told_without_it(client: Client) -> None:
    code = client.code()
    client.provider.wrong["/token"] = JSONResponse({"error": "invalid_client"}, 401)

    with pytest.raises(
        IdentityProviderError, match=r"/token answered 401 \('invalid_client'\)"
    ) as caught:
        client.claims(code)
    assert CLIENT_SECRET not in str(caught.value)
    assert CLIENT_SECRET not in repr(SETTINGS)
