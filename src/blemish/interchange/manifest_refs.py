"""References of manifests to the objects of a bucket, moved to another bucket."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

_REF = re.compile(rb'"s3:\\?/\\?/([0-9A-Za-z.\-_]{3,63})(\\?/)')
"""The beginning of a JSON text that is an address; slashes may be escaped."""


def is_manifest_start(head: bytes) -> bool:
    """Return whether a file that begins so is a manifest: JSON Lines with a `source-ref`."""
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    return first.startswith(b"{") and b'"source-ref"' in first


def moved_refs(
    lines: Iterable[bytes], *, old: str, new: str, others: Counter[str]
) -> Iterator[bytes]:
    """Yield lines with all references to a bucket moved to another one, and all else as it was.

    Args:
        lines: of a manifest.
        old: name of the bucket that was copied.
        new: name of the copy.
        others: gets the names of all other buckets that the lines name.
    """

    def moved(match: re.Match[bytes]) -> bytes:
        bucket = match[1].decode()
        if bucket == old:
            return b'"s3://' + new.encode() + match[2]
        if bucket != new:
            others[bucket] += 1
        return match[0]

    for line in lines:
        yield _REF.sub(moved, line)
