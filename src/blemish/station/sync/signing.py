"""Signature Version 4 of requests to a server of Blemish.

Source: AWS General Reference, "Signature Version 4 signing process".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

from blemish.station.config_table import SecretText

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, kw_only=True)
class ServerKey:
    """An access key of the server."""

    key_id: str
    secret: SecretText
    session_token: str | None = None


def signed_headers(
    method: str,
    url: str,
    *,
    service: str,
    region: str,
    key: ServerKey,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> dict[str, str]:
    """Return the headers of a request without a query, with those of its signature."""
    parts = urlsplit(url)
    timestamp, digest = now.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(body).hexdigest()
    signed = {name.lower(): value for name, value in headers.items()}
    signed |= {"host": parts.netloc, "x-amz-date": timestamp, "x-amz-content-sha256": digest}
    if key.session_token is not None:
        signed["x-amz-security-token"] = key.session_token
    names = ";".join(sorted(signed))
    path = parts.path if service == "s3" else quote(parts.path)
    lines = [f"{name}:{signed[name].strip()}\n" for name in sorted(signed)]
    canonical = "\n".join([method, path, "", "".join(lines), names, digest])
    scope = f"{timestamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([ALGORITHM, timestamp, scope, _sha256(canonical)])
    secret = f"AWS4{key.secret.reveal()}".encode()
    for text in (*scope.split("/"), to_sign):
        secret = hmac.digest(secret, text.encode(), "sha256")
    signed["authorization"] = (
        f"{ALGORITHM} Credential={key.key_id}/{scope}, SignedHeaders={names}, "
        f"Signature={secret.hex()}"
    )
    return signed


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
