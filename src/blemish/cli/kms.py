"""The command line: `blemish keys kms`, the keys that seal what a server keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from blemish.cli.exits import end, settings_of
from blemish.settings import Settings
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

    with _audited(data_dir, "CreateSealingKey", Alias=alias) as settings:
        create_key(settings, alias)


@kms.command("list")
def list_sealing_keys(*, data_dir: DataDirOption = None) -> None:
    """Show the keys and whether they may be used."""
    from blemish.cli.kms_keys import print_keys

    with _audited(data_dir, "ListSealingKeys") as settings:
        print_keys(settings)


@kms.command("disable")
def disable_sealing_key(name: KeyArgument, *, data_dir: DataDirOption = None) -> None:
    """Forbid the use of a key: what it sealed opens no more."""
    from blemish.cli.kms_keys import set_key_enabled

    with _audited(data_dir, "DisableSealingKey", Key=name) as settings:
        set_key_enabled(settings, name, enabled=False)


@kms.command("enable")
def enable_sealing_key(name: KeyArgument, *, data_dir: DataDirOption = None) -> None:
    """Allow the use of a key again."""
    from blemish.cli.kms_keys import set_key_enabled

    with _audited(data_dir, "EnableSealingKey", Key=name) as settings:
        set_key_enabled(settings, name, enabled=True)


@contextmanager
def _audited(data_dir: Path | None, event: str, **members: str) -> Iterator[Settings]:
    from blemish.cli.audited import audited_command
    from blemish.storage.encryption.keyring import KeyringError

    settings = settings_of(data_dir=data_dir)
    try:
        with audited_command(settings, event, **members):
            yield settings
    except (KeyringError, StorageError) as error:
        end(str(error))
