from __future__ import annotations

from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from blemish.station.config_table import SecretText
from blemish.station.sync.signing import ServerKey, signed_headers

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("session_token", [None, "a-token"])
@pytest.mark.parametrize(
    ("service", "url"),
    [
        ("s3", "http://127.0.0.1:8000/images/station/line%201/a%2Bb.png"),
        ("lookoutvision", "https://blemish.example/2020-11-20/projects/plates/trials/station-1"),
    ],
)
def test_requests_are_signed_as_botocore_signs_them(
    service: str, url: str, session_token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    body = b'{"ModelVersion": "1"}'
    key = ServerKey(key_id="AKIA", secret=SecretText("secret"), session_token=session_token)
    signed = signed_headers(
        "POST",
        url,
        service=service,
        region="eu-west-1",
        key=key,
        headers={"content-type": "application/json"},
        body=body,
        now=NOW,
    )
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    request = AWSRequest("POST", url, headers={"content-type": "application/json"}, data=body)
    request.context["client_config"] = None
    request.headers["X-Amz-Content-SHA256"] = signed["x-amz-content-sha256"]
    signer(Credentials("AKIA", "secret", session_token), service, "eu-west-1").add_auth(request)

    assert signed["authorization"] == request.headers["Authorization"]
