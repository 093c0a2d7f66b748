"""Opening the page of a line by a kiosk link: the token becomes the cookie of a session.

The answer is a page that leads on, not a redirect: after a redirect that another site began, a
browser would not send the new cookie, which is SameSite=Strict.
"""

from __future__ import annotations

import html
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from blemish.console.auth.guard import origin_problem
from blemish.console.auth.session_cookie import NO_STORE, set_session_cookie
from blemish.console.auth.sign_in import WAIT
from blemish.console.auth.sign_in_records import record_kiosk
from blemish.console.http import EXPECTED, status_of, stranger_text
from blemish.console.language.messages import later, say
from blemish.console.language.visitor_language import current_language
from blemish.console.paths import KIOSK, full_screen_path
from blemish.console.services import Services
from blemish.console.visitor import in_thread
from blemish.domain.access.principals import Principal
from blemish.storage.errors import DatabaseUnavailableError
from blemish.wire.wrong_secrets import TooManyAttemptsError, WrongSecrets, address_group

MAX_AGE_S = 400 * 24 * 3_600
"""How long a browser keeps the cookie, at most. Source: RFC 6265bis, section 5.5."""

WRONG = later("This link does not exist, or it was revoked. Ask for a new one.")


class _WrongLinkError(Exception):
    """A token opens nothing."""


class KioskEntrance:
    """Answers the path of kiosk links, which needs no session."""

    paths = frozenset({KIOSK})

    def __init__(self, services: Services, wrong_secrets: WrongSecrets) -> None:
        self._services = services
        self._wrong_secrets = wrong_secrets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        try:
            response = await self._response(request)
        except DatabaseUnavailableError:
            raise  # its page opens the link again by itself
        except EXPECTED as error:
            response = _page(status_of(error), stranger_text(error))
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        if problem := origin_problem(request):
            return _page(403, problem)
        if request.method != "GET":
            return _page(405, say("This address takes GET alone."))
        token = request.query_params.get("token", "")
        record = partial(record_kiosk, self._services, request)
        group = address_group(request.client.host if request.client else None)
        try:
            with self._wrong_secrets.attempt(group, wrong=_WrongLinkError):
                principal, line = await in_thread(self._opened, token)
        except TooManyAttemptsError as error:
            return _waiting(error.seconds)
        except _WrongLinkError:
            await in_thread(partial(record, problem=WRONG))
            return _page(403, say(WRONG))
        await in_thread(partial(record, principal=principal))
        response = leading_to(quote(full_screen_path(line)))
        set_session_cookie(response, request, token, max_age_s=MAX_AGE_S)
        return response

    def _opened(self, token: str) -> tuple[Principal, str]:
        """Return whom a token makes of a screen, and the line that it opens."""
        principal = self._services.kiosks.principal(token)
        if principal is None or principal.only_line is None:
            raise _WrongLinkError
        return principal, principal.only_line


def leading_to(target: str) -> Response:
    """Return a page that leads to another one of this console at once."""
    address = html.escape(target)
    return _page(
        200,
        f'<a href="{address}">Go on</a>',
        head=f'<meta http-equiv="refresh" content="0; url={address}">',
        is_html=True,
    )


def _waiting(seconds: int) -> Response:
    """Return a page that opens the link again by itself: a screen may have no keyboard."""
    reload = f'<meta http-equiv="refresh" content="{seconds}">'
    return _page(429, say(WAIT, seconds=seconds), head=reload)


def _page(status: int, text: str, *, head: str = "", is_html: bool = False) -> Response:
    body = text if is_html else html.escape(text)
    content = (
        f'<!doctype html><html lang="{current_language()}"><head><meta charset="utf-8">'
        f"<title>Blemish</title>"
        f"{head}</head><body><p>{body}</p></body></html>"
    )
    headers = {**NO_STORE, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(content, status_code=status, headers=headers)
