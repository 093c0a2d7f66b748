"""Files that survive a power cut: written aside, synced, renamed, their folder synced.

`staging` is everywhere a folder of ours on the same file system, where files wait until they are
whole, and trees until they are deleted. A crash leaves its remains there and nowhere else;
`clear_staging` removes them at the next start.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from blemish.storage.errors import StoreFullError, StoreWriteError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_durably(
    path: Path, data: bytes | Iterable[bytes], *, staging: Path, name: str | None = None
) -> None:
    """Write a file that is there whole, or not at all; it replaces one that is there.

    Folders that are missing are made; the file is for its owner alone (mode 0600). Messages call
    it `name`, if there is one, else by its path.

    Raises:
        StoreWriteError: it cannot be written; `StoreFullError` if for want of room. Nothing is
            left behind, and a file that was there is as it was.
    """
    name = name or str(path)
    with staged(data, staging=staging, name=name) as file:
        publish(file, path, name=name)


@contextmanager
def staged(data: bytes | Iterable[bytes], *, staging: Path, name: str) -> Iterator[Path]:
    """Write a file aside, synced; it is gone at the end of the context unless it was published.

    Raises:
        StoreWriteError: it cannot be written; `StoreFullError` if for want of room.
    """
    file = staging / uuid.uuid4().hex
    try:
        _write_synced(file, [data] if isinstance(data, bytes) else data, name=name)
        yield file
    finally:
        with suppress(OSError):
            file.unlink()


def publish(file: Path, path: Path, *, name: str) -> None:
    """Give a file that was written aside its final name, so that it survives a power cut.

    Raises:
        StoreWriteError: it cannot be done; folders made for it are gone again.
    """
    missing = _missing(path.parent)
    try:
        with clear_file_errors(name):
            _make_folders(missing)
            file.replace(path)
            sync_folder(path.parent)
    except BaseException:
        _remove_folders(missing)
        raise


def publish_folder(source: Path, target: Path) -> None:
    """Give a folder that is written, with all that is in it, its final name.

    Args:
        source: on the same file system as `target`.
        target: must not exist.

    Raises:
        StoreWriteError: it cannot be done; `target` is not there.
    """
    with clear_file_errors(target):
        for folder, _, names in os.walk(source, onerror=_raise):
            for name in names:
                _sync(Path(folder, name))
            sync_folder(Path(folder))
        if target.exists():
            raise FileExistsError(errno.EEXIST, "it exists already")
        _make_folders(_missing(target.parent))
        source.rename(target)
        sync_folder(target.parent)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole (mode 0600, synced), or not at all.

    Until the end of the context it lies beside `path`, with `.partial` after its name; what a crash
    left there is written over.

    Raises:
        StoreWriteError: there is such a file already, another process writes it, or it cannot be
            written; `StoreFullError` for want of room.
    """
    partial = path.with_name(f"{path.name}.partial")
    if path.exists():
        raise StoreWriteError(f"{path} is there already, and is not written over.")
    with clear_file_errors(path):
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            still_it = os.path.samestat(os.fstat(descriptor), partial.stat())
        except (BlockingIOError, FileNotFoundError):
            still_it = False
        if not still_it:
            raise StoreWriteError(f"{path} is being written by another process.")
        try:
            with clear_file_errors(path):
                file.truncate()
                yield file
                file.flush()
                os.fsync(descriptor)
                partial.rename(path)
                sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise


def remove_tree(path: Path, *, staging: Path) -> None:
    """Remove a file or a folder with all that is in it; at a crash it is there whole or gone.

    Raises:
        StoreWriteError: it cannot be removed.
    """
    doomed = staging / uuid.uuid4().hex
    with clear_file_errors(path):
        _make_folders(_missing(staging))
        try:
            path.rename(doomed)
        except FileNotFoundError:
            return
        sync_folder(path.parent)
        _delete(doomed)


def clear_staging(staging: Path) -> None:
    """Remove what a crash left behind; to be called while nobody writes."""
    with clear_file_errors(staging):
        _make_folders(_missing(staging))
        for remains in staging.iterdir():
            _delete(remains)


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk."""
    _sync(folder, os.O_DIRECTORY)


def _write_synced(path: Path, chunks: Iterable[bytes], *, name: str) -> None:
    with clear_file_errors(name):
        _make_folders(_missing(path.parent))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for chunk in chunks:  # an error in making a chunk is not one in writing it
            with clear_file_errors(name):
                _write_all(descriptor, chunk)
        with clear_file_errors(name):
            now_ns = time.time_ns()
            # finer than the clock of a file system: no two contents of a name have the same time
            os.utime(descriptor, ns=(now_ns, now_ns))
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _missing(folder: Path) -> list[Path]:
    """Return the folder and those above it that do not exist, outermost first."""
    return list(takewhile(lambda path: not path.exists(), (folder, *folder.parents)))[::-1]


def _make_folders(missing: list[Path]) -> None:
    for folder in missing:
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def _remove_folders(folders: list[Path]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):  # not made, or already another's
            folder.rmdir()


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def clear_file_errors(name: str | Path) -> Iterator[None]:
    """Say of a failure that it was in writing this.

    Raises:
        StoreWriteError: it cannot be written; `StoreFullError` if for want of room.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFullError(f"There is no room to write {name} ({error.strerror}).") from error
        raise StoreWriteError(f"{name} cannot be written ({error.strerror}).") from error
