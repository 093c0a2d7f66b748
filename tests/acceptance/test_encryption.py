"""Keys as a user meets them: named, disabled, lost and back; and nothing in plain on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from blemish.engine.bundle import MODEL
from tests.acceptance.product import PROJECT, detect, images, make_dataset
from tests.acceptance.served import BUCKET, ServedDirectory, model_status, wait_for

pytestmark = pytest.mark.acceptance

COMMAND = (sys.executable, "-m", "blemish.cli.main")
ALIAS = "alias/line-4"


def blemish(served: ServedDirectory, *arguments: str) -> str:
    """Run a command on the data directory, beside the server."""
    ended = subprocess.run(
        [*COMMAND, *arguments, "--data-dir", str(served.folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def create_model(client: Any, key: str) -> str:
    output = {"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}}
    made = client.create_model(ProjectName=PROJECT, OutputConfig=output, KmsKeyId=key)
    return str(made["ModelMetadata"]["ModelVersion"])


def start(client: Any, version: str, expected: str) -> str:
    """Start a model and wait for what becomes of it; return its message."""
    client.start_model(ProjectName=PROJECT, ModelVersion=version, MinInferenceUnits=1)
    status = model_status(client, PROJECT, version)
    wait_for(status, {expected}, while_in={"STARTING_HOSTING"})
    return message(client, version)


def stop(client: Any, version: str) -> None:
    client.stop_model(ProjectName=PROJECT, ModelVersion=version)
    status = model_status(client, PROJECT, version)
    wait_for(status, {"TRAINED"}, while_in={"STOPPING_HOSTING"})


def message(client: Any, version: str) -> str:
    described = client.describe_model(ProjectName=PROJECT, ModelVersion=version)
    return str(described["ModelDescription"]["StatusMessage"])


def files_with(folder: Path, marks: list[bytes]) -> set[str]:
    """Return the files below a folder that hold any of these bytes; buckets are the user's."""
    found = set()
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and inside.parts[0] != "buckets":
            data = path.read_bytes()
            if any(mark in data for mark in marks):
                found.add(str(inside))
    return found


def test_a_model_lives_and_falls_with_its_key(served: ServedDirectory, tmp_path: Path) -> None:
    client = served.client()
    make_dataset(served, client)
    _, body = images()[-1]
    alias, arn = blemish(served, "keys", "kms", "create", "line-4").splitlines()
    assert alias == ALIAS

    version = create_model(client, arn)
    status = model_status(client, PROJECT, version)
    wait_for(status, {"TRAINED"}, while_in={"TRAINING"})

    # nothing of it is on the disk in plain: neither the graph, nor its description, nor the entries
    blemish(served, "export", PROJECT, version, "--to", str(tmp_path / "plain"))
    graph = (tmp_path / "plain" / MODEL).read_bytes()
    places = range(0, len(graph) - 64, len(graph) // 50)
    pieces = [graph[place : place + 64] for place in places]
    marks = [graph[:16], *(piece for piece in pieces if len(set(piece)) > 16)]  # zeros are anywhere
    assert len(marks) > 20
    assert files_with(tmp_path / "plain", marks) == {MODEL}
    assert files_with(served.folder, [*marks, b'"format": 1']) == set()
    assert files_with(served.folder / "kept", [b"source-ref", b"plates/"]) == set()

    start(client, version, "HOSTED")
    before = detect(client, body, version=version)
    stop(client, version)
    described = client.describe_model(ProjectName=PROJECT, ModelVersion=version)
    assert described["ModelDescription"]["KmsKeyId"] == arn

    # disabled, it takes the model with it, and nothing else
    blemish(served, "keys", "kms", "disable", "line-4")
    said = start(client, version, "HOSTING_FAILED")
    assert f"The key {ALIAS} ({arn.rpartition('/')[2]}) is disabled" in said
    with pytest.raises(client.exceptions.ValidationException, match="is disabled"):
        create_model(client, ALIAS)
    served.end()
    served.start()
    client = served.client()
    assert [each["ModelVersion"] for each in client.list_models(ProjectName=PROJECT)["Models"]] == [
        version
    ]

    # enabled, it brings it back by itself
    blemish(served, "keys", "kms", "enable", "line-4")
    status = model_status(client, PROJECT, version)
    wait_for(status, {"HOSTED"}, while_in={"HOSTING_FAILED"})
    assert detect(client, body, version=version) == before


def test_a_key_that_is_lost_while_a_model_is_hosted_shows_at_the_next_start(
    served: ServedDirectory,
) -> None:
    client = served.client()
    make_dataset(served, client)
    key = blemish(served, "keys", "kms", "create", "line-4").strip().rpartition("/")[2]
    version = create_model(client, key)
    status = model_status(client, PROJECT, version)
    wait_for(status, {"TRAINED"}, while_in={"TRAINING"})
    start(client, version, "HOSTED")
    file = served.folder / "keyring" / f"{key}.json"
    held = file.read_bytes()

    file.unlink()

    assert "IsAnomalous" in detect(client, images()[0][1], version=version)
    served.end()
    served.start()
    client = served.client()
    status = model_status(client, PROJECT, version)
    wait_for(status, {"HOSTING_FAILED"}, while_in={"SYSTEM_UPDATING"})
    assert f"put its file {file} back" in message(client, version)
    file.write_bytes(held)
    wait_for(status, {"HOSTED"}, while_in={"HOSTING_FAILED"})


def test_a_key_that_is_lost_during_training_is_the_reason(served: ServedDirectory) -> None:
    client = served.client()
    make_dataset(served, client)
    blemish(served, "keys", "kms", "create", "line-4")

    version = create_model(client, ALIAS)
    blemish(served, "keys", "kms", "disable", "line-4")

    status = model_status(client, PROJECT, version)
    wait_for(status, {"TRAINING_FAILED"}, while_in={"TRAINING"})
    assert message(client, version).startswith(f"Training failed: The key {ALIAS} (")
    assert list((served.folder / "bundles").iterdir()) == []
    with pytest.raises(ClientError, match="is disabled"):
        create_model(client, ALIAS)
