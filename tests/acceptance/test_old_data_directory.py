"""A data directory that an older version made, opened by this one."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError
from PIL import Image

from tests.acceptance.served import ServedDirectory, model_status, wait_for
from tests.asgi_client import installed_models
from tests.botocore_sessions import new_session

pytestmark = pytest.mark.acceptance

FIXTURE = Path(__file__).parents[1] / "fixtures" / "old_data_directory"
ANSWERS: dict[str, Any] = json.loads((FIXTURE / "answers.json").read_text())
BUCKET = "pictures"  # as the older tests called it


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    """A server over the old data directory, whose models are hosted again."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(FIXTURE / "data.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    served = ServedDirectory(folder / "data", environment={})
    served.start()
    try:
        for project in ANSWERS["detections"]:
            status = model_status(served.client(), project, "1")
            wait_for(status, {"HOSTED"}, while_in={"SYSTEM_UPDATING"})
        yield served
    finally:
        served.end()


def detect(served: ServedDirectory, project: str, image: str) -> dict[str, Any]:
    """Return an answer of a model in the form of `answers.json`."""
    body = (served.folder / "buckets" / BUCKET / "asked" / f"{image}.jpg").read_bytes()
    response = served.client().detect_anomalies(
        ProjectName=project, ModelVersion="1", ContentType="image/jpeg", Body=body
    )
    result = response["DetectAnomalyResult"]
    answer = {name: result.get(name, []) for name in ("IsAnomalous", "Confidence", "Anomalies")}
    if "AnomalyMask" in result:
        with Image.open(io.BytesIO(result["AnomalyMask"])) as mask:
            pixels = np.asarray(mask.convert("RGB"))
        answer["MaskSha256"] = hashlib.sha256(pixels.tobytes()).hexdigest()
        answer["MaskSize"] = list(pixels.shape)
    return answer


@pytest.mark.parametrize(
    ("project", "image"),
    [(project, image) for project, images in ANSWERS["detections"].items() for image in images],
)
def test_models_answer_as_they_did(old: ServedDirectory, project: str, image: str) -> None:
    expected = dict(ANSWERS["detections"][project][image])

    answer = detect(old, project, image)

    assert answer.pop("Confidence") == pytest.approx(expected.pop("Confidence"), abs=1e-4)
    assert answer == expected


@pytest.mark.parametrize("project", ANSWERS["models"])
def test_models_are_described_as_they_were(old: ServedDirectory, project: str) -> None:
    answer = old.client().describe_model(ProjectName=project, ModelVersion="1")

    expected = ANSWERS["models"][project]
    assert {name: answer["ModelDescription"][name] for name in expected} == expected


def test_the_threshold_is_where_it_was_moved_to(old: ServedDirectory) -> None:
    client = old.client(models=installed_models())

    answer = client.describe_model_threshold(ProjectName="plates", ModelVersion="1")

    assert {name: answer[name] for name in ANSWERS["threshold"]} == ANSWERS["threshold"]


@pytest.mark.parametrize("dataset", ANSWERS["datasets"])
def test_datasets_list_the_entries_they_had(old: ServedDirectory, dataset: str) -> None:
    project, kind = dataset.split("/")

    entries = old.client().list_dataset_entries(
        ProjectName=project, DatasetType=kind, MaxResults=100
    )["DatasetEntries"]

    digest = hashlib.sha256("\n".join(entries).encode()).hexdigest()
    assert {"Count": len(entries), "Sha256": digest} == ANSWERS["datasets"][dataset]


def test_the_trial_lists_its_results_and_what_was_verified(old: ServedDirectory) -> None:
    client = old.client(models=installed_models())

    answer = client.list_trial_images(ProjectName="plates", TrialName="first")

    assert answer["Images"] == ANSWERS["trial"]


def test_the_access_key_opens_what_its_policy_allows(old: ServedDirectory) -> None:
    key = dict(re.findall(r"(\w+) = (\S+)", ANSWERS["key"]))
    client = boto3.Session(botocore_session=new_session()).client(
        "lookoutvision", region_name="us-east-1", endpoint_url=old.endpoint, **key
    )

    projects = client.list_projects()["Projects"]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.create_project(ProjectName="another")

    assert {project["ProjectName"] for project in projects} == set(ANSWERS["detections"])
