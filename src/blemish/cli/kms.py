"""The command line: `blemish keys kms`, the keys that seal what a server keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from blemish.cli.exits import end, settings_of
from blemish.storage.errors import StorageError

kms = typer.Typer(
    no_args_is_help=True,
    help="What seals that which a server keeps. What is changed counts at once.",
)

KeyArgument = Annotated[str, typer.Argument(help="Alias or id of the key.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Folder of the server's data.")]


@kms.command("create")
def create_sealing_key(
    alias: Annotated[str, typer.Argument(help="Name of the key.")],
    *,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key that CreateModel can name as KmsKeyId."""
    from blemish.cli.kms_keys import create_key

    with _clear_errors():
        create_key(settings_of(data_dir=data_dir), alias)


@kms.command("list")
def list_sealing_keys(*, data_dir: DataDirOption = None) -> None:
    """Show the keys and whether they may be used."""
    from blemish.cli.kms_keys import print_keys

    with _clear_errors():
        print_keys(settings_of(data_dir=data_dir))


@kms.command("disable")
def disable_sealing_key(name: KeyArgument, *, data_dir: DataDirOption = None) -> None:
    """Forbid the use of a key: what it sealed opens no more."""
    from blemish.cli.kms_keys import set_key_enabled

    with _clear_errors():
        set_key_enabled(settings_of(data_dir=data_dir), name, enabled=False)


@kms.command("enable")
def enable_sealing_key(name: KeyArgument, *, data_dir: DataDirOption = None) -> None:
    """Allow the use of a key again."""
    from blemish.cli.kms_keys import set_key_enabled

    with _clear_errors():
        set_key_enabled(settings_of(data_dir=data_dir), name, enabled=True)


@contextmanager
def _clear_errors() -> Iterator[None]:
    from blemish.storage.encryption.keyring import KeyringError

    try:
        yield
    except (KeyringError, StorageError) as error:
        end(str(error))
