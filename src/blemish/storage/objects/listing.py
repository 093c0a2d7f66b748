"""The keys of a bucket in S3's order, walked in bounded memory.

S3 orders keys by their UTF-8 bytes, which is the order of their code points. A folder `a` takes
its place as `a/`, after `a-b` and before `aa`; nothing but its own keys lies between it and what
follows.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from blemish.storage.objects.paths import ObjectPaths, is_object, lstat
from blemish.storage.objects.streams import FileVersion

BATCH = 2_000
"""Names of a folder in memory; a larger folder is read several times."""


@dataclass(frozen=True, kw_only=True)
class ListedObject:
    """An object in a listing."""

    key: str
    version: FileVersion


class Listing:
    """Lists the keys of a bucket in order."""

    def __init__(self, paths: ObjectPaths) -> None:
        self._paths = paths

    def walk(
        self, bucket: str, *, prefix: str = "", after: str = "", delimiter: str = ""
    ) -> Iterator[ListedObject | str]:
        """Yield the objects whose keys begin with `prefix` and come after `after`, in order.

        Keys with a `delimiter` after the prefix are rolled up: their common part up to the
        delimiter is yielded once, as a string.

        Raises:
            BucketMissingError: the bucket does not exist.
            ObjectReadError: a folder cannot be read.
        """
        self._paths.check_bucket(bucket)
        folder = prefix.rpartition("/")[0]
        if delimiter == "/":
            return self._walk(bucket, folder, prefix=prefix, after=after, roll_up=True)
        objects = self._walk(bucket, folder, prefix=prefix, after=after, roll_up=False)
        return rolled_up(objects, prefix, delimiter, after=after) if delimiter else objects

    def _walk(
        self, bucket: str, folder: str, *, prefix: str, after: str, roll_up: bool
    ) -> Iterator[ListedObject | str]:
        for path in self._paths_in(bucket, folder, prefix=prefix, after=after):
            if not path.endswith("/"):
                if status := lstat(self._paths.root / bucket / path):
                    yield ListedObject(key=path, version=FileVersion.of(status))
                continue
            below = self._walk(bucket, path[:-1], prefix=prefix, after=after, roll_up=False)
            if not roll_up:
                yield from below
            elif path > after and next(below, None):
                yield path

    def _paths_in(self, bucket: str, folder: str, *, prefix: str, after: str) -> Iterator[str]:
        """Yield keys, and folders with a slash at their end, that may come after `after`."""
        last = ""
        while True:
            batch = heapq.nsmallest(
                BATCH,
                (
                    path
                    for path in self._unordered(bucket, folder)
                    if path.startswith(prefix)
                    and path > last
                    and (path > after or (path.endswith("/") and after.startswith(path)))
                ),
            )
            yield from batch
            if len(batch) < BATCH:
                return
            last = batch[-1]

    def _unordered(self, bucket: str, folder: str) -> Iterator[str]:
        for entry in self._paths.scan(bucket, folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield f"{path}/"
            elif is_object(entry, path):
                yield path


def rolled_up(
    objects: Iterator[ListedObject | str], prefix: str, delimiter: str, *, after: str
) -> Iterator[ListedObject | str]:
    """Yield objects, and once for several the part of their keys up to a delimiter."""
    last = None
    for listed in objects:
        assert isinstance(listed, ListedObject)
        head, cut, _ = listed.key[len(prefix) :].partition(delimiter)
        if not cut:
            yield listed
            continue
        common = f"{prefix}{head}{delimiter}"
        if common != last and common > after:
            yield common
        last = common
