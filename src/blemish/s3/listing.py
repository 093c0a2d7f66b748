"""Operations that list the objects of a bucket, page by page."""

from __future__ import annotations

import base64
from itertools import islice
from typing import Any
from urllib.parse import quote

from blemish.s3.object_headers import quoted
from blemish.s3.protocol.errors import InvalidArgumentError
from blemish.s3.stored_objects import StoredObjects
from blemish.s3.unsupported import refuse_unsupported
from blemish.storage.objects.listing import ListedObject, Listing

MAX_KEYS = 1_000
"""Keys and common prefixes of one page. Source: Amazon S3 API Reference, "ListObjectsV2"."""


class ListingOperations:
    """Lists objects in the order of their keys."""

    def __init__(self, listing: Listing, objects: StoredObjects, *, owner: str) -> None:
        self._listing = listing
        self._objects = objects
        self._owner = {"ID": owner, "DisplayName": owner}

    def list_objects_v2(
        self,
        *,
        bucket: str,
        continuation_token: str | None = None,
        start_after: str | None = None,
        fetch_owner: bool = False,
        **others: Any,
    ) -> dict[str, Any]:
        after = start_after or ""
        if continuation_token is not None:
            after = _key_of(continuation_token)
        told, encode, last = self._page(bucket, after, others, owner=fetch_owner)
        return told | {
            "KeyCount": len(told["Contents"]) + len(told["CommonPrefixes"]),
            "ContinuationToken": continuation_token,
            "NextContinuationToken": _token(last) if told["IsTruncated"] else None,
            "StartAfter": start_after and encode(start_after),
        }

    def list_objects(self, *, bucket: str, marker: str = "", **others: Any) -> dict[str, Any]:
        told, encode, last = self._page(bucket, marker, others, owner=True)
        # S3 tells it only with a delimiter; without, clients take the last key
        tells_next = told["IsTruncated"] and told["Delimiter"]
        return told | {
            "Marker": encode(marker),
            "NextMarker": encode(last) if tells_next else None,
        }

    def _page(
        self, bucket: str, after: str, members: dict[str, Any], *, owner: bool
    ) -> tuple[dict[str, Any], Any, str]:
        """Return what both listings tell, how they encode keys, and the last of the page."""
        prefix, delimiter = members.pop("prefix", ""), members.pop("delimiter", "")
        encoding = members.pop("encoding_type", None)
        asked = members.pop("max_keys", MAX_KEYS)
        refuse_unsupported(members)
        encode = encoder(encoding)
        if asked < 0:
            raise InvalidArgumentError("Argument max-keys must be an integer of 0 or more.")
        limit = min(asked, MAX_KEYS)
        walk = self._listing.walk(bucket, prefix=prefix, after=after, delimiter=delimiter)
        found = list(islice(walk, limit + 1)) if limit else []
        page = found[:limit]
        told = {
            "Name": bucket,
            "Prefix": encode(prefix),
            "Delimiter": encode(delimiter) or None,
            "EncodingType": encoding,
            "MaxKeys": asked,
            "IsTruncated": len(found) > limit,
            "Contents": self._contents(bucket, page, encode, owner=owner),
            "CommonPrefixes": [{"Prefix": encode(each)} for each in page if isinstance(each, str)],
        }
        last = page[-1] if page else ""
        return told, encode, last if isinstance(last, str) else last.key

    def _contents(
        self, bucket: str, page: list[ListedObject | str], encode: Any, *, owner: bool
    ) -> list[dict[str, Any]]:
        objects = [each for each in page if isinstance(each, ListedObject)]
        etags = self._objects.etags(bucket, [(each.key, each.version) for each in objects])
        return [
            {
                "Key": encode(each.key),
                "LastModified": each.version.modified_at,
                "ETag": quoted(etag),
                "Size": each.version.size_bytes,
                "StorageClass": "STANDARD",
                "Owner": self._owner if owner else None,
            }
            for each, etag in zip(objects, etags, strict=True)
        ]


def encoder(encoding_type: str | None) -> Any:
    """Return what encodes keys for an answer.

    Raises:
        InvalidArgumentError: there is no such encoding.
    """
    if encoding_type not in {None, "url"}:
        raise InvalidArgumentError(f"Invalid Encoding Method {encoding_type!r:.100}: only url is.")
    return (lambda text: quote(text, safe="/")) if encoding_type else str


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode("ascii")


def _key_of(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise InvalidArgumentError("The continuation token provided is incorrect.") from error
