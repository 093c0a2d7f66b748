"""A model is packaged through real boto3 on a real server, whatever is killed."""

from __future__ import annotations

import io
import json
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from blemish.engine.bundle import read_bundle
from tests.acceptance.product import PROJECT
from tests.acceptance.served import BUCKET, ServedDirectory, wait_for
from tests.acceptance.test_access import Keys, code

pytestmark = pytest.mark.acceptance

GREENGRASS = {
    "ComponentName": "plates-edge",
    "S3OutputLocation": {"Bucket": BUCKET, "Prefix": "components/"},
    "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
    "CompilerOptions": '{"mcpu": "core-avx2"}',
}


def start(client: Any, **greengrass: Any) -> str:
    name: str = client.start_model_packaging_job(
        ProjectName=PROJECT,
        ModelVersion="1",
        Configuration={"Greengrass": GREENGRASS | greengrass},
    )["JobName"]
    return name


def described(client: Any, name: str) -> dict[str, Any]:
    answer = client.describe_model_packaging_job(ProjectName=PROJECT, JobName=name)
    description: dict[str, Any] = answer["ModelPackagingDescription"]
    return description


def packaged(client: Any, name: str) -> dict[str, Any]:
    """Wait until a job has succeeded; return its description."""
    wait_for(
        lambda: str(described(client, name)["Status"]),
        {"SUCCEEDED"},
        while_in={"CREATED", "RUNNING"},
    )
    return described(client, name)


def test_a_packaged_model_is_a_component_in_the_bucket(
    served_model: ServedDirectory, tmp_path: Path
) -> None:
    client = served_model.client()

    description = packaged(client, start(client))

    details = description["ModelPackagingOutputDetails"]["Greengrass"]
    assert (details["ComponentName"], details["ComponentVersion"]) == ("plates-edge", "1.0.0")
    folder = served_model.bucket / "components/plates-edge/1.0.0"
    assert sorted(path.name for path in folder.iterdir()) == [
        "plates-edge-1.0.0.zip",
        "recipe-agent.yaml",
        "recipe.yaml",
    ]
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    (artifact,) = recipe["Manifests"][0]["Artifacts"]
    assert artifact["URI"] == f"s3://{BUCKET}/components/plates-edge/1.0.0/plates-edge-1.0.0.zip"
    archive = (folder / "plates-edge-1.0.0.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        opened.extractall(tmp_path / "component")
    assert read_bundle(tmp_path / "component").info.anomaly_types == ()
    text = b"".join(
        path.read_bytes()
        for path in (tmp_path / "component").iterdir()
        if path.suffix in {".json", ".txt"}
    )
    for name in (str(served_model.folder), served_model.endpoint, "s3://"):
        assert name.encode() not in text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_survives_the_end_of_the_server(
    served_model: ServedDirectory, number: signal.Signals
) -> None:
    name = start(served_model.client())

    served_model.end(number)
    served_model.start()

    client = served_model.client()
    packaged(client, name)
    client.delete_model(ProjectName=PROJECT, ModelVersion="1")


def test_a_job_needs_the_permission_to_write_to_its_bucket(
    served_model: ServedDirectory, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.json"
    objects = f"arn:aws:s3:::{BUCKET}/components/*"
    policy.write_text(
        json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": "lookoutvision:*", "Resource": "*"},
                    {"Effect": "Allow", "Action": "s3:PutObject", "Resource": objects},
                ],
            }
        )
    )
    keys = Keys(served_model)
    client = keys.client(keys.run("create", "packager", "--policy", str(policy)))
    elsewhere = {"Bucket": BUCKET, "Prefix": "other/"}

    assert code(lambda: start(client, S3OutputLocation=elsewhere)) == "AccessDeniedException"
    packaged(client, start(client))
