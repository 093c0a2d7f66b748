"""The buckets in an S3 of someone else's: from images there to verdicts here."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.acceptance.moto import KEY, REGION, moto_client, moto_server
from tests.acceptance.product import PROJECT, detect, host, images, start_training
from tests.acceptance.served import (
    BUCKET,
    SERVE,
    ServedDirectory,
    dataset_status,
    line,
    wait_for,
)
from tests.ports import free_port

pytestmark = [pytest.mark.acceptance, pytest.mark.registry]


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[str]:
    with moto_server(tmp_path / "moto.log") as url:
        yield url


def settings(url: str) -> dict[str, str]:
    """Return the settings of another S3, beside variables that lead clients to a third one."""
    return {
        "BLEMISH_S3_ENDPOINT": url,
        "BLEMISH_S3_REGION": REGION,
        "BLEMISH_S3_ACCESS_KEY_ID": KEY["access_key_id"],
        "BLEMISH_S3_SECRET_ACCESS_KEY": KEY["secret_access_key"],
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "another",
        "AWS_SECRET_ACCESS_KEY": "another",
        "AWS_SESSION_TOKEN": "another",
    }


def put_product(s3: Any) -> dict[str, Any]:
    """Put images and a manifest into a new bucket; return it as a DatasetSource."""
    s3.create_bucket(Bucket=BUCKET)
    lines = []
    for row, (label, data) in enumerate(images()):
        s3.put_object(Bucket=BUCKET, Key=f"plates/{row}.jpg", Body=data)
        lines.append(json.dumps(line(f"s3://{BUCKET}/plates/{row}.jpg", label)))
    s3.put_object(Bucket=BUCKET, Key="plates.manifest", Body="\n".join(lines).encode())
    return {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": "plates.manifest"}}}


def own_s3(served: ServedDirectory) -> Any:
    """Return a client of the server's own S3."""
    text = (served.folder / "aws" / "credentials").read_text()
    key_id, secret = re.findall(r" = (\S+)", text)
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=served.endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
    )


def test_from_images_in_another_s3_to_verdicts(
    serve: Callable[..., ServedDirectory], moto: str
) -> None:
    s3 = moto_client(moto)
    source = put_product(s3)
    served = serve(**settings(moto))
    client = served.client()

    client.create_project(ProjectName=PROJECT)
    client.create_dataset(ProjectName=PROJECT, DatasetType="train", DatasetSource=source)
    status = dataset_status(client, PROJECT, "train")
    wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})
    version = start_training(client)
    host(client, version)

    model = client.describe_model(ProjectName=PROJECT, ModelVersion=version)["ModelDescription"]
    for name in ("EvaluationManifest", "EvaluationResult"):
        assert s3.get_object(**model[name])["Body"].read()
    for label, data in (images()[0], images()[-1]):
        assert detect(client, data)["IsAnomalous"] == (label == "anomaly")
    assert list(served.bucket.iterdir()) == []
    assert KEY["secret_access_key"] not in served.log.read_text()


def test_our_own_s3_is_off_then(serve: Callable[..., ServedDirectory], moto: str) -> None:
    s3 = own_s3(serve(**settings(moto)))

    for use in (s3.list_buckets, lambda: s3.put_object(Bucket=BUCKET, Key="a", Body=b"x" * 10**6)):
        with pytest.raises(ClientError, match="buckets of this server are in another S3") as caught:
            use()
        assert caught.value.response["Error"]["Code"] == "NotImplemented"


def test_what_is_wrong_with_the_other_s3_is_said(
    serve: Callable[..., ServedDirectory], moto: str
) -> None:
    moto_client(moto).create_bucket(Bucket=BUCKET)
    client = serve(**settings(moto)).client()
    client.create_project(ProjectName=PROJECT)
    for bucket, reason in {BUCKET: "no object s3://images/a", "absent": "no bucket"}.items():
        source = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Key": "a"}}}
        client.create_dataset(ProjectName=PROJECT, DatasetType="train", DatasetSource=source)
        status = dataset_status(client, PROJECT, "train")
        wait_for(status, {"CREATE_FAILED"}, while_in={"CREATE_IN_PROGRESS"})
        answer = client.describe_dataset(ProjectName=PROJECT, DatasetType="train")
        assert reason in answer["DatasetDescription"]["StatusMessage"]
        client.delete_dataset(ProjectName=PROJECT, DatasetType="train")
        wait_for_none(client)


def import_version(client: Any, version: str) -> dict[str, Any]:
    """Make a dataset of a version of the manifest; return what became of it."""
    place = {"Bucket": BUCKET, "Key": "a", "VersionId": version}
    source = {"GroundTruthManifest": {"S3Object": place}}
    client.create_dataset(ProjectName=PROJECT, DatasetType="train", DatasetSource=source)
    status = dataset_status(client, PROJECT, "train")
    ends = {"CREATE_COMPLETE", "CREATE_FAILED"}
    wait_for(status, ends, while_in={"CREATE_IN_PROGRESS"})
    answer = client.describe_dataset(ProjectName=PROJECT, DatasetType="train")
    client.delete_dataset(ProjectName=PROJECT, DatasetType="train")
    wait_for_none(client)
    description: dict[str, Any] = answer["DatasetDescription"]
    return description


def test_a_manifest_is_read_in_the_version_that_was_named(
    serve: Callable[..., ServedDirectory], moto: str
) -> None:
    s3 = moto_client(moto)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="1.jpg", Body=images()[0][1])
    one = json.dumps(line(f"s3://{BUCKET}/1.jpg", "normal"))
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"")
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=enabled)
    good = s3.put_object(Bucket=BUCKET, Key="a", Body=one.encode())["VersionId"]
    bad = s3.put_object(Bucket=BUCKET, Key="a", Body=b"no JSON")["VersionId"]
    deletion = s3.delete_object(Bucket=BUCKET, Key="a")["VersionId"]
    client = serve(**settings(moto)).client()
    client.create_project(ProjectName=PROJECT)

    ended = {
        version: import_version(client, version)
        for version in ("null", good, bad, deletion, "unknown")
    }

    assert ended["null"]["ImageStats"]["Total"] == 0
    assert ended[good]["ImageStats"]["Total"] == 1
    assert "line 1" in ended[bad]["StatusMessage"]
    for version in (deletion, "unknown"):
        missing = f"There is no version '{version}' of s3://{BUCKET}/a."
        assert missing in ended[version]["StatusMessage"]


def wait_for_none(client: Any) -> None:
    """Wait until the dataset is deleted."""
    status = dataset_status(client, PROJECT, "train")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        wait_for(status, {"never"}, while_in={"DELETE_IN_PROGRESS"})


def test_our_own_address_and_key_are_refused(served: ServedDirectory, tmp_path: Path) -> None:
    served.end()
    port = free_port()
    own_files = {
        "BLEMISH_S3_PROFILE": "blemish",
        "AWS_CONFIG_FILE": str(served.folder / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(served.folder / "aws" / "credentials"),
    }

    def refused(folder: Path, **told: str) -> str:
        command = [*SERVE[:-2], "--port", str(port), "--data-dir", str(folder)]
        ended = subprocess.run(
            command,
            env=os.environ | told,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 2
        assert "Traceback" not in ended.stderr
        return ended.stderr

    address = refused(tmp_path / "new", **settings(f"http://localhost:{port}/"))
    key = refused(served.folder, BLEMISH_S3_ENDPOINT="http://127.0.0.1:1", **own_files)

    assert f"BLEMISH_S3_ENDPOINT=http://localhost:{port} is this server's own." in address
    assert re.search(r"The access key BLEM\w+ opens this server", key)
