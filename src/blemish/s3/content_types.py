"""The content types that the names of files stand for."""

from __future__ import annotations

from mimetypes import MimeTypes
from pathlib import PurePosixPath

DEFAULT_TYPE = "binary/octet-stream"
"""The type of an object that came without one. Source: Amazon S3 API Reference, "PutObject"."""

_TYPES_BY_SUFFIX = MimeTypes().types_map[True] | {".webp": "image/webp"}
"""The types that Python knows by itself: those of the machine differ from one to the next."""


def type_by_name(key: str) -> str:
    """Return the content type that the name of a file stands for."""
    return _TYPES_BY_SUFFIX.get(PurePosixPath(key).suffix.lower(), DEFAULT_TYPE)
