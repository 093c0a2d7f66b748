"""Run as a program by another boto3: use the S3 server that the environment names.

Prints what it found as JSON. Imports boto3 alone, since its environment has no more.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig

BUCKET = "journey"
MIB = 1024 * 1024
LARGE = b"".join(hashlib.sha256(b"%d" % row).digest() for row in range(MIB // 32)) * 100
"""100 MB of which no two KiB of one MiB are alike."""


def move_files(client: Any, folder: Path) -> dict[str, Any]:
    """Send a file and a large body there, copy the latter, and get them back."""
    image, back, large = folder / "image", folder / "back", io.BytesIO()
    image.write_bytes(LARGE[:MIB])
    client.upload_file(str(image), BUCKET, "a b/ä+.png", ExtraArgs={"ContentType": "image/png"})
    client.download_file(BUCKET, "a b/ä+.png", str(back))
    client.upload_fileobj(io.BytesIO(LARGE), BUCKET, "large")
    in_parts = TransferConfig(multipart_threshold=16 * MIB, multipart_chunksize=16 * MIB)
    client.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "copy", Config=in_parts)
    client.download_fileobj(BUCKET, "copy", large)
    return {
        "file": back.read_bytes() == image.read_bytes(),
        "type": client.head_object(Bucket=BUCKET, Key="a b/ä+.png")["ContentType"],
        "large": large.getvalue() == LARGE,
        "etags": [client.head_object(Bucket=BUCKET, Key=key)["ETag"] for key in ("large", "copy")],
    }


def turn_pages(client: Any) -> dict[str, list[Any]]:
    """Return what each paginator lists, by ones and twos."""
    for number in range(5):
        client.put_object(Bucket=BUCKET, Key=f"pages/{number}", Body=b"x")
    upload = {"Bucket": BUCKET, "Key": "open/0"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    client.create_multipart_upload(Bucket=BUCKET, Key="open/1")
    for number in (1, 2, 3):
        client.upload_part(**upload, PartNumber=number, Body=b"x")

    def pages(name: str, **members: Any) -> Any:
        return client.get_paginator(name).paginate(**members, PaginationConfig={"PageSize": 2})

    listing = {"Bucket": BUCKET, "Prefix": "pages/"}
    return {
        "list_objects": [
            [each["Key"] for each in page["Contents"]] for page in pages("list_objects", **listing)
        ],
        "list_objects_v2": [
            [each["Key"] for each in page["Contents"]]
            for page in pages("list_objects_v2", **listing)
        ],
        "list_parts": [
            [each["PartNumber"] for each in page["Parts"]] for page in pages("list_parts", **upload)
        ],
        "list_multipart_uploads": [
            [each["Key"] for each in page["Uploads"]]
            for page in pages("list_multipart_uploads", Bucket=BUCKET)
        ],
        "list_buckets": [
            [each["Name"] for each in page["Buckets"]] for page in pages("list_buckets")
        ],
    }


def follow_links(client: Any) -> list[Any]:
    """Put and get by presigned links; return the status of the put and what the get reads."""
    name = {"Bucket": BUCKET, "Key": "linked ä"}
    put, get = (
        client.generate_presigned_url(f"{verb}_object", Params=name) for verb in ("put", "get")
    )
    with urllib.request.urlopen(urllib.request.Request(put, data=b"data", method="PUT")) as answer:
        status = answer.status
    with urllib.request.urlopen(get) as answer:
        return [status, answer.read().decode()]


def main() -> None:
    """Go through it all in a folder that is given."""
    client = boto3.client("s3")
    for name in (BUCKET, "other-1", "other-2"):
        client.create_bucket(Bucket=name)
    told = move_files(client, Path(sys.argv[1])) | {
        "boto3": boto3.__version__,
        "pages": turn_pages(client),
        "links": follow_links(client),
    }
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
