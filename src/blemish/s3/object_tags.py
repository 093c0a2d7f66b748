"""Tags of objects: the header of uploads, and the operations that change them.

Tags are stored with the headers of an object, as the text of `x-amz-tagging`.

Source: Amazon S3 User Guide, "Categorizing your objects using tags".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from blemish.s3.protocol.errors import InvalidArgumentError, InvalidTagError
from blemish.s3.stored_objects import StoredObjects
from blemish.s3.unsupported import refuse_unsupported, s3_ref

TAGGING = "Tagging"
"""Where tags are stored among the headers: under the member of PutObject."""

MAX_TAGS = 10
MAX_KEY_LENGTH = 128
MAX_VALUE_LENGTH = 256
RESERVED_PREFIX = "aws:"
"""How the keys of AWS's own tags begin, in any case."""


class ObjectTaggingOperations:
    """Reads and changes the tags of objects."""

    def __init__(self, objects: StoredObjects) -> None:
        self._objects = objects

    def get_object_tagging(self, *, bucket: str, key: str, **others: Any) -> dict[str, Any]:
        refuse_unsupported(others)
        opened, metadata = self._objects.open(s3_ref(bucket, key))
        opened.close()
        pairs = _parsed(metadata.headers.get(TAGGING, ""))
        return {"TagSet": [{"Key": name, "Value": value} for name, value in pairs]}

    def put_object_tagging(
        self, *, bucket: str, key: str, tagging: Any, **others: Any
    ) -> dict[str, Any]:
        refuse_unsupported(others)
        tags = [(tag.get("Key", ""), tag.get("Value", "")) for tag in tagging.get("TagSet", ())]
        self._replace(bucket, key, _checked(tags))
        return {}

    def delete_object_tagging(self, *, bucket: str, key: str, **others: Any) -> dict[str, Any]:
        refuse_unsupported(others)
        self._replace(bucket, key, {})
        return {}

    def _replace(self, bucket: str, key: str, stored_tags: Mapping[str, str]) -> None:
        self._objects.change_headers(
            s3_ref(bucket, key),
            lambda headers: without_tags(headers) | dict(stored_tags),
        )


def pop_tags(members: dict[str, Any]) -> dict[str, str]:
    """Take the tags out of the members of an upload; return them as they are stored.

    Raises:
        InvalidTagError: there are too many, or one is too long, reserved or a duplicate.
    """
    return _checked(_parsed(members.pop("tagging", None) or ""))


def check_copied_tags(members: Mapping[str, Any], *, replaced: bool) -> None:
    """Check that a copy uses the tags that its request sets; S3 ignores them without a word.

    Raises:
        InvalidArgumentError: the copy has the tags of its source.
    """
    if members.get("tagging") and not replaced:
        raise InvalidArgumentError(
            "x-amz-tagging sets tags, but the copy has those of its source. Send "
            "x-amz-tagging-directive: REPLACE with it, or leave x-amz-tagging out."
        )


def without_tags(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the stored headers of an object without its tags."""
    return {name: value for name, value in headers.items() if name != TAGGING}


def tags_only(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the tags among the stored headers of an object, as they are stored."""
    return {name: value for name, value in headers.items() if name == TAGGING}


def tag_count(headers: Mapping[str, str]) -> int | None:
    """Return how many tags an object has; None for none."""
    return len(_parsed(headers.get(TAGGING, ""))) or None


def _parsed(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _checked(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    pairs = list(tags)
    if len(pairs) > MAX_TAGS:
        raise InvalidTagError(f"An object has at most {MAX_TAGS} tags, not {len(pairs)}.")
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidTagError("Cannot provide multiple Tags with the same key.")
    for name, value in pairs:
        if not 1 <= len(name) <= MAX_KEY_LENGTH:
            raise InvalidTagError(f"A tag key has 1 to {MAX_KEY_LENGTH} characters: {name!r:.300}.")
        if name.lower().startswith(RESERVED_PREFIX):
            raise InvalidTagError(
                f"A tag key cannot begin with {RESERVED_PREFIX}: {name!r:.300}. Use another key."
            )
        if len(value) > MAX_VALUE_LENGTH:
            raise InvalidTagError(
                f"The value of tag {name!r} has over {MAX_VALUE_LENGTH} characters."
            )
    return {TAGGING: urlencode(pairs)} if pairs else {}
