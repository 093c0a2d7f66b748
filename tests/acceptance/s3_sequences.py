"""Random sequences of S3 operations, and what a server answers to them, to compare servers by."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

KEYS = ("a", "b c", "p/1", "p/2", "p/q/1", "p/q/2", "é+%41", "z&<'>", "\U0001f642")
"""None is a folder of another: both would be objects in S3, but not in a folder."""

BODIES = (b"", b"x", b"one body", b"another one", bytes(range(256)) * 40)
LARGE_PART = bytes(5 * 1024 * 1024)
LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)

COMPARED = (
    "Bucket",
    "CommonPrefixes",
    "ContentEncoding",
    "ContentLength",
    "ContentRange",
    "ContentType",
    "Delimiter",
    "ETag",
    "EncodingType",
    "IsTruncated",
    "Key",
    "KeyCount",
    "LocationConstraint",
    "MaxKeys",
    "Metadata",
    "NextMarker",
    "Prefix",
    "Status",
)
"""Members of answers that say what is there; others are times, owners, tokens and ids."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call. An `UploadId` is the number of the upload: its id is the server's to choose."""

    operation: str
    members: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said: the status, an error's code, and the members that are compared."""

    status: int
    code: str | None
    members: dict[str, Any]


def sequence(seed: int, *, steps: int = 40) -> list[Step]:
    """Return the calls of one sequence, which begins with an empty bucket."""
    return list(_Sequence(random.Random(seed), bucket=f"sequence-{seed}").steps(steps))


class _Sequence:
    def __init__(self, generator: random.Random, *, bucket: str) -> None:
        self._random = generator
        self._bucket = bucket
        self._uploads: list[str] = []
        self._kinds: list[tuple[int, Callable[[], Step]]] = [
            (8, self._put),
            (4, self._get),
            (2, self._head),
            (2, self._delete),
            (1, self._delete_many),
            (3, self._copy),
            (3, self._list),
            (2, self._list_v2),
            (2, self._create_upload),
            (4, self._upload_part),
            (3, self._end_upload),
            (1, self._list_uploads),
            (2, self._of_bucket),
        ]

    def steps(self, number: int) -> Iterator[Step]:
        yield self._step("CreateBucket")
        shares, kinds = zip(*self._kinds, strict=True)
        for kind in self._random.choices(kinds, shares, k=number):
            yield kind()
        yield self._step("ListObjectsV2")

    def _step(self, operation: str, **members: Any) -> Step:
        return Step(operation=operation, members={"Bucket": self._bucket} | members)

    def _key(self) -> str:
        return self._random.choice(KEYS)

    def _etag(self) -> str:
        return f'"{hashlib.md5(self._random.choice(BODIES)).hexdigest()}"'

    def _maybe(self, share: float, **members: Any) -> dict[str, Any]:
        return members if self._random.random() < share else {}

    def _put(self) -> Step:
        members = (
            self._maybe(0.3, ContentType="image/png")
            | self._maybe(0.2, ContentEncoding="gzip")
            | self._maybe(0.3, Metadata={"line": "4", "shift": "late"})
            | self._maybe(0.1, IfNoneMatch="*")
            | self._maybe(0.1, IfMatch=self._etag())
        )
        return self._step("PutObject", Key=self._key(), Body=self._random.choice(BODIES), **members)

    def _read(self) -> dict[str, Any]:
        return (
            self._maybe(0.1, IfMatch=self._etag())
            | self._maybe(0.1, IfNoneMatch=self._etag())
            | self._maybe(0.1, IfModifiedSince=LONG_AGO)
            | self._maybe(0.1, IfUnmodifiedSince=LONG_AGO)
        )

    def _get(self) -> Step:
        spans = (
            "bytes=0-3",
            "bytes=2-",
            "bytes=-3",
            "bytes=5-1000000",
            "bytes=20000-",
            "bytes=0-0",
        )
        span = self._maybe(0.4, Range=self._random.choice(spans))
        return self._step("GetObject", Key=self._key(), **self._read(), **span)

    def _head(self) -> Step:
        return self._step("HeadObject", Key=self._key(), **self._read())

    def _delete(self) -> Step:
        return self._step("DeleteObject", Key=self._key())

    def _delete_many(self) -> Step:
        names = [{"Key": key} for key in self._random.sample(KEYS, 2)]
        quiet = self._random.random() < 0.3
        return self._step("DeleteObjects", Delete={"Objects": names, "Quiet": quiet})

    def _copy(self) -> Step:
        members = self._maybe(
            0.4, MetadataDirective="REPLACE", ContentType="text/css", Metadata={"new": "yes"}
        )
        source = {"Bucket": self._bucket, "Key": self._key()}
        return self._step("CopyObject", Key=self._key(), CopySource=source, **members)

    def _listing(self) -> dict[str, Any]:
        return (
            self._maybe(0.5, Delimiter="/")
            | self._maybe(0.5, Prefix=self._random.choice(("p", "p/", "p/q/", "none", "é")))
            | self._maybe(0.5, MaxKeys=self._random.choice((1, 2, 3, 1000)))
        )

    def _list(self) -> Step:
        return self._step("ListObjects", **self._listing(), **self._maybe(0.3, Marker=self._key()))

    def _list_v2(self) -> Step:
        after = self._maybe(0.3, StartAfter=self._key())
        return self._step("ListObjectsV2", **self._listing(), **after)

    def _create_upload(self) -> Step:
        key = self._key()
        self._uploads.append(key)
        return self._step(
            "CreateMultipartUpload", Key=key, **self._maybe(0.3, Metadata={"up": "1"})
        )

    def _upload(self) -> dict[str, Any]:
        if not self._uploads:
            return {"Key": self._key(), "UploadId": -1}
        number = self._random.randrange(len(self._uploads))
        return {"Key": self._uploads[number], "UploadId": number}

    def _upload_part(self) -> Step:
        body = LARGE_PART if self._random.random() < 0.2 else self._random.choice(BODIES[1:])
        number = self._random.choice((1, 1, 2, 3))
        return self._step("UploadPart", **self._upload(), PartNumber=number, Body=body)

    def _end_upload(self) -> Step:
        if self._random.random() < 0.2:
            return self._step("AbortMultipartUpload", **self._upload())
        numbers = self._random.choice(((1,), (1, 2), (2, 1), (1, 3), (4,)))
        # the ETags are those of what the server holds: filled in when it has been asked
        parts = [{"PartNumber": number} for number in numbers]
        return self._step(
            "CompleteMultipartUpload", **self._upload(), MultipartUpload={"Parts": parts}
        )

    def _list_uploads(self) -> Step:
        if self._random.random() < 0.5:
            return self._step("ListMultipartUploads")
        return self._step("ListParts", **self._upload())

    def _of_bucket(self) -> Step:
        operation = self._random.choice(
            ("HeadBucket", "GetBucketLocation", "GetBucketVersioning", "DeleteBucket")
        )
        step = self._step(operation)
        if operation != "DeleteBucket" and self._random.random() < 0.3:
            return Step(operation=operation, members={"Bucket": "no-such-bucket"})
        if operation == "DeleteBucket" and self._random.random() < 0.5:
            return Step(operation=operation, members={"Bucket": "no-such-bucket"})
        return step


class Player:
    """Plays steps to a server, and keeps the ids that it gives."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._uploads: list[str] = []
        #: of each part that was taken, by upload and number
        self._etags: dict[tuple[int, int], str] = {}

    def play(self, step: Step) -> Answer:
        """Make one call; return what came of it."""
        members = self._with_ids(step)
        try:
            told = getattr(self._client, xform_name(step.operation))(**members)
        except ClientError as error:
            told = error.response
        self._keep(step, told)
        code = told.get("Error", {}).get("Code")
        status = told["ResponseMetadata"]["HTTPStatusCode"]
        return Answer(status=status, code=code, members={} if code else _compared(told))

    def _with_ids(self, step: Step) -> dict[str, Any]:
        members = dict(step.members)
        number = members.get("UploadId")
        if number is None:
            return members
        known = 0 <= number < len(self._uploads)
        members["UploadId"] = self._uploads[number] if known else "no-such-upload"
        if "MultipartUpload" in members:
            parts = [
                each | {"ETag": self._etags.get((number, each["PartNumber"]), '"no-such-part"')}
                for each in members["MultipartUpload"]["Parts"]
            ]
            members["MultipartUpload"] = {"Parts": parts}
        return members

    def _keep(self, step: Step, told: dict[str, Any]) -> None:
        if step.operation == "CreateMultipartUpload":
            self._uploads.append(told.get("UploadId", "never-created"))
        if step.operation == "UploadPart" and "ETag" in told:
            self._etags[step.members["UploadId"], step.members["PartNumber"]] = told["ETag"]


def _compared(told: dict[str, Any]) -> dict[str, Any]:
    found = {name: told[name] for name in COMPARED if told.get(name, "") != ""}
    if "Body" in told:
        found["Body"] = told["Body"].read()
    for name, members in {
        "Contents": ("Key", "ETag", "Size"),
        "Parts": ("PartNumber", "ETag", "Size"),
        "Uploads": ("Key",),
        "Deleted": ("Key",),
        "Errors": ("Key", "Code"),
    }.items():
        if name in told:
            found[name] = [{member: each[member] for member in members} for each in told[name]]
    if "CopyObjectResult" in told:
        found["ETag"] = told["CopyObjectResult"]["ETag"]
    return found
