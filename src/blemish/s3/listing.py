"""Operations that list the objects of a bucket, page by page."""

from __future__ import annotations

import base64
from itertools import islice
from typing import Any
from urllib.parse import quote

from blemish.s3.folder_markers import FolderMarkers
from blemish.s3.object_headers import quoted
from blemish.s3.protocol.errors import InvalidArgumentError
from blemish.s3.stored_objects import StoredObjects
from blemish.s3.unsupported import refuse_unsupported
from blemish.storage.objects.listing import ListedObject, Listing

MAX_KEYS = 1_000
"""Keys and common prefixes of one page. Source: Amazon S3 API Reference, "ListObjectsV2"."""


class ListingOperations:
    """Lists objects in the order of their keys."""

    def __init__(
        self, listing: Listing, objects: StoredObjects, *, markers: FolderMarkers, owner: str
    ) -> None:
        self._listing = listing
        self._markers = markers
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
        output, encode, last = self._page(bucket, after, others, owner=fetch_owner)
        return output | {
            "KeyCount": len(output["Contents"]) + len(output["CommonPrefixes"]),
            "ContinuationToken": continuation_token,
            "NextContinuationToken": _token(last) if output["IsTruncated"] else None,
            "StartAfter": start_after and encode(start_after),
        }

    def list_objects(self, *, bucket: str, marker: str = "", **others: Any) -> dict[str, Any]:
        output, encode, last = self._page(bucket, marker, others, owner=True)
        # S3 returns it only with a delimiter; otherwise clients take the last key
        has_next_marker = output["IsTruncated"] and output["Delimiter"]
        return output | {
            "Marker": encode(marker),
            "NextMarker": encode(last) if has_next_marker else None,
        }

    def _page(
        self, bucket: str, after: str, members: dict[str, Any], *, owner: bool
    ) -> tuple[dict[str, Any], Any, str]:
        """Return the output of both listings, the encoder of keys, and the last key of the page."""
        prefix, delimiter = members.pop("prefix", ""), members.pop("delimiter", "")
        encoding = members.pop("encoding_type", None)
        max_keys = members.pop("max_keys", MAX_KEYS)
        refuse_unsupported(members)
        encode = encoder(encoding)
        if max_keys < 0:
            raise InvalidArgumentError("Argument max-keys must be an integer of 0 or more.")
        limit = min(max_keys, MAX_KEYS)
        walk = self._listing.walk(bucket, prefix=prefix, after=after, delimiter=delimiter)
        merged = self._markers.merged(walk, bucket, prefix=prefix, after=after, delimiter=delimiter)
        listed = list(islice(merged, limit + 1)) if limit else []
        page = listed[:limit]
        output = {
            "Name": bucket,
            "Prefix": encode(prefix),
            "Delimiter": encode(delimiter) or None,
            "EncodingType": encoding,
            "MaxKeys": max_keys,
            "IsTruncated": len(listed) > limit,
            "Contents": self._contents(bucket, page, encode, owner=owner),
            "CommonPrefixes": [
                {"Prefix": encode(prefix)} for prefix in page if isinstance(prefix, str)
            ],
        }
        last = page[-1] if page else ""
        return output, encode, last if isinstance(last, str) else last.key

    def _contents(
        self, bucket: str, page: list[ListedObject | str], encode: Any, *, owner: bool
    ) -> list[dict[str, Any]]:
        objects = [item for item in page if isinstance(item, ListedObject)]
        etags = self._objects.etags(bucket, [(item.key, item.version) for item in objects])
        return [
            {
                "Key": encode(item.key),
                "LastModified": item.version.modified_at,
                "ETag": quoted(etag),
                "Size": item.version.size_bytes,
                "StorageClass": "STANDARD",
                "Owner": self._owner if owner else None,
            }
            for item, etag in zip(objects, etags, strict=True)
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
