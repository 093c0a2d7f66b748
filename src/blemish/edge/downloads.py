"""Components from S3, or from a server of Blemish, by the usual variables of AWS's tools.

AWS_ENDPOINT_URL    where the server is; without it, AWS
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from obstore.exceptions import BaseError
from obstore.store import S3Store

from blemish.edge.errors import EdgeError

CHUNK_BYTES = 4 * 1024 * 1024


@contextmanager
def opened_object(url: str) -> Iterator[IO[bytes]]:
    """Download an object to a temporary file, and open it.

    Args:
        url: `s3://bucket/key`.

    Raises:
        EdgeError: it cannot be downloaded.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise EdgeError(f"{url} is no address of an object; it must be like s3://bucket/key.")
    with tempfile.TemporaryFile() as file:
        try:
            for chunk in _store(bucket).get(key).stream(min_chunk_size=CHUNK_BYTES):
                file.write(chunk)
        except (BaseError, OSError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise EdgeError(f"{url} cannot be downloaded: {reason}{_advice()}") from None
        file.seek(0)
        yield file


def _advice() -> str:
    """Return which variables to set: without them, the download asks AWS for a key."""
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    missing = [name for name in names if not os.environ.get(name)]
    if not missing:
        return ""
    return (
        f"\nFor a component on a Blemish server, set {', '.join(missing)}. "
        "Profiles and credential files are not read."
    )


def _store(bucket: str) -> S3Store:
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint is None:
        return S3Store(bucket, region=region, virtual_hosted_style_request=True)
    return S3Store(bucket, endpoint=endpoint, region=region, client_options={"allow_http": True})
