"""Run as a program in an environment of other clients: s3fs and obstore on the same bucket.

Prints what each found as JSON; what one writes, the other reads.
"""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import obstore
import s3fs  # type: ignore[import-not-found, unused-ignore]
from obstore.store import S3Store

BUCKET = "file-systems"
LARGE = os.urandom(1024 * 1024) * 12


def by_s3fs() -> dict[str, Any]:
    """Use a bucket like a folder."""
    files = s3fs.S3FileSystem()
    files.mkdir(BUCKET)
    files.pipe(f"{BUCKET}/fs/small", b"small")
    with files.open(f"{BUCKET}/fs/large", "wb", block_size=5 * 1024 * 1024) as target:
        target.write(LARGE)
    with files.open(f"{BUCKET}/fs/large", "rb") as source:
        source.seek(-10, os.SEEK_END)
        end = source.read()
    files.copy(f"{BUCKET}/fs/small", f"{BUCKET}/fs/copy")
    files.mv(f"{BUCKET}/fs/copy", f"{BUCKET}/fs/deep/moved")
    told = {
        "found": files.find(BUCKET),
        "listed": sorted(files.ls(f"{BUCKET}/fs", detail=False)),
        "end": end == LARGE[-10:],
        "whole": files.cat(f"{BUCKET}/fs/large") == LARGE,
    }
    files.rm(f"{BUCKET}/fs", recursive=True)
    return told | {"left": files.find(BUCKET)}


def by_obstore(key: Mapping[str, str], endpoint: str) -> dict[str, Any]:
    """Use it as an object store."""
    store = S3Store(
        BUCKET,
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=key["aws_access_key_id"],
        secret_access_key=key["aws_secret_access_key"],
        client_options={"allow_http": True},
    )
    store.put("os/small", b"small", attributes={"Content-Type": "text/plain"})
    store.put("os/large", LARGE, chunk_size=5 * 1024 * 1024)
    store.copy("os/small", "os/copy")
    store.rename("os/copy", "os/deep/moved")
    try:
        store.put("os/small", b"other", mode="create")
    except obstore.exceptions.AlreadyExistsError:
        created = False
    else:
        created = True
    found = sorted(each["path"] for page in store.list() for each in page)
    told = {
        "found": found,
        "listed": [str(each) for each in store.list_with_delimiter("os/")["common_prefixes"]],
        "range": bytes(store.get_range("os/large", start=5, length=7)) == LARGE[5:12],
        "whole": bytes(store.get("os/large").bytes()) == LARGE,
        "created": created,
        "type": store.get("os/small").attributes["Content-Type"],
    }
    store.delete(found)
    return told | {"left": [each["path"] for page in store.list() for each in page]}


def main() -> None:
    """Find the server by the files that the environment names; use it both ways."""
    profile = os.environ["AWS_PROFILE"]
    config, credentials = configparser.ConfigParser(), configparser.ConfigParser()
    config.read(Path(os.environ["AWS_CONFIG_FILE"]))
    credentials.read(Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]))
    endpoint = config[f"services {profile}"]["s3"].rpartition("= ")[2]
    told = {"s3fs": by_s3fs(), "obstore": by_obstore(credentials[profile], endpoint)}
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
