"""A webhook: each verdict as one POST request."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blemish.station.config_table import ConfigTable, SecretText
from blemish.station.errors import SinkError, VerdictRefusedError
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict

REFUSALS = frozenset({400, 413, 415, 422})
"""Statuses about the verdict itself: the same request would get the same answer."""

ANSWER_BYTES = 200
"""How much of a refusal is quoted."""


class WebhookSink:
    """Posts verdicts as JSON; a verdict is delivered once the server answers with a status 2xx."""

    def __init__(
        self,
        name: str,
        *,
        url: str,
        token: SecretText | None = None,
        timeout_s: float = 10.0,
        ca_file: Path | None = None,
    ) -> None:
        self.name = name
        self._url, self._token = url, token
        self._timeout_s, self._ca_file = timeout_s, ca_file
        self._opener: urllib.request.OpenerDirector | None = None

    def deliver(self, verdict: Verdict) -> None:
        """Post a verdict.

        Raises:
            VerdictRefusedError: the server says that this verdict is wrong.
            SinkError: it cannot be reached, or answers with another error.
        """
        try:
            if self._opener is None:
                self._opener = _opener(self._ca_file)
            with self._opener.open(self._request(verdict), timeout=self._timeout_s):
                pass
        except urllib.error.HTTPError as error:
            raise self._error_of(error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise SinkError(f"{self._server} does not answer: {reason}.") from None

    def close(self) -> None:
        """Release nothing: every request has its own connection."""

    @property
    def _server(self) -> str:
        return f"The webhook of {urlsplit(self._url).netloc}"

    def _request(self, verdict: Verdict) -> urllib.request.Request:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": verdict.id,
            "User-Agent": "blemish-station",
        }
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        data = json.dumps(verdict.to_json()).encode()
        return urllib.request.Request(self._url, data, headers, method="POST")  # noqa: S310

    def _error_of(self, error: urllib.error.HTTPError) -> SinkError:
        try:
            text = error.read(ANSWER_BYTES).decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException):
            text = ""
        finally:
            error.close()
        message = f"{self._server} answers with status {error.code}{f': {text}' if text else ''}"
        return VerdictRefusedError(message) if error.code in REFUSALS else SinkError(message)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves redirects alone: one would carry the token to another server."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def _opener(ca_file: Path | None) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context(cafile=ca_file)
    handlers = (urllib.request.HTTPSHandler(context=context), _NoRedirects())
    return urllib.request.build_opener(*handlers)


def build_webhook_sink(name: str, table: ConfigTable) -> Sink:
    """Build the sink from its settings."""
    return WebhookSink(
        name,
        url=table.url("url"),
        token=table.secret("token_env"),
        timeout_s=table.number("timeout_s", 10, least=0.1, most=30),
        ca_file=table.optional_path("ca_file"),
    )
