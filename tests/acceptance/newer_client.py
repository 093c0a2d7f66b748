"""Run as a program by a newer boto3: use the server that the environment names.

Prints what it found as JSON. Imports boto3 alone, since its environment has no more.
"""

from __future__ import annotations

import json

import boto3
from botocore.exceptions import ClientError


def main() -> None:
    """Make projects, page through them, and send an image to a model that is not there."""
    client = boto3.client("lookoutvision")
    for name in ("cups", "lids", "trays"):
        client.create_project(ProjectName=name)
    pages = client.get_paginator("list_projects").paginate(PaginationConfig={"PageSize": 2})
    names = [[project["ProjectName"] for project in page["Projects"]] for page in pages]
    try:
        client.detect_anomalies(
            ProjectName="cups", ModelVersion="1", ContentType="image/png", Body=b"image"
        )
    except client.exceptions.ResourceNotFoundException as error:
        refused = error.response["ResourceType"]
    except ClientError as error:
        refused = str(error)
    try:
        client.cancel_model_training(ProjectName="cups", ModelVersion="1")
    except client.exceptions.ResourceNotFoundException as error:
        ours = error.response["ResourceType"]
    told = {"boto3": boto3.__version__, "pages": names, "refused": refused, "ours": ours}
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
