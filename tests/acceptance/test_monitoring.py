from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.acceptance.product import detect, host
from tests.acceptance.served import ServedDirectory, fill, served_on_small_disk

pytestmark = pytest.mark.acceptance

CONTENT = "the content of an object"


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


def audited(served: ServedDirectory) -> list[dict[str, Any]]:
    """Return the records of the audit log."""
    paths = sorted((served.folder / "audit").glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_a_request_is_found_in_both_logs_by_the_id_that_its_client_has(
    serve: Callable[..., ServedDirectory],
) -> None:
    served = serve(BLEMISH_LOG_LEVEL="debug")
    client, s3 = served.client(), s3_client(served)

    made = client.create_project(ProjectName="plates")
    with pytest.raises(ClientError) as refused:
        client.create_project(ProjectName="plates")
    listed = s3.list_buckets()
    served.end()

    lines = {line["request_id"]: line for line in logged(served) if "request_id" in line}
    records = {record["requestID"]: record for record in audited(served)}
    ids = [request_id(each) for each in (made, refused.value.response, listed)]
    told = [(lines[each]["operation"], lines[each]["status"], lines[each]["error"]) for each in ids]
    assert told == [
        ("CreateProject", 200, None),
        ("CreateProject", 409, "ConflictException"),
        ("ListBuckets", 200, None),
    ]
    kept = [(records[each]["eventName"], records[each].get("errorCode")) for each in ids]
    assert kept == [(operation, error) for operation, _, error in told]
    key_id = key_of(served)["aws_access_key_id"]
    assert {lines[each]["access_key_id"] for each in ids} == {key_id}
    assert {records[each]["userIdentity"]["accessKeyId"] for each in ids} == {key_id}


def test_no_secret_and_no_content_reaches_a_log(serve: Callable[..., ServedDirectory]) -> None:
    served = serve(BLEMISH_LOG_LEVEL="debug", BLEMISH_AUDIT_S3_OBJECTS="true")
    client, s3 = served.client(), s3_client(served)
    signatures = signatures_of(client)

    client.create_project(ProjectName="plates")
    with pytest.raises(ClientError):
        client.detect_anomalies(
            ProjectName="plates", ModelVersion="1", ContentType="image/png", Body=CONTENT
        )
    s3.put_object(Bucket="images", Key="a", Body=CONTENT, Metadata={"note": CONTENT})
    link = s3.generate_presigned_url("get_object", Params={"Bucket": "images", "Key": "a"})
    assert urlopen(link).read().decode() == CONTENT
    served.end()

    secrets = [key_of(served)["aws_secret_access_key"], CONTENT, *signatures]
    secrets += re.findall(r"X-Amz-Signature=([0-9a-f]{64})", link)
    assert len(secrets) == 2 + 2 + 1
    names = [line["operation"] for line in logged(served) if line["event"] == "request"]
    assert names == ["CreateProject", "DetectAnomalies", "PutObject", "GetObject"]
    assert [record["eventName"] for record in audited(served)] == names
    text = served.log.read_text() + json.dumps(audited(served))
    assert [secret for secret in secrets if secret in text] == []


def test_after_a_kill_the_audit_log_lacks_at_most_the_last_moment(served: ServedDirectory) -> None:
    client = served.client()
    for _ in range(20):
        client.list_projects()
    files = served.folder / "audit"
    deadline = time.monotonic() + 120
    while sum(path.read_bytes().count(b"\n") for path in files.glob("*.jsonl")) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    served.end(signal.SIGKILL)

    assert len(audited(served)) == 20


def test_a_full_disk_stops_no_call_and_the_audit_log_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    with served_on_small_disk(tmp_path, size="16m") as served:
        client = served.client()
        client.list_projects()
        ballast = tmp_path / "disk" / "ballast"
        fill(ballast)
        for _ in range(20):
            client.list_projects()
        assert len(audited(served)) < 21

        ballast.unlink()
        deadline = time.monotonic() + 120
        while len(audited(served)) < 21:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "the audit log works again" in served.log.read_text()


def test_a_server_on_a_full_disk_is_not_ready_until_there_is_room(tmp_path: Path) -> None:
    with served_on_small_disk(tmp_path, size="16m") as served:
        ballast = tmp_path / "disk" / "ballast"
        assert ready(served) == (200, {})

        fill(ballast)
        status, problems = wait_until_ready_is(served, 503)
        assert status == 503
        assert "No space left" in problems["disk"]

        ballast.unlink()
        wait_until_ready_is(served, 200)


def test_a_server_whose_database_cannot_be_read_is_not_ready(served: ServedDirectory) -> None:
    with (served.folder / "blemish.db-shm").open("r+b") as shared:
        # where SQLite's readers take their locks. Source: "The WAL-Index File Format"
        fcntl.lockf(shared, fcntl.LOCK_EX, 5, 123)
        _, problems = wait_until_ready_is(served, 503)
        assert urlopen(f"{served.endpoint}/healthz").status == 200

    assert "database" in problems
    wait_until_ready_is(served, 200)
    assert served.client().list_projects()["Projects"] == []


def test_a_detection_is_counted_and_a_model_that_is_loaded_again_is_waited_for(
    served_model: ServedDirectory,
) -> None:
    served, version = served_model, "1"
    client = served.client()
    host(client)
    image = (served.bucket / "plates" / "0.jpg").read_bytes()
    found = detect(client, image)
    with pytest.raises(ClientError):
        detect(client, b"no image")

    text = urlopen(f"{served.endpoint}/metrics").read().decode()
    expected = {
        "detected_anomaly_count_total": float(found["IsAnomalous"]),
        "processed_image_count_total": 1.0,
        "successful_request_count_total": 1.0,
        "invalid_image_count_total": 1.0,
        "error_count_total": 1.0,
        "time_seconds_count": 1.0,
        "in_service_inference_units": 1.0,
    }
    of_model = f'{{model_version="{version}",project_name="plates"}}'
    for name, value in expected.items():
        assert f"blemish_{name}{of_model} {value}\n" in text
    assert 'blemish_models{status="HOSTED"} 1.0\n' in text
    assert 'operation="DetectAnomalies",service="lookoutvision"} 1.0\n' in text

    served.end()
    with held_up(next((served.folder / "bundles").iterdir())):
        served.start()
        _, problems = wait_until_ready_is(served, 503)
        assert problems == {"models": f"not loaded yet: plates/{version}"}
    wait_until_ready_is(served, 200)
    assert detect(served.client(), image) == found


@contextmanager
def held_up(bundle: Path) -> Iterator[None]:
    """Let nobody read a bundle before the end of the context."""
    descriptor = os.open(min(bundle.iterdir()), os.O_RDWR)
    handler = signal.signal(signal.SIGIO, signal.SIG_IGN)  # somebody waits for the lease
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, handler)


def ready(served: ServedDirectory) -> tuple[int, dict[str, str]]:
    """Return the status of /readyz, and what is wrong."""
    try:
        with urlopen(f"{served.endpoint}/readyz") as answer:
            status, document = answer.status, json.load(answer)
    except HTTPError as error:
        status, document = error.code, json.load(error)
    return status, {name: found for name, found in document["checks"].items() if found != "ok"}


def wait_until_ready_is(served: ServedDirectory, status: int) -> tuple[int, dict[str, str]]:
    deadline = time.monotonic() + 120
    while (found := ready(served))[0] != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found
