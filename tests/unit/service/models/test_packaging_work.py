from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from blemish.domain.attempts import MAX_INTERRUPTIONS
from blemish.domain.packaging import Component, PackagingJob, PackagingJobStatus
from blemish.engine.bundle import AnomalyType, Bundle, BundleInfo, read_bundle
from blemish.engine.images.sizes import ImageSize
from tests.unit.components import CPU_PLATFORM, GPU, GPU_PLATFORM, component, for_platform
from tests.unit.house import LEASE, OWNER, House
from tests.unit.manifests import BUCKET

S = PackagingJobStatus
BUNDLE = Bundle(
    info=BundleInfo(
        graph_size=(256, 192),
        image_size=ImageSize(stored=(640, 480), upright=(640, 480)),
        threshold=2.5,
        background="#FFFFFF",
        anomaly_types=(AnomalyType(name="scratch", color="#23A436"),),
        history={"backbone": {"name": "resnet18", "sha256": "ab" * 32}},
    ),
    model=b"a graph" * 1_000,
)


@pytest.fixture
def packaged(trainable: House) -> House:
    """The services, with a trained model and its bundle."""
    model = trainable.trained()
    assert model.bundle is not None
    for file in (trainable.directory.bundles / model.bundle).iterdir():
        file.unlink()
    (trainable.directory.bundles / model.bundle).rmdir()
    trainable.bundles.add(model.bundle, BUNDLE, kms_key_id=None)
    return trainable


def start(house: House, made: Component | None = None) -> PackagingJob:
    made = made or component(version="1.2.3", output_prefix="edge")
    return house.packaging.start("circuits", "1", name="job", description=None, component=made)


def claim(house: House, job: PackagingJob) -> int:
    now = house.clock.advance(LEASE.total_seconds() + 1)
    with house.database.writing() as rows:
        attempt = rows.packaging_jobs.claim(
            job.id, owner=OWNER, now=now, lease_until=now + timedelta(seconds=10)
        )
    assert attempt is not None
    return attempt


def carry_out(house: House, job: PackagingJob) -> PackagingJob:
    house.packaging_work().carry_out(job, attempt=claim(house, job))
    return house.packaging.describe("circuits", "job")


def written(house: House) -> dict[str, bytes]:
    bucket = house.directory.buckets / BUCKET
    return {
        str(path.relative_to(bucket)): path.read_bytes()
        for path in (bucket / "edge").rglob("*")
        if path.is_file()
    }


def members(house: House) -> dict[str, bytes]:
    (archive,) = (data for key, data in written(house).items() if key.endswith(".zip"))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def manifest(house: House) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(members(house)["manifest.json"])
    return document


def test_a_job_writes_the_zip_and_both_recipes(packaged: House) -> None:
    job = carry_out(packaged, start(packaged))

    assert (job.status, job.status_message) == (
        S.SUCCEEDED,
        "The model was packaged successfully.",
    )
    assert sorted(written(packaged)) == [
        "edge/circuits/1.2.3/circuits-1.2.3.zip",
        "edge/circuits/1.2.3/recipe-agent.yaml",
        "edge/circuits/1.2.3/recipe.yaml",
    ]


def test_the_zip_holds_the_bundle_its_checksums_and_licences(
    packaged: House, tmp_path: Path
) -> None:
    carry_out(packaged, start(packaged))

    files = members(packaged)
    folder = tmp_path / "component"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert sorted(files) == [
        "LICENSES.txt",
        "SHA256SUMS",
        "bundle.json",
        "manifest.json",
        "model.onnx",
    ]
    assert read_bundle(folder) == BUNDLE
    sums = dict(line.split("  ")[::-1] for line in files["SHA256SUMS"].decode().splitlines())
    assert sums == {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if name != "SHA256SUMS"
    }
    assert b"Licence of the backbone: BSD-3-Clause." in files["LICENSES.txt"]


def test_the_manifest_has_the_form_of_the_originals(packaged: House) -> None:
    carry_out(packaged, start(packaged))

    document = manifest(packaged)
    graph = document["model_graph"]
    assert graph["image_level_classes"] == {"names": ["anomaly", "normal"], "normal_ids": [1]}
    assert graph["pixel_level_classes"] == {"names": ["background", "scratch"], "normal_ids": [0]}
    assert document["dataset"] == {"image_width": 640, "image_height": 480}
    (stage,) = graph["stages"]
    assert stage["threshold"] == 2.5
    assert stage["input_shape"] == [1, 3, 192, 256]
    assert document["blemish"]["model_arn"] == (
        "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/1"
    )


@pytest.mark.parametrize(
    ("made", "architecture", "providers", "options"),
    [
        (component(version="1.2.3"), "aarch64", ["tensorrt", "cuda"], {}),
        (
            for_platform(CPU_PLATFORM, {"mcpu": "core-avx2"}),
            "amd64",
            ["cpu"],
            {"mcpu": "core-avx2"},
        ),
        (for_platform(GPU_PLATFORM, GPU), "aarch64", ["tensorrt", "cuda"], GPU),
    ],
)
def test_the_target_is_in_the_recipe_and_in_the_manifest(
    packaged: House,
    made: Component,
    architecture: str,
    providers: list[str],
    options: dict[str, str],
) -> None:
    job = start(packaged, component(**(vars(made) | {"output_prefix": "edge/"})))

    carry_out(packaged, job)

    folder = f"edge/circuits/{job.component.version}"
    recipe = yaml.safe_load(written(packaged)[f"{folder}/recipe.yaml"])
    assert recipe["Manifests"][0]["Platform"] == {"os": "linux", "architecture": architecture}
    assert manifest(packaged)["blemish"]["providers"] == providers
    assert manifest(packaged)["blemish"]["compiler_options"] == options


def test_the_recipe_names_the_zip_by_address_and_digest(packaged: House) -> None:
    carry_out(packaged, start(packaged))

    files = written(packaged)
    recipe = yaml.safe_load(files["edge/circuits/1.2.3/recipe.yaml"])
    archive = files["edge/circuits/1.2.3/circuits-1.2.3.zip"]
    assert recipe["Manifests"][0]["Artifacts"] == [
        {
            "URI": f"s3://{BUCKET}/edge/circuits/1.2.3/circuits-1.2.3.zip",
            "Unarchive": "ZIP",
            "Permission": {"Read": "ALL", "Execute": "ALL"},
            "Digest": base64.b64encode(hashlib.sha256(archive).digest()).decode(),
            "Algorithm": "SHA-256",
        }
    ]


def test_nothing_in_the_zip_names_the_server(packaged: House) -> None:
    carry_out(packaged, start(packaged))

    for data in members(packaged).values():
        assert str(packaged.directory.root).encode() not in data
        assert b"s3://" not in data


def test_an_interrupted_job_begins_again_and_writes_the_same(packaged: House) -> None:
    job = start(packaged)
    first = claim(packaged, job)
    packaged.packaging_work().carry_out(job, attempt=first)
    before = written(packaged)
    with packaged.database.writing() as rows:  # as if the row had not been turned
        rows.packaging_jobs._connection.exec_driver_sql(
            "UPDATE packaging_jobs SET status='RUNNING'"
        )
    running = packaged.packaging.describe("circuits", "job")

    ended = carry_out(packaged, running)

    assert ended.status is S.SUCCEEDED
    assert ended.attempt == first + 1
    assert written(packaged) == before


def test_a_stale_attempt_changes_nothing(packaged: House) -> None:
    job = start(packaged)
    stale = claim(packaged, job)
    claim(packaged, job)

    packaged.packaging_work().carry_out(job, attempt=stale)

    assert packaged.packaging.describe("circuits", "job").status is S.CREATED
    assert not (packaged.directory.buckets / BUCKET / "edge").exists()


def test_a_job_that_is_interrupted_again_and_again_is_given_up(packaged: House) -> None:
    job = start(packaged)
    attempts = [claim(packaged, job) for _ in range(MAX_INTERRUPTIONS + 1)]
    job = packaged.packaging.describe("circuits", "job")

    packaged.packaging_work().carry_out(job, attempt=attempts[-1])

    ended = packaged.packaging.describe("circuits", "job")
    assert ended.status is S.FAILED
    assert ended.status_message == "The model was not packaged: it was interrupted 5 times."


def test_a_damaged_bundle_fails_the_job_with_the_reason(packaged: House) -> None:
    bundle = packaged.models.describe("circuits", "1").bundle
    assert bundle is not None
    (packaged.directory.bundles / bundle / "model.onnx.sealed").unlink()

    job = carry_out(packaged, start(packaged))

    assert job.status is S.FAILED
    assert job.status_message.startswith("The model was not packaged: The bundle's file ")


def test_a_bucket_that_is_gone_fails_the_job_with_the_reason(packaged: House) -> None:
    job = start(packaged, component(version="1.0.0", output_bucket=BUCKET, output_prefix="edge/"))
    bucket = packaged.directory.buckets / BUCKET
    bucket.rename(packaged.directory.root / "elsewhere")

    ended = carry_out(packaged, job)

    assert ended.status is S.FAILED
    assert BUCKET in ended.status_message
