"""Run as a program by AWS's sample SDK: predict images of a folder and of a bucket.

The arguments are the project, a folder of JPEG files and the bucket. Prints the results as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

import boto3
from lookoutvision.lookoutvision import LookoutForVision


def main(project: str, folder: str, bucket: str) -> None:
    """Predict what lies in the folder, then the same files in the bucket."""
    s3 = boto3.client("s3")
    sdk = LookoutForVision(project_name=project)
    local = sdk.batch_predict(local_path=folder)
    stored = sdk.batch_predict(
        input_bucket=bucket, input_prefix="in/", output_bucket=bucket, output_prefix="out/"
    )
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]]
    results = {
        key: json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys
    }
    printed = {"local": local, "stored": stored, "results": results}
    sys.__stdout__.write(json.dumps(printed))  # type: ignore[union-attr]


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):  # the SDK prints what it does
        main(*sys.argv[1:])
