"""Signature Version 4, written from its documentation, so that a fault is not shared with Blemish.

Source: AWS IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote


def signed_headers(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key_id: str,
    secret: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """Return the headers of a request with its signature; names are in lower case."""
    stamp, day = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
    digest = hashlib.sha256(body).hexdigest()
    signed = dict(headers) | {"x-amz-date": stamp, "x-amz-content-sha256": digest}
    names = ";".join(sorted(signed))
    # S3 takes the path as it is sent, other services encode it once more
    canonical_path = path if service == "s3" else quote(path, safe="/-_.~")
    lines = [method, canonical_path, "&".join(sorted(_pairs(query)))]
    lines += [f"{name}:{signed[name].strip()}" for name in sorted(signed)]
    lines += ["", names, digest]
    request_digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = f"{day}/us-east-1/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{request_digest}"
    signature = hmac.new(_key(secret, day, service), text.encode(), "sha256").hexdigest()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    return signed


def _pairs(query: str) -> list[str]:
    return [pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair]


@lru_cache(10_000)
def _key(secret: str, day: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, "us-east-1", service, "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key
