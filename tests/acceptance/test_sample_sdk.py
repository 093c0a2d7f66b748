"""AWS's own sample SDK, the Python package lookoutvision 0.1.10, as a client."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.acceptance.product import PROJECT, host, images
from tests.acceptance.registry import ROOT, kept_environment, run
from tests.acceptance.served import ServedDirectory, aws_files, environment

pytestmark = [pytest.mark.acceptance, pytest.mark.registry, pytest.mark.slow]

LOCK = ROOT / "requirements-sample-sdk.lock"
PROGRAM = Path(__file__).with_name("sample_sdk.py")


def test_it_predicts_a_folder_and_a_bucket(served_model: ServedDirectory, tmp_path: Path) -> None:
    python = kept_environment(LOCK, folder=".venv-sample-sdk")
    blemish = Path(sys.executable).with_name("blemish")
    run(blemish, "sdk-model", "install", environment=environment(tmp_path))
    host(served_model.client())
    folder, bucket = tmp_path / "line 4", served_model.folder / "buckets" / "samples"
    folder.mkdir()
    (bucket / "in").mkdir(parents=True)
    samples = [images()[0], images()[-1]]
    for number, (_, data) in enumerate(samples):
        (folder / f"{number}.jpg").write_bytes(data)
        (bucket / "in" / f"{number}.jpg").write_bytes(data)

    surroundings = environment(tmp_path, **aws_files(served_model))
    printed = json.loads(
        run(python, PROGRAM, PROJECT, str(folder), "samples", environment=surroundings)
    )

    assert printed["local"]["status"] == "Success!"
    predicted = [result["IsAnomalous"] for result in printed["local"]["predicted_result"]]
    assert sorted(predicted) == [label == "anomaly" for label, _ in samples]
    assert printed["stored"]["predicted_result"] == "s3://samples/out/"
    assert {key: result["IsAnomalous"] for key, result in printed["results"].items()} == {
        f"out/{number}.jpg.json": label == "anomaly" for number, (label, _) in enumerate(samples)
    }
