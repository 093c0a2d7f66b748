"""Where a bucket stands in an address: in the path, or in front of the host's name.

Source: Amazon S3 User Guide, "Virtual hosting of general purpose buckets".
"""

from __future__ import annotations

import re
from collections.abc import Collection

_PORT = re.compile(r":[0-9]+$")


def path_with_bucket(path: str, *, host: str, base_host_names: Collection[str]) -> str:
    """Return a raw path that begins with its bucket, if it has one.

    Args:
        path: as it was sent.
        host: the header, with its port if it has one.
        base_host_names: names of the server; `bucket.name` is then the address of a bucket.
    """
    name = _PORT.sub("", host).lower()
    for base in sorted(base_host_names, key=len, reverse=True):
        if name == base.lower():
            break
        if (bucket := name.removesuffix(f".{base.lower()}")) != name:
            path = f"/{bucket}{path}"
            break
    segments = path.split("/")
    return f"/{segments[1]}" if len(segments) == 3 and not segments[2] else path
