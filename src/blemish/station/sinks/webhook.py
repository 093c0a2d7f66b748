"""A webhook: each verdict as one POST request."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blemish.station.config_table import ConfigTable, SecretText
from blemish.station.drift.alarms import AlarmEvent
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
        alarm_url: str | None = None,
        token: SecretText | None = None,
        timeout_s: float = 10.0,
        ca_file: Path | None = None,
    ) -> None:
        self.name = name
        self._url, self._alarm_url, self._token = url, alarm_url, token
        self._timeout_s, self._ca_file = timeout_s, ca_file
        self._opener: urllib.request.OpenerDirector | None = None

    @property
    def takes_alarms(self) -> bool:
        """Whether there is an address for alarms."""
        return self._alarm_url is not None

    def deliver(self, verdict: Verdict) -> None:
        """Post a verdict.

        Raises:
            VerdictRefusedError: the server says that this verdict is wrong.
            SinkError: it cannot be reached, or answers with another error.
        """
        self._post(self._url, verdict.id, verdict.to_json())

    def deliver_alarm(self, event: AlarmEvent) -> None:
        """Post the begin or the end of an alarm; errors as in `deliver`."""
        assert self._alarm_url is not None
        self._post(self._alarm_url, f"alarm-event-{event.number}", event.to_json())

    def _post(self, url: str, key: str, document: Mapping[str, Any]) -> None:
        try:
            if self._opener is None:
                self._opener = _opener(self._ca_file)
            request = self._request(url, key, document)
            with self._opener.open(request, timeout=self._timeout_s):
                pass
        except urllib.error.HTTPError as error:
            raise _error_of(_server(url), error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise SinkError(f"{_server(url)} does not answer: {reason}.") from None

    def close(self) -> None:
        """Release nothing: every request has its own connection."""

    def _request(self, url: str, key: str, document: Mapping[str, Any]) -> urllib.request.Request:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "User-Agent": "blemish-station",
        }
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        data = json.dumps(document).encode()
        return urllib.request.Request(url, data, headers, method="POST")  # noqa: S310


def _server(url: str) -> str:
    return f"The webhook of {urlsplit(url).netloc}"


def _error_of(server: str, error: urllib.error.HTTPError) -> SinkError:
    try:
        text = error.read(ANSWER_BYTES).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException):
        text = ""
    finally:
        error.close()
    message = f"{server} answers with status {error.code}{f': {text}' if text else ''}"
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
        alarm_url=table.url("alarm_url") if table.has("alarm_url") else None,
        token=table.secret("token_env"),
        timeout_s=table.number("timeout_s", 10, least=0.1, most=30),
        ca_file=table.optional_path("ca_file"),
    )
