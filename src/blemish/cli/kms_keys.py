"""`blemish keys kms`: the keys that seal what the server keeps; also beside a running server."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from blemish.domain.arns import ArnScope
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.encryption.keyring import Key, Keyring, KeyringError, new_key


def create_key(settings: Settings, alias: str) -> None:
    """Make a key and tell its names.

    Raises:
        KeyringError: there is no keyring, or no further key can have this alias.
        StorageError: the key cannot be written.
    """
    alias = alias.removeprefix("alias/")
    key = new_key(alias, random_bytes=secrets.token_bytes, now=datetime.now(UTC))
    _keyring(settings).add(key)
    arns = ArnScope(region=settings.region, account=settings.account)
    print(f"alias/{key.alias}\n{arns.kms(f'key/{key.id}')}")  # noqa: T201


def print_keys(settings: Settings) -> None:
    """Tell every key, oldest first, and which files are none.

    Raises:
        KeyringError: there is no keyring.
    """
    keyring = _keyring(settings)
    table = Table("key", "id", "status", "created")
    for key in keyring.held():
        created = key.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        table.add_row(f"alias/{key.alias}", key.id, _status(key), created)
    console = Console()
    console.print(table)
    for sentence in keyring.unreadable():
        console.print(sentence, highlight=False)


def set_key_enabled(settings: Settings, name: str, *, enabled: bool) -> None:
    """Allow or forbid the use of a key, by its alias or id.

    Raises:
        KeyringError: there is no such key, or it is the default one.
        StorageError: it cannot be written.
    """
    keyring = _keyring(settings)
    key = keyring.find(name.removeprefix("alias/"))
    if key is None:
        raise KeyringError(
            f"There is no key {name}. `blemish keys kms list` names those there are."
        )
    keyring.set_enabled(key, enabled=enabled)
    print(f"{key} is {'enabled' if enabled else 'disabled'}.")  # noqa: T201


def _keyring(settings: Settings) -> Keyring:
    directory = DataDirectory(settings.data_dir)
    if not directory.keyring.is_dir():
        raise KeyringError(
            f"{directory.root} has no keyring: it is no folder that a server was started on. "
            "Name one with --data-dir."
        )
    return Keyring(directory.keyring, staging=directory.staging)


def _status(key: Key) -> str:
    return "enabled" if key.enabled else "disabled"
