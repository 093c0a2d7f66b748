from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.acceptance.served import ServedDirectory

pytestmark = pytest.mark.acceptance

CONTENT = "the content of an object"
TOKEN = "a-token-of-a-client"


def key_of(served: ServedDirectory) -> dict[str, str]:
    """Return the first access key as boto3 takes it."""
    text = (served.folder / "aws" / "credentials").read_text()
    return dict(re.findall(r"(aws_\w+) = (\S+)", text))


def s3_client(served: ServedDirectory) -> Any:
    return boto3.Session().client(
        "s3",
        region_name="us-east-1",
        endpoint_url=served.endpoint,
        config=Config(signature_version="s3v4", retries={"max_attempts": 0}),
        **key_of(served),
    )


def logged(served: ServedDirectory) -> list[dict[str, Any]]:
    """Return the lines of the log; what the command prints is none of them."""
    lines = served.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def request_id(answer: Any) -> str:
    return str(answer["ResponseMetadata"]["RequestId"])


def signatures_of(client: Any) -> list[str]:
    """Return a list that takes the signatures of all that a client sends."""
    signatures: list[str] = []

    def note(request: Any, **_: object) -> None:
        header = request.headers.get("Authorization", b"")
        text = header.decode() if isinstance(header, bytes) else header
        signatures.extend(re.findall(r"Signature=([0-9a-f]{64})", text))

    client.meta.events.register("before-send", note)
    return signatures


def test_what_was_logged_of_a_request_is_found_by_the_id_that_its_client_has(
    serve: Callable[..., ServedDirectory],
) -> None:
    served = serve(BLEMISH_LOG_LEVEL="debug")
    client, s3 = served.client(), s3_client(served)

    made = client.create_project(ProjectName="plates")
    with pytest.raises(ClientError) as refused:
        client.create_project(ProjectName="plates")
    listed = s3.list_buckets()

    lines = {line["request_id"]: line for line in logged(served) if "request_id" in line}
    told = [lines[request_id(each)] for each in (made, refused.value.response, listed)]
    assert [(line["operation"], line["status"], line["error"]) for line in told] == [
        ("CreateProject", 200, None),
        ("CreateProject", 409, "ConflictException"),
        ("ListBuckets", 200, None),
    ]
    assert {line["access_key_id"] for line in told} == {key_of(served)["aws_access_key_id"]}


def test_no_secret_and_no_content_reaches_the_log(serve: Callable[..., ServedDirectory]) -> None:
    served = serve(BLEMISH_LOG_LEVEL="debug")
    client, s3 = served.client(), s3_client(served)
    signatures = signatures_of(client)

    client.create_project(ProjectName="plates", ClientToken=TOKEN)
    with pytest.raises(ClientError):
        client.detect_anomalies(
            ProjectName="plates", ModelVersion="1", ContentType="image/png", Body=CONTENT
        )
    s3.put_object(Bucket="pictures", Key="a", Body=CONTENT, Metadata={"note": CONTENT})
    link = s3.generate_presigned_url("get_object", Params={"Bucket": "pictures", "Key": "a"})
    assert urlopen(link).read().decode() == CONTENT

    secrets = [key_of(served)["aws_secret_access_key"], CONTENT, TOKEN, *signatures]
    secrets += re.findall(r"X-Amz-Signature=([0-9a-f]{64})", link)
    assert len(secrets) == 3 + 2 + 1
    text = served.log.read_text()
    assert len(logged(served)) >= 4
    assert [secret for secret in secrets if secret in text] == []
