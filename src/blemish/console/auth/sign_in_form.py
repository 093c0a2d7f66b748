"""The form for signing in, and where it leads."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.responses import HTMLResponse, RedirectResponse, Response

from blemish.console.auth.session_cookie import NO_STORE
from blemish.console.language.messages import say
from blemish.console.language.visitor_language import current_language
from blemish.console.paths import PROVIDER_SIGN_IN, ROOT, SIGN_IN
from blemish.service.access.oidc.provider_settings import ProviderSettings

if TYPE_CHECKING:
    import jinja2


class SignInForm:
    """The form, and beside it a link to the identity provider, if there is one."""

    def __init__(self, provider: ProviderSettings | None) -> None:
        self._provider = provider

    def response(
        self, status: int, *, problem: str = "", name: str = "", target: str = f"{ROOT}/"
    ) -> Response:
        """Return the page.

        Args:
            status: of the answer.
            problem: why somebody is not signed in.
            name: what is filled in.
            target: where to go after signing in.
        """
        text = _template().render(
            say=say,
            language=current_language(),
            root=ROOT,
            sign_in=SIGN_IN,
            problem=problem,
            name=name,
            target=target,
            provider=self._provider.label if self._provider else "",
            provider_sign_in=f"{PROVIDER_SIGN_IN}?{urlencode({'next': target})}",
        )
        content = text.encode(errors="replace")
        return HTMLResponse(content, status_code=status, headers=NO_STORE)


def target_of(text: str) -> str:
    """Return where to go after signing in: a page of the console, whatever the text says."""
    try:
        parts = urlsplit(text)
    except ValueError:  # such as //[
        return f"{ROOT}/"
    inside = parts.path == ROOT or parts.path.startswith(f"{ROOT}/")
    if parts.scheme or parts.netloc or not inside or not text.isprintable() or "\\" in text:
        return f"{ROOT}/"
    return text


def redirect(target: str) -> Response:
    """Return an answer that leads a browser somewhere else."""
    return RedirectResponse(target, status_code=303, headers=NO_STORE)


@cache
def _template() -> jinja2.Template:
    import jinja2  # noqa: PLC0415 - not before somebody signs in

    source = Path(__file__).with_name("sign_in.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source)
