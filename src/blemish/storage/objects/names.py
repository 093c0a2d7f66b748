"""Names that buckets and keys can have, so that each key is exactly one file."""

from __future__ import annotations

import re

from blemish.domain.manifest import MAX_KEY_BYTES

MAX_SEGMENT_BYTES = 255
"""Of the name of one file or folder. Source: NAME_MAX of Linux."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PART_NUMBER = re.compile(r"[^#]*#[0-9]+")
_DRIVE = re.compile(r".*[A-Za-z]:", re.DOTALL)


def is_bucket_name(name: str) -> bool:
    """Return whether a bucket can have this name.

    Source: Amazon S3 user guide, "General purpose bucket naming rules".
    """
    return (
        _BUCKET.fullmatch(name) is not None
        and ".." not in name
        and _IP_ADDRESS.fullmatch(name) is None
    )


def refusal(key: str) -> str | None:
    """Say why the key is not a valid file name as its name below a bucket; None if one can."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it cannot be written in UTF-8"
    if size > MAX_KEY_BYTES:
        return f"it has {size} bytes, and at most {MAX_KEY_BYTES} are allowed"
    if _CONTROL.search(key):
        return "it has a control character"
    segments = key.split("/")
    if "" in segments:
        return "it is empty, begins or ends with '/', or has '//'"
    if "." in segments or ".." in segments:
        return "it has '.' or '..' between slashes"
    if any(len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments):
        return f"it has more than {MAX_SEGMENT_BYTES} bytes between slashes"
    if _DRIVE.fullmatch(segments[-1]):  # obstore reads it as a drive of Windows
        return "it ends in a letter and ':', which the store cannot read"
    if _PART_NUMBER.fullmatch(segments[-1]):
        return "it ends in '#' and a number, which the store uses itself"
    return None
