"""The identity provider, over HTTP: what it publishes, and who somebody is who comes with a code.

The provider is first asked when somebody signs in, so one that is away stops no server. What it
publishes is read again after an hour, and when a token names a key that is not known yet. One
request reads it, the others wait for the same answer; visitors cannot make many of it.
The standard variables name proxies (`HTTPS_PROXY`, `NO_PROXY`) and authorities (`SSL_CERT_FILE`).

Source: OpenID Connect Discovery 1.0; OpenID Connect Core 1.0, sections 3.1 and 5.3.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

import anyio
import httpx
import jwt
from anyio import lowlevel, to_thread

from blemish.service.access.oidc.attempts import SignInAttempt
from blemish.service.access.oidc.errors import IdentityProviderError, ProofError, UnknownKeyError
from blemish.service.access.oidc.id_tokens import is_unicode, published_keys, verified_claims
from blemish.service.access.oidc.provider_settings import NAME_CLAIMS, ProviderSettings
from blemish.settings import LOOPBACK_NAMES

DISCOVERY = "/.well-known/openid-configuration"

PATIENCE_S = 10.0
"""How long an answer of the provider may take."""

MOST_BYTES = 1024 * 1024
"""Of an answer."""

MOST_AT_ONCE = 32
"""Requests to the provider at once: while it is slow, visitors cannot take all open files."""

MAX_AGE_S = 3_600.0
"""How long what the provider publishes is believed."""

FAILURE_S = 5.0
"""How long a provider that failed is not asked for what it publishes."""

SCOPES = ("openid", "profile", "email")

SUCCESS = 200


@dataclass(frozen=True, kw_only=True)
class _Published:
    metadata: Mapping[str, Any]
    keys: list[jwt.PyJWK]
    read_at_s: float


class _Failure(NamedTuple):
    reason: str
    at_s: float


class OidcProvider:
    """An identity provider that signs people in."""

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        monotonic: Callable[[], float],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._transport = transport
        self._latest: _Published | None = None
        self._failure: _Failure | None = None
        self._reading = anyio.Lock()
        self._places = anyio.Semaphore(MOST_AT_ONCE)
        self._authorities: ssl.SSLContext | None = None

    async def sign_in_url(self, attempt: SignInAttempt, *, redirect_uri: str) -> str:
        """Return where a browser goes to sign in.

        Args:
            attempt: of this browser.
            redirect_uri: where the provider sends the browser back to.

        Raises:
            IdentityProviderError: the provider does not answer as it must.
        """
        metadata = (await self._published()).metadata
        supported = _listed(metadata, "scopes_supported")
        claim = self._settings.roles_claim
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join((*SCOPES, *([claim] if claim in supported else ()))),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        url = str(metadata["authorization_endpoint"])
        return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"

    async def claims(
        self, code: str, attempt: SignInAttempt, *, redirect_uri: str
    ) -> Mapping[str, Any]:
        """Return what the provider says about who came back with a code.

        Args:
            code: from the address that the browser came back to; it is good for one time.
            attempt: the one that the browser began.
            redirect_uri: as in `sign_in_url`.

        Raises:
            ProofError: the code or the ID token is not good.
            IdentityProviderError: the provider does not answer as it must.
        """
        published = await self._published()
        tokens = await self._tokens(published.metadata, code, attempt, redirect_uri)
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise ProofError("The provider sent no ID token.")
        try:
            claims = self._verified(id_token, published, attempt)
        except UnknownKeyError:
            published = await self._published(outdated=published)
            claims = self._verified(id_token, published, attempt)
        return await self._completed(claims, published.metadata, tokens.get("access_token"))

    def _verified(
        self, id_token: str, published: _Published, attempt: SignInAttempt
    ) -> Mapping[str, Any]:
        return verified_claims(
            id_token,
            published.keys,
            issuer=self._settings.issuer,
            client_id=self._settings.client_id,
            nonce=attempt.nonce,
        )

    async def _tokens(
        self, metadata: Mapping[str, Any], code: str, attempt: SignInAttempt, redirect_uri: str
    ) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": attempt.verifier,
        }
        client = (self._settings.client_id, self._settings.client_secret)
        methods = _listed(metadata, "token_endpoint_auth_methods_supported")
        url = metadata["token_endpoint"]
        if "client_secret_basic" in (methods or ["client_secret_basic"]):
            # Source: RFC 6749, section 2.3.1
            basic = httpx.BasicAuth(*(quote_plus(text) for text in client))
            status, answer = await self._ask("POST", url, data=form, auth=basic)
        else:
            form |= dict(zip(("client_id", "client_secret"), client, strict=True))
            status, answer = await self._ask("POST", url, data=form)
        problem = answer.get("error")
        if problem == "invalid_grant":  # with 400, as RFC 6749 says, or 403
            raise ProofError("The provider refused the code: it was used already, or it expired.")
        if status != SUCCESS:
            raise IdentityProviderError(f"{url} answered {status} ({problem!r:.80})")
        return answer

    async def _completed(
        self, claims: Mapping[str, Any], metadata: Mapping[str, Any], access_token: object
    ) -> Mapping[str, Any]:
        """Add what the provider tells in its answer about the user alone."""
        url = metadata.get("userinfo_endpoint")
        is_whole = NAME_CLAIMS[0] in claims and self._settings.role_values(claims)
        if is_whole or url is None or not isinstance(access_token, str):
            return claims
        status, answer = await self._ask(
            "GET", url, headers={"Authorization": f"Bearer {access_token}"}
        )
        if status != SUCCESS:
            raise IdentityProviderError(f"{url} answered {status}")
        if answer.get("sub") != claims["sub"]:
            raise ProofError("The provider told about another person than the one who signed in.")
        return {**answer, **claims}

    async def _published(self, *, outdated: _Published | None = None) -> _Published:
        """Return what the provider publishes, and never what is known to be outdated."""
        latest = self._believed(outdated)
        if latest is not None:
            return latest
        async with self._reading:
            latest = self._believed(outdated)
            if latest is not None:
                return latest
            failure = self._failure
            if failure is not None and self._monotonic() - failure.at_s < FAILURE_S:
                raise IdentityProviderError(failure.reason)
            try:
                self._latest = await self._read()
            except IdentityProviderError as error:
                self._failure = _Failure(reason=str(error), at_s=self._monotonic())
                raise
            return self._latest

    def _believed(self, outdated: _Published | None) -> _Published | None:
        latest = self._latest
        if latest is None or latest is outdated:
            return None
        return latest if self._monotonic() - latest.read_at_s <= MAX_AGE_S else None

    async def _read(self) -> _Published:
        """Read what the provider publishes about itself, and its keys."""
        issuer = self._settings.issuer
        url = issuer.removesuffix("/") + DISCOVERY
        metadata = await self._document(url)
        if metadata.get("issuer") != issuer:
            raise IdentityProviderError(
                f"{url} names the issuer {metadata.get('issuer')!r:.200}, but BLEMISH_OIDC_ISSUER "
                f"is {issuer!r}"
            )
        optional = [name for name in ("userinfo_endpoint",) if name in metadata]
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", *optional):
            _check_url(metadata.get(name), name=name, source=url)
        jwks_url = metadata["jwks_uri"]
        try:
            keys = published_keys(await self._document(jwks_url))
        except ProofError as error:
            raise IdentityProviderError(f"{jwks_url}: {error}") from None
        return _Published(metadata=metadata, keys=keys, read_at_s=self._monotonic())

    async def _document(self, url: str) -> Mapping[str, Any]:
        status, document = await self._ask("GET", url)
        if status != SUCCESS:
            raise IdentityProviderError(f"{url} answered {status}")
        return document

    async def _ask(self, method: str, url: str, **options: Any) -> tuple[int, Mapping[str, Any]]:
        """Return status and members of an answer; no redirect is followed."""
        try:
            client = httpx.AsyncClient(
                transport=self._transport,
                verify=await self._trusted(),
                timeout=PATIENCE_S,
                headers={"Accept-Encoding": "identity"},
            )
            with anyio.fail_after(PATIENCE_S):
                async with self._places, client, client.stream(method, url, **options) as response:
                    body = await _body(response)
        except (TimeoutError, httpx.TimeoutException):
            reason = f"{url} did not answer within {PATIENCE_S:g} seconds"
            raise IdentityProviderError(reason) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            reason = f"{url}: {str(error) or type(error).__name__}"
            raise IdentityProviderError(reason) from None
        return response.status_code, _members(body, url=url, status=response.status_code)

    async def _trusted(self) -> ssl.SSLContext:
        """Return the authorities of the system, as everywhere; httpx brings its own otherwise.

        Reading them takes so long that the requests of others would wait.
        """
        if self._authorities is None:
            self._authorities = await to_thread.run_sync(ssl.create_default_context)
        return self._authorities


def _listed(metadata: Mapping[str, Any], name: str) -> list[object]:
    """Return a list of the metadata; an empty one if there is none."""
    value = metadata.get(name)
    return value if isinstance(value, list) else []


async def _body(response: httpx.Response) -> bytes:
    """Return the body as it was sent: decompressed, a small one may take all memory."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise IdentityProviderError(f"{response.url} answered more than {MOST_BYTES:,} bytes")
        await lowlevel.checkpoint()  # however small the chunks are, others go on meanwhile
    return bytes(body)


def _members(body: bytes, *, url: str, status: int) -> Mapping[str, Any]:
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        members = None
    if isinstance(members, dict) and is_unicode(members):
        return members
    if status != SUCCESS:
        return {}
    raise IdentityProviderError(f"{url} answered no JSON object")


def _check_url(url: object, *, name: str, source: str) -> None:
    """Refuse an address that secrets would be sent to without TLS."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
    except ValueError:
        parts = urlsplit("")
    is_local = parts.scheme == "http" and parts.hostname in LOOPBACK_NAMES
    if not parts.hostname or not (is_local or parts.scheme == "https"):
        raise IdentityProviderError(
            f"{source}: {name} is {url!r:.200}; it must be a URL with https"
        )
