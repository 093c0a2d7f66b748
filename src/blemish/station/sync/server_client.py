"""What sync asks of the server: objects over S3, and trials over the API."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from blemish.station.errors import StationError
from blemish.station.sync.signing import ServerKey, signed_headers

API = "/2020-11-20/projects"
ANSWER_S = 60.0
MESSAGE_BYTES = 10_000
CONFLICT, MISSING, FORBIDDEN = 409, 404, 403


class ServerError(StationError):
    """The server is away, or refuses a request."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server, and how it is asked."""

    url: str
    region: str
    key: ServerKey
    ca_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class TrialState:
    """How far a trial is."""

    status: str
    message: str
    #: images, by what was found of them
    counts: Mapping[str, int]


class ServerClient:
    """Calls one server."""

    def __init__(self, endpoint: Endpoint, *, now: Callable[[], datetime]) -> None:
        """Read the authorities.

        Raises:
            ServerError: their file cannot be read.
        """
        self._endpoint = endpoint
        self._now = now
        try:
            context = ssl.create_default_context(cafile=endpoint.ca_file)
        except OSError as error:
            raise ServerError(f"{endpoint.ca_file} cannot be read: {error.strerror}.") from None
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))

    def has_object(self, bucket: str, key: str) -> bool:
        """Return whether a bucket has an object, as far as the key may know.

        Keys that may not list a bucket are not told that an object is missing.

        Raises:
            ServerError: the server does not say.
        """
        try:
            self._call("HEAD", _object_path(bucket, key), service="s3")
        except ServerError as error:
            if error.status in {MISSING, FORBIDDEN}:
                return False
            raise
        return True

    def put_object(self, bucket: str, key: str, data: bytes, *, media_type: str) -> None:
        """Write an object.

        Raises:
            ServerError: it is not written.
        """
        headers = {"content-type": media_type}
        self._call("PUT", _object_path(bucket, key), service="s3", body=data, headers=headers)

    def start_trial(
        self, project: str, *, model_version: str, trial_name: str, refs: list[str]
    ) -> None:
        """Start a trial; one of this name that exists already is left alone.

        Raises:
            ServerError: it is not started.
        """
        body = {
            "ModelVersion": model_version,
            "TrialName": trial_name,
            "ImageSource": {"Images": refs},
        }
        headers = {"content-type": "application/json", "x-amzn-client-token": trial_name}
        path = f"{API}/{quote(project, safe='')}/trials"
        try:
            data = json.dumps(body).encode()
            self._call("POST", path, service="lookoutvision", body=data, headers=headers)
        except ServerError as error:
            if error.status != CONFLICT or self.trial(project, trial_name) is None:
                raise

    def trial(self, project: str, trial_name: str) -> TrialState | None:
        """Return how far a trial is; None if there is none of this name.

        Raises:
            ServerError: the server does not say.
        """
        path = f"{API}/{quote(project, safe='')}/trials/{quote(trial_name, safe='')}"
        try:
            trial = json.loads(self._call("GET", path, service="lookoutvision"))["Trial"]
        except ServerError as error:
            if error.status == MISSING:
                return None
            raise
        return TrialState(
            status=trial["Status"],
            message=trial.get("StatusMessage", ""),
            counts=trial.get("ImageStats", {}),
        )

    def _call(
        self,
        method: str,
        path: str,
        *,
        service: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        endpoint, url = self._endpoint, self._endpoint.url.rstrip("/") + path
        signed = signed_headers(
            method,
            url,
            service=service,
            region=endpoint.region,
            key=endpoint.key,
            headers=headers or {},
            body=body,
            now=self._now(),
        )
        data = body if method in {"PUT", "POST"} else None
        request = urllib.request.Request(url, data, signed, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=ANSWER_S) as response:
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as error:
            with error:
                text = _message(error.read(MESSAGE_BYTES))
            message = f"The server refuses {method} {path} with status {error.code}{text}"
            raise ServerError(message, status=error.code) from None
        except (OSError, http.client.HTTPException) as error:
            reason: Any = error.reason if isinstance(error, urllib.error.URLError) else error
            server = urlsplit(url).netloc
            raise ServerError(f"The server {server} does not answer: {reason}.") from None


def _object_path(bucket: str, key: str) -> str:
    return f"/{bucket}/{quote(key, safe='/-_.~')}"


def _message(body: bytes) -> str:
    """Return the message of an error of the API, in JSON, or of S3, in XML."""
    text = body.decode("utf-8", "replace")
    try:
        message = json.loads(text).get("Message", "")
    except (ValueError, AttributeError):
        matched = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
        message = matched[1] if matched else ""
    return f": {message}" if message else "."
