"""A manifest of the largest size, imported by a real server in little memory."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.acceptance.served import BUCKET, ServedDirectory, dataset_status, line, wait_for

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

IMAGES, LINES = 100_000, 122_000
LINE_LENGTH = 8_100
MIB = 1024 * 1024


def peak_bytes(process: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.timeout(900)
def test_a_gigabyte_of_lines_takes_less_than_200_mib(served: ServedDirectory) -> None:
    client = served.client()
    assert served.process is not None
    client.create_project(ProjectName="plates")
    for number in range(IMAGES):
        served.put(f"plates/{number}.png", b"image")
    with (served.bucket / "large.manifest").open("w") as manifest:
        for number in range(LINES):  # the first images come twice
            short = line(f"s3://{BUCKET}/plates/{number % IMAGES}.png", "normal")
            padding = "x" * (LINE_LENGTH - len(json.dumps(short)))
            manifest.write(json.dumps(short | {"comment": padding}) + "\n")
    assert (served.bucket / "large.manifest").stat().st_size > 980_000_000
    before = peak_bytes(served.process.pid)

    source = {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": "large.manifest"}}}
    client.create_dataset(ProjectName="plates", DatasetType="train", DatasetSource=source)
    status = dataset_status(client, "plates", "train")
    wait_for(
        status,
        {"CREATE_COMPLETE", "CREATE_FAILED"},
        while_in={"CREATE_IN_PROGRESS"},
        patience_s=600,
    )
    described = client.describe_dataset(ProjectName="plates", DatasetType="train")
    assert status() == "CREATE_COMPLETE", described["DatasetDescription"]["StatusMessage"]

    grown = peak_bytes(served.process.pid) - before
    print(f"the server grew by {grown / MIB:.0f} MiB")  # noqa: T201 - a measurement
    assert grown < 200 * MIB
