"""Files that survive a power cut.

A file is written into `staging`, synced and renamed; then its folder is synced. `staging` is always
a private folder on the same file system. A crash leaves incomplete files only there, and
`clear_staging` removes them at the next start.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
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
    """Write or replace a file atomically.

    Missing folders are created. Only the owner can read the file (mode 0600). Messages use `name`,
    or the path without one.

    Raises:
        StoreWriteError: it cannot be written, `StoreFullError` if the disk is full. An existing
            file stays as it was.
    """
    name = name or str(path)
    with staged(data, staging=staging, name=name) as file:
        publish(file, path, name=name)


@contextmanager
def staged(data: bytes | Iterable[bytes], *, staging: Path, name: str) -> Iterator[Path]:
    """Write a file into `staging`; delete it at the end of the context unless it was published.

    Raises:
        StoreWriteError: it cannot be written, `StoreFullError` if the disk is full.
    """
    file = staging / uuid.uuid4().hex
    try:
        _write_synced(file, [data] if isinstance(data, bytes) else data, name=name)
        yield file
    finally:
        with suppress(OSError):
            file.unlink()


def publish(file: Path, path: Path, *, name: str) -> None:
    """Rename a staged file to its final name, durably.

    Raises:
        StoreWriteError: it cannot be renamed; folders created for it are removed.
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
    """Rename a complete folder to its final name, durably.

    Args:
        source: on the same file system as `target`.
        target: must not exist.

    Raises:
        StoreWriteError: it cannot be renamed; `target` does not exist.
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
    """Write a new file atomically (mode 0600, synced).

    Until the end of the context it is named `path` plus `.partial`. A `.partial` file of a crash is
    overwritten.

    Raises:
        StoreWriteError: the file exists, another process writes it, or it cannot be written;
            `StoreFullError` if the disk is full.
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


def make_own_file(path: Path) -> None:
    """Make an empty file for its owner alone (mode 0600), in place of a file or link of a crash.

    Raises:
        OSError: it cannot be made.
    """
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def size_of_file(path: Path) -> int:
    """Return the bytes of a file; 0 if it is deleted now, or is no regular file."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def remove_tree(path: Path, *, staging: Path) -> None:
    """Remove a file or a folder with its content; a crash leaves all of it or nothing.

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


def move_aside(path: Path, folder: Path) -> None:
    """Move a file or folder into another folder on the same file system, which is created.

    Raises:
        StoreWriteError: it cannot be moved.
    """
    with clear_file_errors(path):
        _make_folders(_missing(folder))
        try:
            path.rename(folder / path.name)
        except FileNotFoundError:
            return
        sync_folder(folder)
        sync_folder(path.parent)


def clear_staging(staging: Path) -> None:
    """Remove what a crash left behind. Call it while nothing is being written."""
    with clear_file_errors(staging):
        _make_folders(_missing(staging))
        for remains in staging.iterdir():
            _delete(remains)


def keep_owner(descriptor: int, folder: Path) -> None:
    """Give a new file or folder of root to the owner of its folder, so that the server can use it.

    Args:
        descriptor: of the new file; a name could be exchanged meanwhile.
        folder: the one that it is in.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def make_own_folder(folder: Path) -> None:
    """Make a folder for its owner alone, unless it exists; root gives it to its parent's owner."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if folder.is_dir():
            return
        raise
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        keep_owner(descriptor, folder.parent)
    finally:
        os.close(descriptor)


def special_file(folders: Iterable[tuple[Path, int]]) -> Path | None:
    """Return a pipe, a socket or a device, whose opening may never end; None if there is none.

    Args:
        folders: each with how deep to look below it.
    """
    for folder, depth in folders:
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below = special_file([(Path(entry.path), depth - 1)]) if depth else None
                    if below is not None:
                        return below
                elif not entry.is_file(follow_symlinks=False) and _is_special(Path(entry.path)):
                    return Path(entry.path)
    return None


def _is_special(path: Path) -> bool:
    """Return whether a path, or what it leads to, is neither a file nor a folder."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk."""
    _sync(folder, os.O_DIRECTORY)


def _write_synced(path: Path, chunks: Iterable[bytes], *, name: str) -> None:
    with clear_file_errors(name):
        _make_folders(_missing(path.parent))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with clear_file_errors(name):
            keep_owner(descriptor, path.parent)
        for chunk in chunks:  # an error of the iterable is no write error
            with clear_file_errors(name):
                _write_all(descriptor, chunk)
        with clear_file_errors(name):
            now_ns = time.time_ns()
            # finer than the file system's clock, so that no two contents have the same time
            os.utime(descriptor, ns=(now_ns, now_ns))
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _missing(folder: Path) -> list[Path]:
    """Return the folder and its parents that do not exist, outermost first."""
    return list(takewhile(lambda path: not path.exists(), (folder, *folder.parents)))[::-1]


def _make_folders(missing: list[Path]) -> None:
    for folder in missing:
        make_own_folder(folder)
        sync_folder(folder.parent)


def _remove_folders(folders: list[Path]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):  # it was not created, or is in use
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
    """Turn errors of the operating system into errors that name the file.

    Raises:
        StoreWriteError: it cannot be written, `StoreFullError` if the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFullError(f"There is no room to write {name} ({error.strerror}).") from error
        raise StoreWriteError(f"{name} cannot be written ({error.strerror}).") from error
