"""What the requests of these tests say, and what is read of an answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests import BUCKET

PROJECT_ARN = "arn:aws:lookoutvision:eu-west-1:123456789012:project/circuits"
MODEL_ARN = "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/1"
SOURCE = {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": "the.manifest"}}}
OUTPUT = {"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}}
PLACE = {"Bucket": BUCKET}
DEVICE = {"ComponentName": "circuits", "S3OutputLocation": PLACE, "TargetDevice": "jetson_xavier"}
CIRCUITS = {"ProjectName": "circuits"}
DATASET = {"ProjectName": "circuits", "DatasetType": "train"}
MODEL = {"ProjectName": "circuits", "ModelVersion": "1"}


def answer(response: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what botocore adds."""
    return {name: value for name, value in response.items() if name != "ResponseMetadata"}


def message(caught: pytest.ExceptionInfo[Any]) -> str:
    return str(caught.value.response["Error"]["Message"])
