"""`blemish sync`: a bucket of Amazon or any other S3, copied into the server's own S3.

An object that is there already is not copied again: its ETag is that of the source, or its metadata
say from which ETag it was copied. So a command that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from blemish.cli.connection import error_text
from blemish.engine.images.formats import SUFFIXES
from blemish.interchange.labelled import InterchangeError
from blemish.interchange.manifest_refs import is_manifest_start, moved_refs
from blemish.storage.objects.names import refusal

THREADS = 8

MAX_PENDING = 64
"""Objects that wait for a thread."""

SOURCE_ETAG = "blemish-source-etag"
"""Metadata of a copy: the ETag of the object that it was copied from."""

MAX_OBJECT_BYTES = 5 * 1024**3
"""Of one upload. Source: Amazon S3 API Reference, PutObject."""

SPOOLED_BYTES = 8 * 1024 * 1024
"""Of an object in memory; a larger one goes through a temporary file."""

SHOWN_PROBLEMS = 20

_CHUNK = 1 << 20
_ADDRESS = re.compile(r"s3://([^/]+)(?:/(.*))?")
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class BucketEnd:
    """A bucket and the client of its S3."""

    s3: Any
    bucket: str


@dataclass(frozen=True, kw_only=True)
class SourceObject:
    """An object as a listing has it."""

    key: str
    size_bytes: int
    etag: str


class SyncError(Exception):
    """An object did not come as the source says that it is."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened to one object."""

    copied_bytes: int = 0
    is_copied: bool = False
    is_present: bool = False
    is_rewritten: bool = False
    #: buckets that a manifest names beside the copied one -> references
    other_buckets: Counter[str] = field(default_factory=Counter)
    problem: str | None = None


@dataclass(kw_only=True)
class SyncReport:
    """What a sync did."""

    copied: int = 0
    copied_bytes: int = 0
    present: int = 0
    manifests: int = 0
    #: buckets that manifests name beside the copied one -> references
    other_buckets: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def count(self, outcomes: Iterable[Outcome]) -> None:
        """Add what happened to some objects."""
        for outcome in outcomes:
            self.copied += outcome.is_copied
            self.copied_bytes += outcome.copied_bytes
            self.present += outcome.is_present
            self.manifests += outcome.is_rewritten
            self.other_buckets += outcome.other_buckets
            self.problems += [outcome.problem] if outcome.problem else []

    def sentences(self) -> list[str]:
        """Return the report for people."""
        texts = [
            f"{self.copied:,} objects copied ({self.copied_bytes:,} bytes), "
            f"{self.present:,} were there already."
        ]
        if not (self.copied or self.present or self.problems):
            texts.append("The source has no objects there; compare the folder in its address.")
        if self.manifests:
            texts.append(f"{self.manifests:,} manifests name the new bucket now.")
        texts += [
            f"Manifests have {count:,} references to s3://{bucket}: copy that bucket too."
            for bucket, count in sorted(self.other_buckets.items())
        ]
        shown = self.problems[:SHOWN_PROBLEMS]
        more = len(self.problems) - len(shown)
        return [*texts, *shown, *([f"... and {more:,} more problems"] if more else [])]


def bucket_and_prefix(address: str) -> tuple[str, str]:
    """Return what `s3://bucket/prefix` names.

    Raises:
        InterchangeError: it names no bucket.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise InterchangeError(f"{address!r:.300} is no address such as s3://bucket/folder.")
    return match[1], match[2] or ""


def sync_bucket(
    source: BucketEnd, target: BucketEnd, *, prefix: str, console: Console
) -> SyncReport:
    """Copy the objects below a prefix that the target does not have yet.

    Raises:
        InterchangeError: source and target are the same bucket.
        ClientError, BotoCoreError: a bucket cannot be listed.
    """
    if (source.s3.meta.endpoint_url, source.bucket) == (target.s3.meta.endpoint_url, target.bucket):
        raise InterchangeError(f"s3://{source.bucket} is the source and the target.")
    with console.status(f"Listing s3://{source.bucket}"):
        items = list(listing_of(source, prefix))
        present = {item.key: item for item in listing_of(target, prefix)}
    report = SyncReport()
    with _bars(console) as bars, ThreadPoolExecutor(THREADS) as threads:
        task = bars.add_task("Copying", total=sum(item.size_bytes for item in items))
        copier = _Copier(source, target, present, advance=partial(bars.advance, task))
        pending = set[Future[Outcome]]()
        try:
            for item in items:
                pending.add(threads.submit(copier.copy, item))
                if len(pending) >= MAX_PENDING:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    report.count(future.result() for future in done)
            report.count(future.result() for future in pending)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return report


def listing_of(end: BucketEnd, prefix: str) -> Iterator[SourceObject]:
    """Yield the objects below a prefix.

    Raises:
        ClientError, BotoCoreError: the bucket cannot be listed.
    """
    pages = end.s3.get_paginator("list_objects_v2").paginate(Bucket=end.bucket, Prefix=prefix)
    for page in pages:
        for item in page.get("Contents", ()):
            yield SourceObject(
                key=item["Key"], size_bytes=item["Size"], etag=item["ETag"].strip('"')
            )


class _Copier:
    """Copies one object at a time, from several threads."""

    def __init__(
        self,
        source: BucketEnd,
        target: BucketEnd,
        present: Mapping[str, SourceObject],
        *,
        advance: Callable[[float], None],
    ) -> None:
        self._source = source
        self._target = target
        self._present = present
        self._advance = advance

    def copy(self, item: SourceObject) -> Outcome:
        """Copy an object unless the target has it."""
        try:
            problem = _unusable(item)
            if problem:
                return Outcome(problem=f"{item.key}: {problem}")
            known = self._present.get(item.key)
            return self._copy(item) if known is None else self._renew(item, known)
        except ClientError as error:
            return Outcome(problem=f"{item.key}: {error_text(error)}")
        except (BotoCoreError, SyncError) as error:
            return Outcome(problem=f"{item.key}: {error}")
        finally:
            self._advance(item.size_bytes)

    def _renew(self, item: SourceObject, known: SourceObject) -> Outcome:
        """Copy an object that the target has, unless it is the same or somebody else's."""
        is_equal = (known.etag, known.size_bytes) == (item.etag, item.size_bytes)
        if is_equal and not self._may_be_manifest(item):
            return Outcome(is_present=True)
        head = self._target.s3.head_object(Bucket=self._target.bucket, Key=item.key)
        copied_etag = head["Metadata"].get(SOURCE_ETAG)
        if copied_etag == item.etag or (is_equal and copied_etag is not None):
            return Outcome(is_present=True)
        if is_equal or copied_etag is not None:
            return self._copy(item)
        return self._copy(item, expected_md5=self._target_md5(item.key))

    def _may_be_manifest(self, item: SourceObject) -> bool:
        """Return whether an equal object may be a manifest whose references have to be moved."""
        is_renamed = self._source.bucket != self._target.bucket
        return is_renamed and item.size_bytes > 0 and not item.key.lower().endswith(SUFFIXES)

    def _target_md5(self, key: str) -> str:
        body = self._target.s3.get_object(Bucket=self._target.bucket, Key=key)["Body"]
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in iter(partial(body.read, _CHUNK), b""):
            digest.update(chunk)
        return digest.hexdigest()

    def _copy(self, item: SourceObject, *, expected_md5: str | None = None) -> Outcome:
        """Copy an object.

        Raises:
            SyncError: it did not come whole, or its MD5 is not the expected one: the target has
                another object that no sync has written, which would be lost.
        """
        answer = self._source.s3.get_object(
            Bucket=self._source.bucket, Key=item.key, IfMatch=f'"{item.etag}"'
        )
        with tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES) as file:
            digest = hashlib.md5(usedforsecurity=False)
            for chunk in iter(partial(answer["Body"].read, _CHUNK), b""):
                digest.update(chunk)
                file.write(chunk)
            _check(item, file.tell(), digest.hexdigest(), answer)
            if expected_md5 not in {None, digest.hexdigest()}:
                raise SyncError(
                    "the target has another object of this name, which was changed or written "
                    "there. Delete one of them, or copy to another bucket"
                )
            file.seek(0)
            others = Counter[str]()
            if self._source.bucket != self._target.bucket and is_manifest_start(file.read(_CHUNK)):
                return self._put_manifest(item, file, answer, others)
            self._put(item, file, answer)
        return Outcome(copied_bytes=item.size_bytes, is_copied=True)

    def _put_manifest(
        self, item: SourceObject, file: IO[bytes], answer: Any, others: Counter[str]
    ) -> Outcome:
        file.seek(0)
        with tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES) as changed:
            lines = moved_refs(
                file, old=self._source.bucket, new=self._target.bucket, others=others
            )
            changed.writelines(lines)
            self._put(item, changed, answer)
        return Outcome(
            copied_bytes=item.size_bytes, is_copied=True, is_rewritten=True, other_buckets=others
        )

    def _put(self, item: SourceObject, file: IO[bytes], answer: Any) -> None:
        file.seek(0)
        self._target.s3.put_object(
            Bucket=self._target.bucket,
            Key=item.key,
            Body=file,
            ContentType=answer["ContentType"],
            Metadata={**answer["Metadata"], SOURCE_ETAG: answer["ETag"].strip('"')},
            ChecksumAlgorithm="CRC32",
        )


def _unusable(item: SourceObject) -> str | None:
    """Say why the server cannot have an object; None if it can."""
    if item.size_bytes > MAX_OBJECT_BYTES:
        return f"it has {item.size_bytes:,} bytes, and at most {MAX_OBJECT_BYTES:,} are copied"
    name = item.key.removesuffix("/") if item.size_bytes == 0 else item.key
    problem = refusal(name)
    return f"the server cannot have this key: {problem}" if problem else None


def _check(item: SourceObject, size_bytes: int, md5: str, answer: Any) -> None:
    """Refuse what is not what the source says that it has.

    Raises:
        SyncError: it came with another length or another content.
    """
    if size_bytes != item.size_bytes:
        raise SyncError(f"{size_bytes:,} bytes came instead of {item.size_bytes:,}")
    has_md5 = answer.get("ServerSideEncryption") in {None, "AES256"} and _MD5.fullmatch(item.etag)
    if has_md5 and not answer.get("SSECustomerAlgorithm") and md5 != item.etag:
        raise SyncError(f"its MD5 is {md5} instead of {item.etag}")


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
