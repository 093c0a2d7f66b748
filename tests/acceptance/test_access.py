"""Access keys and their policies, by `blemish keys` and boto3 against a server that runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.acceptance.product import make_dataset, start_training
from tests.acceptance.served import BUCKET, ServedDirectory, model_status, wait_for

pytestmark = pytest.mark.acceptance

KEYS = (sys.executable, "-m", "blemish.cli.main", "keys")
ABAC = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Action": ["lookoutvision:*"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/line": "${aws:PrincipalTag/line}"}},
    },
}


class Keys:
    """`blemish keys` over a data directory."""

    def __init__(self, served: ServedDirectory) -> None:
        self.served = served
        self.secrets: list[str] = []

    def run(self, *arguments: str) -> str:
        command = [*KEYS, *arguments, "--data-dir", str(self.served.folder)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.secrets += re.findall(r"aws_secret_access_key = (\S+)", printed)
        return printed

    def client(self, printed: str, service: str = "lookoutvision") -> Any:
        """Return a client that signs with a key as it was printed."""
        key_id, secret = re.findall(r" = (\S+)", printed)
        return boto3.Session().client(
            service,
            region_name="us-east-1",
            endpoint_url=self.served.endpoint,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}),
        )


@pytest.fixture
def keys(served: ServedDirectory) -> Keys:
    return Keys(served)


def code(call: Callable[[], Any]) -> str:
    """Return the code of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_a_key_that_may_only_read_reads_and_changes_nothing(
    served: ServedDirectory, keys: Keys
) -> None:
    served.put("a.txt", b"content")
    served.client().create_project(ProjectName="plates")
    printed = keys.run("create", "reader", "--policy", "ReadOnly")
    reader, s3 = keys.client(printed), keys.client(printed, "s3")

    assert [each["ProjectName"] for each in reader.list_projects()["Projects"]] == ["plates"]
    assert s3.get_object(Bucket=BUCKET, Key="a.txt")["Body"].read() == b"content"
    for change in (reader.create_project, reader.delete_project):
        for name in ("plates", "boards"):
            assert code(partial(change, ProjectName=name)) == "AccessDeniedException"
    assert code(lambda: s3.put_object(Bucket=BUCKET, Key="b", Body=b"b")) == "AccessDenied"
    assert code(lambda: s3.delete_object(Bucket=BUCKET, Key="a.txt")) == "AccessDenied"
    assert (served.bucket / "a.txt").read_bytes() == b"content"
    assert len(served.client().list_projects()["Projects"]) == 1


def test_a_change_of_a_key_counts_for_the_next_request(served: ServedDirectory, keys: Keys) -> None:
    printed = keys.run("create", "anna", "--policy", "FullAccess")
    anna, s3 = keys.client(printed), keys.client(printed, "s3")
    anna.list_projects()

    keys.run("disable", "anna")
    assert code(anna.list_projects) == "UnrecognizedClientException"
    assert code(s3.list_buckets) == "InvalidAccessKeyId"
    keys.run("enable", "anna")
    anna.create_project(ProjectName="plates")
    keys.run("policy", "anna", "--policy", "ReadOnly")
    assert code(lambda: anna.create_project(ProjectName="boards")) == "AccessDeniedException"
    rotated = keys.client(keys.run("rotate", "anna"))
    assert code(anna.list_projects) == "UnrecognizedClientException"
    assert len(rotated.list_projects()["Projects"]) == 1
    keys.run("delete", "anna")
    assert code(rotated.list_projects) == "UnrecognizedClientException"

    assert served.client().list_projects()["Projects"]
    assert served.end() == 0
    assert "first" in keys.run("list")


def test_models_are_shared_out_by_their_tags(
    served: ServedDirectory, keys: Keys, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(ABAC))
    own, other = (
        keys.client(
            keys.run("create", f"line-{line}", "--policy", str(policy), "--tag", f"line={line}")
        )
        for line in ("4", "5")
    )
    first = served.client()
    make_dataset(served, first)
    version = start_training(first)
    model = {"ProjectName": "plates", "ModelVersion": version}
    arn = first.describe_model(**model)["ModelDescription"]["ModelArn"]

    assert code(lambda: own.describe_model(**model)) == "AccessDeniedException"
    first.tag_resource(ResourceArn=arn, Tags=[{"Key": "line", "Value": "4"}])
    assert own.describe_model(**model)["ModelDescription"]["ModelArn"] == arn
    assert own.describe_model(ProjectName="plates", ModelVersion="latest")["ModelDescription"]
    assert code(lambda: other.describe_model(**model)) == "AccessDeniedException"
    assert code(lambda: own.list_models(ProjectName="plates")) == "AccessDeniedException"

    wait_for(model_status(first, "plates", version), {"TRAINED"}, while_in={"TRAINING"})
    assert code(lambda: other.start_model(**model, MinInferenceUnits=1)) == "AccessDeniedException"
    assert own.start_model(**model, MinInferenceUnits=1)["Status"] == "STARTING_HOSTING"


def test_no_secret_lies_readable_outside_of_the_one_file(
    served: ServedDirectory, keys: Keys
) -> None:
    credentials = (served.folder / "aws" / "credentials").read_text()
    keys.secrets += re.findall(r"aws_secret_access_key = (\S+)", credentials)
    keys.client(keys.run("create", "anna", "--policy", "FullAccess")).list_projects()
    keys.client(keys.run("rotate", "anna")).list_projects()
    secrets = [secret.encode() for secret in keys.secrets]
    assert len(set(secrets)) == 3

    def found() -> list[str]:
        return [
            str(path)
            for path in [*served.folder.rglob("*"), served.log]
            if path.is_file() and path.parent.name != "aws"
            for secret in secrets
            if secret in path.read_bytes()
        ]

    assert found() == []
    assert served.end() == 0
    assert found() == []
