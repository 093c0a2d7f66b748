"""Signing in by password or with an access key, and out again: plain forms, without the framework.

So the page is there at once, also while the framework is still being loaded.
"""

from __future__ import annotations

import time
from functools import partial
from urllib.parse import parse_qs

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from blemish.console.auth.guard import origin_problem, visitor_of
from blemish.console.auth.session_cookie import set_session_cookie
from blemish.console.auth.sign_in_form import SignInForm, redirect, target_of
from blemish.console.auth.sign_in_records import is_key_id, record_sign_in, record_sign_out
from blemish.console.http import EXPECTED, bounded_body, status_of, stranger_text
from blemish.console.language.messages import later, say
from blemish.console.paths import SIGN_IN, SIGN_OUT
from blemish.console.services import Services
from blemish.console.visitor import SignedOutError, in_hashing_thread, in_thread
from blemish.service.access.sessions import LIFETIME
from blemish.wire.request_body import ClientGoneError
from blemish.wire.wrong_secrets import TooManyAttemptsError, WrongSecrets, address_group

logger: FilteringBoundLogger = structlog.get_logger(__name__)

FORM_BYTES = 16 * 1024
"""The largest form."""

WRONG = later(
    "Nobody has this name or access key, it is disabled, or the password or the secret is wrong."
)
WAIT = later(
    "Too many attempts from your address were wrong, or came at once. Try again "
    "in {seconds} seconds."
)


class _WrongSecretError(Exception):
    """Name or secret is wrong."""


class SignIn:
    """Answers the paths of signing in and out, which need no session."""

    paths = frozenset({SIGN_IN, SIGN_OUT})

    def __init__(self, services: Services, wrong_secrets: WrongSecrets) -> None:
        self._services = services
        self._form = SignInForm(services.provider).response
        #: by address: whoever guesses at many names pays for each
        self._of_address = wrong_secrets
        #: by address and name, which the right secret of this name alone forgives
        self._of_name = WrongSecrets(monotonic=time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        try:
            response = await self._response(request)
        except ClientGoneError:
            return
        except EXPECTED as error:
            response = self._form(status_of(error), problem=stranger_text(error))
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        if problem := origin_problem(request):
            return self._form(403, problem=problem)
        if request.method in {"GET", "HEAD"}:
            return await self._show(request)
        if request.method != "POST":
            return self._form(405, problem=say("This address takes GET and POST alone."))
        if request.url.path == SIGN_OUT:
            return await self._sign_out(request)
        return await self._sign_in(request)

    async def _show(self, request: Request) -> Response:
        target = target_of(request.query_params.get("next", ""))
        try:
            await visitor_of(request, self._services).principal()
        except SignedOutError:
            return self._form(200, target=target)
        return redirect(target)

    async def _sign_in(self, request: Request) -> Response:
        body = await bounded_body(request, limit_bytes=FORM_BYTES, subject=say("The form"))
        form = parse_qs((body.content or b"").decode(errors="replace"))
        name, secret, target = (form.get(name, [""])[0] for name in ("key", "secret", "next"))
        name, target = name.strip(), target_of(target.strip())
        address = request.client.host if request.client else None
        record = partial(record_sign_in, self._services, request, name)
        try:
            token = await self._counted_begin(name, secret, address)
        except TooManyAttemptsError as error:
            text = say(WAIT, seconds=error.seconds)
            await in_thread(partial(record, problem=text))
            return self._form(429, problem=text, name=name, target=target)
        except _WrongSecretError:
            logger.warning("sign-in failed", address=address)
            await in_thread(partial(record, problem=WRONG))
            return self._form(403, problem=say(WRONG), name=name, target=target)
        principal = await in_thread(self._services.sessions.principal, token)
        await in_thread(partial(record, principal=principal))
        response = redirect(target)
        set_session_cookie(response, request, token, max_age_s=int(LIFETIME.total_seconds()))
        return response

    async def _counted_begin(self, name: str, secret: str, address: str | None) -> str:
        """Begin a session, and return its token.

        Raises:
            _WrongSecretError: name or secret is wrong.
            TooManyAttemptsError: too many of this address were wrong or go on.
        """
        group = address_group(address)
        subject = f"{group} {name:.128}"
        with (
            self._of_name.attempt(subject, wrong=_WrongSecretError),
            self._of_address.attempt(group, wrong=_WrongSecretError),
        ):
            token = await self._begin(name, secret, address)
            if token is None:
                raise _WrongSecretError
        self._of_name.forget(subject)
        return token

    async def _begin(self, name: str, secret: str, address: str | None) -> str | None:
        sessions = self._services.sessions
        if is_key_id(name):
            begin = partial(sessions.begin, address=address)
            return await in_thread(begin, name, secret.strip())  # as pasted; it has no spaces
        return await in_hashing_thread(
            partial(sessions.begin_as_user, address=address), name, secret
        )

    async def _sign_out(self, request: Request) -> Response:
        visitor = visitor_of(request, self._services)
        principal = await in_thread(self._services.sessions.principal, visitor.token)
        await in_thread(self._services.sessions.end, visitor.token)
        if principal is not None:
            record_sign_out(self._services, request, principal)
        response = redirect(SIGN_IN)
        set_session_cookie(response, request, "", max_age_s=0)
        return response
