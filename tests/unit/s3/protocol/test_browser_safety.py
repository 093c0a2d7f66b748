from __future__ import annotations

from typing import Any

import pytest

from blemish.s3.protocol.browser_safety import SANDBOX
from tests.asgi_client import Answer, ask
from tests.unit.principals import allow, principal
from tests.unit.s3.conftest import BUCKET, Bench, app_of, client_of


def get(bench: Bench, *, presigned: bool, **put: Any) -> Answer:
    """Put an object, and get it by a presigned URL or by a request that is signed in its header."""
    holder = principal(allow("s3:*"))
    client = client_of(bench, holder)
    client.put_object(Bucket=BUCKET, Key="a", Body=b"<script>", **put)
    if presigned:
        url = client.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "a"})
        return ask(app_of(bench, holder), "GET", url)
    answer = client.get_object(Bucket=BUCKET, Key="a")
    return Answer(200, answer["ResponseMetadata"]["HTTPHeaders"], answer["Body"].read())


@pytest.mark.parametrize("presigned", [True, False])
def test_no_object_is_a_page_of_this_server(bench: Bench, *, presigned: bool) -> None:
    answer = get(bench, presigned=presigned, ContentType="text/html")

    assert (answer.status, answer.body) == (200, b"<script>")
    assert SANDBOX.items() <= answer.headers.items()
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "TEXT/HTML; charset=utf-8",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "application/pdf",
        "text/javascript",
        "application/x-javascript",
    ],
)
def test_what_a_browser_would_run_is_downloaded_from_a_link(
    bench: Bench, content_type: str
) -> None:
    linked = get(bench, presigned=True, ContentType=content_type)
    signed = get(bench, presigned=False, ContentType=content_type)

    assert linked.headers["content-disposition"] == "attachment"
    assert "content-disposition" not in signed.headers


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("inline", "attachment"),
        ('inline; filename="a.html"', 'attachment; filename="a.html"'),
        ('attachment; filename="a.html"', 'attachment; filename="a.html"'),
    ],
)
def test_its_own_disposition_cannot_show_it(bench: Bench, given: str, expected: str) -> None:
    answer = get(bench, presigned=True, ContentType="text/html", ContentDisposition=given)

    assert answer.headers["content-disposition"] == expected


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "application/json"])
def test_images_are_shown(bench: Bench, content_type: str) -> None:
    answer = get(bench, presigned=True, ContentType=content_type)

    assert "content-disposition" not in answer.headers


def test_no_refusal_and_no_listing_is_a_page_of_this_server(bench: Bench) -> None:
    client = client_of(bench, principal(allow("s3:*")))

    with pytest.raises(client.exceptions.NoSuchKey) as refusal:
        client.get_object(Bucket=BUCKET, Key="absent")
    listing = client.list_objects_v2(Bucket=BUCKET)

    for response in (refusal.value.response, listing):
        assert SANDBOX.items() <= response["ResponseMetadata"]["HTTPHeaders"].items()
