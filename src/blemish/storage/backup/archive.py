"""A backup as one file: a tar archive whose last member holds the checksums of the others.

BLEMISH-BACKUP   that it is one, of which format, by which version, from when (JSON)
...              the files
SHA256SUMS       a line for each member in order, as `sha256sum --check` reads it

The archive is written and read sequentially, in bounded memory. An incomplete archive lacks its
last member. Times of files are exact to the nanosecond.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO

from blemish.storage.errors import BackupBrokenError, BackupError
from blemish.storage.files import clear_file_errors

HEAD = "BLEMISH-BACKUP"
SUMS = "SHA256SUMS"
FORMAT = 1
CHUNK_BYTES = 1024 * 1024


class ArchiveWriter:
    """Writes the members of a backup in order."""

    def __init__(
        self, tar: tarfile.TarFile, sums: IO[bytes], *, progress: Callable[[int], None]
    ) -> None:
        self._tar = tar
        self._sums = sums
        self._progress = progress

    @classmethod
    @contextmanager
    def into(cls, file: BinaryIO, *, progress: Callable[[int], None]) -> Iterator[ArchiveWriter]:
        """Begin an archive, which is complete at the end of the context.

        Args:
            file: the target, which stays open.
            progress: called with the number of bytes written.
        """
        with TemporaryFile() as sums:  # as many lines as there are members
            tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
            writer = cls(tar, sums, progress=progress)
            yield writer
            writer._end()

    def begin(self, *, version: str, now: datetime) -> None:
        """Write the member that identifies a backup."""
        head = {"format": FORMAT, "blemish": version, "created_at": now.isoformat()}
        data = (json.dumps(head) + "\n").encode()
        self._add(HEAD, BytesIO(data), size=len(data), modified_ns=0)

    def add_folder(self, name: str) -> None:
        """Add an empty folder."""
        member = tarfile.TarInfo(name)
        member.type, member.mode = tarfile.DIRTYPE, 0o700
        self._tar.addfile(member)

    def add(self, name: str, path: Path) -> bool:
        """Add a file; return False if it does not exist or is no regular file.

        Raises:
            BackupError: it cannot be read, or changed while it was read.
        """
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise BackupError(f"{path} cannot be read ({error.strerror}).") from error
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            os.close(descriptor)
            return False
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            self._add(name, file, size=before.st_size, modified_ns=before.st_mtime_ns)
            after = os.fstat(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise BackupError(f"{path} was changed while it was read. Back up again.")
        return True

    def _end(self) -> None:
        """Write the checksums, and the end of the archive."""
        size = self._sums.tell()
        self._sums.seek(0)
        self._tar.addfile(_member(SUMS, size=size, modified_ns=0), self._sums)
        self._tar.close()

    def _add(self, name: str, file: IO[bytes], *, size: int, modified_ns: int) -> None:
        reader = _Hashing(file, self._progress)
        try:
            self._tar.addfile(_member(name, size=size, modified_ns=modified_ns), reader)
        except OSError as error:
            if error.errno is None:  # tarfile's own, of a file that became shorter
                raise BackupError(
                    f"{name} was changed while it was read. Back up again."
                ) from error
            raise
        _forget(self._tar)
        self._sums.write(f"{reader.digest.hexdigest()}  {name}\n".encode())


class ArchiveReader:
    """Reads the members of a backup in order."""

    def __init__(self, path: Path, *, progress: Callable[[int], None]) -> None:
        self._path = path
        #: called with the number of bytes read
        self._progress = progress

    def heads(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Yield the name of each file, and the file itself.

        Raises:
            BackupBrokenError: it is no backup, or is damaged.
        """
        with self._opened() as (tar, _):
            for member in _members(tar):
                if member.isreg():
                    file = tar.extractfile(member)
                    assert file is not None
                    yield member.name, file

    def extract(self, folder: Path) -> None:
        """Extract the backup into a folder, and check its checksums.

        Nothing is written outside the folder, whatever names the archive has. The files get their
        times, and are not synced.

        Raises:
            BackupBrokenError: it is no backup, incomplete or damaged; discard the folder then.
            StoreWriteError: it cannot be written, `StoreFullError` if the disk is full.
        """
        with self._opened() as (tar, head), TemporaryFile() as computed:
            computed.write(f"{hashlib.sha256(head).hexdigest()}  {HEAD}\n".encode())
            for member in _members(tar):
                name = _safe_name(member)
                if name == SUMS:
                    checksums = tar.extractfile(member)
                    assert checksums is not None
                    self._compare(computed, checksums)
                    return
                path = folder / name
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if member.isdir():
                    path.mkdir(mode=0o700, exist_ok=True)
                else:
                    digest = self._write(tar, member, path)
                    computed.write(f"{digest}  {name}\n".encode())
        raise BackupBrokenError(f"{self._path} was cut off: its end is missing.")

    @contextmanager
    def _opened(self) -> Iterator[tuple[tarfile.TarFile, bytes]]:
        """Open the archive after its first member; return both."""
        try:
            with tarfile.open(self._path, "r:") as tar:
                first = tar.next()
                file = tar.extractfile(first) if first and first.name == HEAD else None
                if file is None:
                    raise BackupBrokenError(f"{self._path} is no backup of Blemish.")
                head = file.read()
                form = json.loads(head).get("format")
                if form != FORMAT:
                    raise BackupBrokenError(
                        f"{self._path} is a backup of format {form}, and this version of Blemish "
                        f"knows format {FORMAT} alone. Restore it with the version that made it."
                    )
                yield tar, head
        except tarfile.ReadError as error:
            raise BackupBrokenError(
                f"{self._path} is no backup of Blemish, or is damaged ({error})."
            ) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BackupBrokenError(f"{self._path} cannot be read ({reason}).") from error

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
        source = tar.extractfile(member)
        assert source is not None
        reader = _Hashing(source, self._progress)
        with clear_file_errors(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            while chunk := reader.read(CHUNK_BYTES):
                with clear_file_errors(path):
                    target.write(chunk)
            with clear_file_errors(path):
                target.flush()
            time_ns = _modified_ns(member)
            os.utime(descriptor, ns=(time_ns, time_ns))
        return reader.digest.hexdigest()

    def _compare(self, computed: IO[bytes], checksums: IO[bytes]) -> None:
        computed.seek(0)
        for ours, theirs in zip_longest(computed, checksums, fillvalue=b""):
            if ours != theirs:
                name = (theirs or ours).decode(errors="replace").partition("  ")[2].strip()
                raise BackupBrokenError(
                    f"{self._path} is damaged: {name or SUMS} is not what it was when it was "
                    "backed up. Nothing was restored."
                )


class _Hashing:
    """A file that computes its checksum while it is read."""

    def __init__(self, file: IO[bytes], progress: Callable[[int], None]) -> None:
        self._file = file
        self._progress = progress
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        self._progress(len(data))
        return data


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members after the first one."""
    while member := tar.next():
        _forget(tar)
        yield member


def _forget(tar: tarfile.TarFile) -> None:
    """Drop the list of members, of which there may be millions."""
    tar.members.clear()  # type: ignore[attr-defined]  # undocumented, but stable


def _safe_name(member: tarfile.TarInfo) -> str:
    parts = member.name.split("/")
    if not (member.isreg() or member.isdir()) or {"", ".", ".."} & set(parts):
        raise BackupBrokenError(f"A backup has no member like {member.name!r:.300}.")
    return member.name


def _modified_ns(member: tarfile.TarInfo) -> int:
    seconds, _, fraction = member.pax_headers.get("mtime", "0").partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0")[:9])


def _member(name: str, *, size: int, modified_ns: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    # as text, since a float is not exact; tarfile prefers it to its own
    seconds, nanoseconds = divmod(modified_ns, 10**9)
    member.pax_headers = {"mtime": f"{seconds}.{nanoseconds:09}"}
    return member
