"""Signing in by an identity provider: to it, and back with a code.

    /console/sign-in/provider -> the provider, with a new attempt in a cookie
    /console/sign-in/callback -> a page that leads on: the provider's redirect came without cookies,
                                 which are SameSite=Strict
    /console/sign-in/finish   -> a session of the user, or the form with what is wrong

Source: OpenID Connect Core 1.0, section 3.1; RFC 9207 (the issuer in the answer).
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from blemish.console.auth.guard import cookie_name, origin_problem
from blemish.console.auth.kiosk import leading_to
from blemish.console.auth.session_cookie import set_cookie, set_session_cookie
from blemish.console.auth.sign_in import WAIT
from blemish.console.auth.sign_in_form import SignInForm, redirect, target_of
from blemish.console.auth.sign_in_records import record_provider_sign_in
from blemish.console.http import EXPECTED, status_of, stranger_text
from blemish.console.language.messages import later, say
from blemish.console.paths import PROVIDER_CALLBACK, PROVIDER_FINISH, PROVIDER_SIGN_IN
from blemish.console.services import Services
from blemish.console.visitor import in_thread
from blemish.domain.errors import AccessDeniedError
from blemish.service.access.oidc.attempts import SECRET_BYTES, SignInAttempt
from blemish.service.access.oidc.errors import IdentityProviderError, ProofError
from blemish.service.access.oidc.provider_settings import ProviderSettings, called_name
from blemish.service.access.sessions import LIFETIME
from blemish.wire.wrong_secrets import (
    FREE_OF_ALL_NAMES,
    TooManyAttemptsError,
    WrongSecrets,
    address_group,
)

if TYPE_CHECKING:
    from blemish.service.access.oidc.provider import OidcProvider

logger: FilteringBoundLogger = structlog.get_logger(__name__)

COOKIE = "attempt"
ATTEMPT_S = 600
"""How long somebody may take at the provider."""

TOO_MANY = 429

MOST_TARGET = 3_000
"""Bytes of the cookie for where somebody wants to go; browsers drop a cookie of more than 4,096."""

MOST_NAME = 100
"""Characters of a name that are read."""

AWAY = later(
    "{name} cannot sign anybody in right now. Sign in by a password or an access key, or try again "
    "later."
)
REFUSED = later("{name} did not sign you in ({error}). Try again, or sign in by a password.")
ANOTHER = later(
    "This sign-in was finished already, took more than ten minutes, or began in another browser. "
    "Begin again."
)
NO_ROLE = later(
    "You are {user} at {name}, but none of your groups there has a role here. Ask an administrator."
)
DISABLED = later("You are {user} at {name}, but this user is disabled here. Ask an administrator.")

_ERROR = re.compile(r"[a-z_]{1,64}")
"""Codes of errors. Source: RFC 6749, section 4.1.2.1."""


class ProviderSignIn:
    """Answers the paths of signing in by the identity provider, which need no session."""

    paths = frozenset({PROVIDER_SIGN_IN, PROVIDER_CALLBACK, PROVIDER_FINISH})

    def __init__(self, services: Services, settings: ProviderSettings) -> None:
        self._services = services
        self._settings = settings
        #: apart: whatever is wrong with the provider, people may still sign in by a password
        self._in_vain = WrongSecrets(monotonic=time.monotonic, free=FREE_OF_ALL_NAMES)
        self._form = SignInForm(settings).response
        self._provider: OidcProvider | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        try:
            response = await self._response(request)
        except EXPECTED as error:
            text = stranger_text(error)
            response = await self._refusal(
                request, status_of(error), "{error}", cause=str(error), error=text
            )
        except ProofError as error:
            reason = str(error).rstrip(".")
            response = await self._refusal(request, 403, REFUSED, error=reason)
        except TooManyAttemptsError as error:
            response = await self._refusal(request, TOO_MANY, WAIT, seconds=f"{error.seconds}")
        except IdentityProviderError as error:
            response = await self._refusal(request, 503, AWAY, cause=str(error))
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        if problem := origin_problem(request):
            raise AccessDeniedError(problem)
        if request.method != "GET":
            return self._form(405, problem=say("This address takes GET alone."))
        if request.url.path == PROVIDER_SIGN_IN:
            return await self._begin(request)
        if request.url.path == PROVIDER_CALLBACK:
            return leading_to(f"{PROVIDER_FINISH}?{request.url.query}")
        return await self._finish(request)

    async def _begin(self, request: Request) -> Response:
        attempt = SignInAttempt(secret=secrets.token_hex(SECRET_BYTES))
        with self._in_vain.attempt(_group(request), wrong=IdentityProviderError):
            url = await self._identity_provider().sign_in_url(
                attempt, redirect_uri=_redirect_uri(request)
            )
        response = redirect(url)
        target = quote(_wanted(request), safe="")
        value = f"{attempt.secret}:{target if len(target) <= MOST_TARGET else ''}"
        set_cookie(response, request, value, kind=COOKIE, max_age_s=ATTEMPT_S)
        return response

    async def _finish(self, request: Request) -> Response:
        attempt, target = _attempt(request)
        if attempt is None:
            return await self._refusal(request, 403, ANOTHER)
        with self._in_vain.attempt(_group(request), wrong=(IdentityProviderError, ProofError)):
            claims = await self._claims(request, attempt)
        response = await self._session(request, claims, target)
        set_cookie(response, request, "", kind=COOKIE, max_age_s=0)
        return response

    async def _claims(self, request: Request, attempt: SignInAttempt) -> Mapping[str, Any]:
        """Return what the provider says of who came back."""
        query = request.query_params
        if query.get("iss", self._settings.issuer) != self._settings.issuer:
            raise ProofError("The answer came from another provider")
        if error := query.get("error"):
            raise ProofError(error if _ERROR.fullmatch(error) else "no reason that can be shown")
        return await self._identity_provider().claims(
            query.get("code", ""), attempt, redirect_uri=_redirect_uri(request)
        )

    async def _session(self, request: Request, claims: Mapping[str, Any], target: str) -> Response:
        """Begin a session of a user whose identity is proved, if the user has a role here."""
        users, sessions = self._services.users, self._services.sessions
        name = called_name(claims)[:MOST_NAME]
        identity, role = self._settings.identity(claims), self._settings.role(claims)
        if role is None:
            await in_thread(users.sign_out_identity, identity)
            return await self._refusal(request, 403, NO_ROLE, user=name)
        user = await in_thread(partial(users.identified, name=name, role=role), identity)
        address = request.client.host if request.client else None
        token = await in_thread(partial(sessions.begin_of, address=address), user)
        if token is None:
            return await self._refusal(request, 403, DISABLED, user=name)
        principal = await in_thread(sessions.principal, token)
        record = partial(record_provider_sign_in, self._services, request)
        await in_thread(partial(record, principal=principal, role=role))
        response = redirect(target)
        set_session_cookie(response, request, token, max_age_s=int(LIFETIME.total_seconds()))
        return response

    async def _refusal(
        self, request: Request, status: int, message: str, *, cause: str = "", **values: str
    ) -> Response:
        """Return the form, and note in log and audit log why somebody is not signed in.

        Args:
            request: of the browser.
            status: of the answer.
            message: what the form says.
            cause: what log and audit log say instead; it is nothing for visitors.
            values: of the message.
        """
        values["name"] = self._settings.label
        address = request.client.host if request.client else None
        reason = cause or message.format(**values)
        logger.warning("sign-in by the identity provider failed", address=address, reason=reason)
        await in_thread(partial(record_provider_sign_in, self._services, request, problem=reason))
        has_state = "state" in request.query_params
        attempt, began_for = _attempt(request)
        target = began_for if has_state else _wanted(request)
        response = self._form(status, problem=say(message, **values), target=target)
        if (
            attempt is not None and status != TOO_MANY
        ):  # any site can lead a browser to the callback
            set_cookie(response, request, "", kind=COOKIE, max_age_s=0)
        return response

    def _identity_provider(self) -> OidcProvider:
        if self._provider is None:
            from blemish.service.access.oidc.provider import (  # noqa: PLC0415 - see `console.app`
                OidcProvider,
            )

            self._provider = OidcProvider(self._settings, monotonic=time.monotonic)
        return self._provider


def _attempt(request: Request) -> tuple[SignInAttempt | None, str]:
    """Return the attempt that a browser began and goes on with, and where it wants to go."""
    secret, _, target = request.cookies.get(cookie_name(request.scope, COOKIE), "").partition(":")
    attempt = SignInAttempt(secret=secret)
    is_own = bool(secret) and attempt.began(request.query_params.get("state", ""))
    return (attempt if is_own else None), target_of(unquote(target))


def _wanted(request: Request) -> str:
    """Return where somebody wants to go who begins."""
    return target_of(request.query_params.get("next", ""))


def _redirect_uri(request: Request) -> str:
    """Return the address of the callback as this browser sees it; the provider knows it, too."""
    scheme, host = request.scope.get("scheme", "http"), request.headers.get("host", "")
    return f"{scheme}://{host}{PROVIDER_CALLBACK}"


def _group(request: Request) -> str:
    return address_group(request.client.host if request.client else None)
