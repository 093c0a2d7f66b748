"""A provider of OpenID Connect within the process, which may be made to do everything wrong.

`tests/acceptance/identity_provider.py` has a real one. This one shows what a real one never sends.
"""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ISSUER = "https://login.example.org/plant"
CLIENT_ID, CLIENT_SECRET = "blemish", "secret of: the client"


class SigningKey:
    """A key pair of the provider."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = generate_private_key(SECP256R1())

    @property
    def published(self) -> dict[str, Any]:
        """The public half, as a member of a JWK set."""
        algorithm = jwt.get_algorithm_by_name("ES256")
        document: dict[str, Any] = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        return document | {"kid": self.kid, "use": "sig"}

    def signed(self, claims: dict[str, Any]) -> str:
        """Return an ID token."""
        return jwt.encode(claims, self.private, algorithm="ES256", headers={"kid": self.kid})


def claims_of(subject: str = "anna-17", **members: Any) -> dict[str, Any]:
    """Return the claims of a good ID token, with others instead; None leaves one out."""
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": subject, "aud": CLIENT_ID, "iat": now, "exp": now + 300}
    return {name: value for name, value in (claims | members).items() if value is not None}


class OpenIdProvider:
    """The provider: `authorize` is its page, the rest is what servers ask it."""

    def __init__(self) -> None:
        self.key = SigningKey("first")
        #: what the next tokens say beside what they must
        self.told: dict[str, Any] = {"preferred_username": "anna", "groups": ["quality"]}
        self.userinfo: dict[str, Any] = {}
        #: replaces members of the metadata
        self.metadata: dict[str, Any] = {}
        #: path -> answer instead of the right one
        self.wrong: dict[str, Response | httpx.HTTPError] = {}
        self.access_token = "opens-userinfo"
        self.is_away = False
        self.asked: list[str] = []
        #: requests that were under way at the same time
        self.most_at_once = 0
        self._at_once = 0
        self._codes: dict[str, dict[str, str]] = {}
        self._number = 0
        paths = {
            "/plant/.well-known/openid-configuration": self._metadata,
            "/keys": self._keys,
            "/token": self._token,
            "/userinfo": self._userinfo,
        }
        routes = [Route(path, act, methods=["GET", "POST"]) for path, act in paths.items()]
        self._application = Starlette(routes=routes)

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """What leads requests to it."""
        application = httpx.ASGITransport(self._application)

        async def answer(request: httpx.Request) -> httpx.Response:
            if self.is_away:
                raise httpx.ConnectError("All connection attempts failed", request=request)
            self.asked.append(request.url.path)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            await anyio.sleep(0)  # as over a network: others go on meanwhile
            self._at_once -= 1
            return await application.handle_async_request(request)

        return httpx.MockTransport(answer)

    def authorize(self, url: str) -> dict[str, str]:
        """Let somebody sign in at the address that a browser was led to; return code and state."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self._number += 1
        code = f"code-{self._number}"
        self._codes[code] = query
        return {"code": code, "state": query["state"]}

    async def _metadata(self, request: Request) -> Response:
        urls = {
            "authorization_endpoint": "https://login.example.org/authorize",
            "token_endpoint": "https://login.example.org/token",
            "jwks_uri": "https://login.example.org/keys",
            "userinfo_endpoint": "https://login.example.org/userinfo",
        }
        scopes = ["openid", "profile", "email", "groups", "phone"]
        metadata = {"issuer": ISSUER, "scopes_supported": scopes} | urls | self.metadata
        return self._answer(request, metadata)

    async def _keys(self, request: Request) -> Response:
        return self._answer(request, {"keys": [self.key.published]})

    async def _token(self, request: Request) -> Response:
        form = {name: f"{value}" for name, value in (await request.form()).items()}
        asked = self._codes.pop(form.get("code", ""), None)
        secret = base64.b64encode(b"blemish:secret+of%3A+the+client").decode()
        by_header = request.headers.get("authorization") == f"Basic {secret}"
        if not (by_header or form.get("client_secret") == CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = self.key.signed(claims_of(**({"nonce": asked["nonce"]} | self.told)))
        return self._answer(request, {"id_token": token, "access_token": self.access_token})

    async def _userinfo(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer opens-userinfo":
            return Response(status_code=401)
        return self._answer(request, self.userinfo)

    def _answer(self, request: Request, members: dict[str, Any]) -> Response:
        wrong = self.wrong.get(request.url.path)
        if isinstance(wrong, httpx.HTTPError):
            raise wrong
        return wrong or JSONResponse(members)
