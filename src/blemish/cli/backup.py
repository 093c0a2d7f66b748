"""`blemish backup` and `blemish restore`: a data directory as one file, and back."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from blemish.server.stores import shared_files_of_settings
from blemish.settings import Settings
from blemish.storage.backup.backup import Backup
from blemish.storage.backup.restore import Restore, Sealed, missing_keys
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import database_address
from blemish.storage.encryption.key_file import check_passphrase, open_keys, seal_keys
from blemish.storage.encryption.sealed_header import LOCAL_PROVIDER
from blemish.storage.errors import BackupError
from blemish.storage.files import new_file

SHOWN = 5
"""Of the things that a key opens, as many as are named."""


def back_up(
    settings: Settings,
    to: Path,
    *,
    with_objects: bool,
    with_keys: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Write a backup, and say what is in it and what is not.

    Raises:
        StorageError: it cannot be made; nothing is left of it.
    """
    console = Console(highlight=False, soft_wrap=True)
    now = datetime.now(UTC)
    if to.is_dir():
        to /= f"blemish-{now:%Y%m%dT%H%M%SZ}.tar"
    directory = DataDirectory(settings.data_dir)
    address = database_address(settings, directory)
    shared = shared_files_of_settings(settings, directory) or ()
    backup = Backup(directory, database=address, with_objects=with_objects, shared=shared)
    with ExitStack() as stack:
        if with_keys:
            passphrase = _passphrase(passphrase_file, name=with_keys, new=True)
            check_passphrase(passphrase)
            sealed = stack.enter_context(new_file(with_keys))
        with _progress("Backing up", total=backup.size_bytes()) as progress:
            backup.write(to, version=version("blemish"), now=now, progress=progress)
        if with_keys:  # after the rows: so it has every key that they need
            keys = {path.name: path.read_bytes() for path in directory.keyring.glob("*.json")}
            sealed.write(seal_keys(keys, passphrase, random_bytes=secrets.token_bytes))
    console.print(f"Backed up {directory.root} to {to} ({decimal(to.stat().st_size)}).")
    if not with_objects:
        console.print(f"Not in it: {_buckets_left_out(settings, directory)}")
    console.print(f"Not in it: {directory.aws}, which holds the secret of the first access key.")
    if with_keys:
        console.print(f"The keys are in {with_keys}, under the passphrase. Keep it elsewhere.")
    else:
        console.print(
            f"Not in it: {directory.keyring}, without which models and access keys stay sealed. "
            "Keep a copy of it elsewhere; --with-keys makes one under a passphrase."
        )


def restore_backup(
    archive: Path,
    settings: Settings,
    *,
    with_keys: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Restore a backup; say first which keys are missing.

    Raises:
        DirectoryBusyError: another process uses the data directory.
        StorageError: it cannot be done; the data directory is as empty as it was.
    """
    console = Console(highlight=False, soft_wrap=True)
    keys = _opened_keys(with_keys, passphrase_file) if with_keys else {}
    directory = DataDirectory(settings.data_dir)
    total = archive.stat().st_size if archive.is_file() else None
    with _progress("Restoring", total=total) as progress:
        address = database_address(settings, directory)
        run = Restore(archive, directory, database=address, progress=progress)
        with run.started():
            sealed = run.sealed()
            _tell_of_keys(console, sealed, keys, directory)
            run.carry_out(keys=keys)
    console.print(f"Restored {archive} to {directory.root}.")
    console.print(
        f"{directory.aws} was not in it: clients sign with the access keys that they have."
    )


def _buckets_left_out(settings: Settings, directory: DataDirectory) -> str:
    """Return where the buckets are, and how they are backed up."""
    if settings.s3_endpoint is not None:
        return f"the buckets, which are in {settings.s3_endpoint}. Back them up there."
    return f"{directory.buckets}; --with-objects takes it along."


def _tell_of_keys(
    console: Console,
    sealed: Sequence[Sealed],
    keys: Mapping[str, bytes],
    directory: DataDirectory,
) -> None:
    for sealing in missing_keys(sealed, keys):
        console.print(
            f"The key {sealing.key.id} is missing, which opens {_listed(sealing.opens)}. They stay "
            f"sealed until its file is put into {directory.keyring}."
        )
    for sealing in sealed:
        if sealing.key.provider != LOCAL_PROVIDER:
            console.print(
                f"AWS KMS must lend the key {sealing.key.id}, for {_listed(sealing.opens)}."
            )


def _listed(things: Sequence[str]) -> str:
    more = len(things) - SHOWN
    return ", ".join(things[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _opened_keys(with_keys: Path, passphrase_file: Path | None) -> dict[str, bytes]:
    try:
        data = with_keys.read_bytes()
    except OSError as error:
        raise BackupError(f"{with_keys} cannot be read ({error.strerror}).") from error
    passphrase = _passphrase(passphrase_file, name=with_keys, new=False)
    return open_keys(data, passphrase, name=str(with_keys))


def _passphrase(file: Path | None, *, name: Path, new: bool) -> str:
    if file:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise BackupError(f"{file} cannot be read ({reason}).") from error
    if not sys.stdin.isatty():
        raise BackupError(f"The passphrase of {name}: give it by --passphrase-file.")
    answer: str = typer.prompt(
        f"Passphrase of {name}", hide_input=True, confirmation_prompt=new, err=True
    )
    return answer


@contextmanager
def _progress(what: str, *, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many bytes are through."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda size: progress.advance(task, size)
