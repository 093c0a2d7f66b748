"""DIR/keyring: a file for each key.

A key file is JSON that only its owner can read. Everyone with the folder can open sealed data;
without a key file, the data of its key stays closed until the file is put back. A key file is read
every time its key is needed, so that changes by the command line take effect at once.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from blemish.storage.errors import KeyUnavailableError
from blemish.storage.files import write_durably

DEFAULT = "default"
"""Alias of the key that is used if none is named."""

ALIAS = re.compile(r"[A-Za-z0-9/_-]{1,250}")
KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECRET_BYTES = 32


class KeyringError(ValueError):
    """A change of the keyring is not allowed; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key, enabled or not."""

    #: a UUID
    id: str
    alias: str
    created_at: datetime
    enabled: bool
    #: `SECRET_BYTES` bytes
    secret: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"alias/{self.alias} ({self.id})"


def new_key(alias: str, *, random_bytes: Callable[[int], bytes], now: datetime) -> Key:
    """Return a new random key, which is in no keyring yet."""
    return Key(
        id=str(UUID(bytes=random_bytes(16), version=4)),
        alias=alias,
        created_at=now,
        enabled=True,
        secret=random_bytes(SECRET_BYTES),
    )


class Keyring:
    """The keys in a folder."""

    def __init__(self, folder: Path, *, staging: Path) -> None:
        self.folder = folder
        self._staging = staging

    def held(self) -> list[Key]:
        """Return the keys whose files can be read, oldest first."""
        keys = []
        for path in self.folder.glob("*.json"):
            try:
                keys.append(self._read(path.stem))
            except KeyUnavailableError:
                continue  # its users get an error that names it
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    def unreadable(self) -> list[str]:
        """Return an error message for each key file that cannot be read."""
        sentences = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                self._read(path.stem)
            except KeyUnavailableError as error:
                sentences.append(str(error))
        return sentences

    def usable(self, key_id: str) -> Key:
        """Return the key of this id.

        Raises:
            KeyUnavailableError: it is missing, damaged or disabled.
        """
        key = self._read(key_id)
        if not key.enabled:
            raise KeyUnavailableError(
                f"The key {key} is disabled. `blemish keys kms enable {key.alias}` enables it."
            )
        return key

    def default(self) -> Key:
        """Return the default key.

        There are several if a lost key file was put back: then the newest one counts.

        Raises:
            KeyUnavailableError: it does not exist.
        """
        keys = [key for key in self.held() if key.alias == DEFAULT]
        if not keys:
            raise KeyUnavailableError(
                f"The key alias/{DEFAULT} is missing from {self.folder}. Put its file back, or "
                "start the server again, which makes a new one."
            )
        return keys[-1]

    def find(self, name: str) -> Key | None:
        """Return the key of this alias or id, enabled or not; the newest if there are several."""
        keys = [key for key in self.held() if name in {key.alias, key.id}]
        return keys[-1] if keys else None

    def settle(self, key: Key) -> None:
        """Add `key` as the default key, if there is none."""
        with self._alone():
            if self.find(DEFAULT) is None:
                self._write(replace(key, alias=DEFAULT))

    def add(self, key: Key) -> None:
        """Add a key durably.

        Raises:
            KeyringError: the alias is not allowed or taken.
        """
        if not ALIAS.fullmatch(key.alias):
            raise KeyringError(
                f"{key.alias!r} cannot be an alias: it must have 1 to 250 letters, digits, "
                "hyphens, underscores and slashes."
            )
        with self._alone():
            if key.alias == DEFAULT or self.find(key.alias):
                raise KeyringError(f"There is a key with the alias {key.alias} already.")
            self._write(key)

    def set_enabled(self, key: Key, *, enabled: bool) -> None:
        """Enable or disable a key.

        Raises:
            KeyringError: it is a default key.
        """
        if key.alias == DEFAULT:
            raise KeyringError(
                f"The key {key} seals what names no other, secrets among it, and stays enabled."
            )
        with self._alone():
            self._write(replace(self._read(key.id), enabled=enabled))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the keyring against changes by other processes."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, key_id: str) -> Path:
        return self.folder / f"{key_id}.json"

    def _write(self, key: Key) -> None:
        document = {
            "id": key.id,
            "alias": key.alias,
            "created_at": key.created_at.isoformat(),
            "enabled": key.enabled,
            "secret": base64.b64encode(key.secret).decode(),
        }
        text = json.dumps(document, indent=2) + "\n"
        # a folder that is mounted is on another disk, and a file cannot be renamed across them
        is_mounted = self.folder.is_mount()
        staging = self.folder if is_mounted else self._staging
        write_durably(self._path(key.id), text.encode(), staging=staging)

    def _read(self, key_id: str) -> Key:
        if not KEY_ID.fullmatch(
            key_id
        ):  # the id comes from sealed data: it must not lead out of the folder
            raise KeyUnavailableError(f"The keyring has no key {key_id!r}: that is no key's id.")
        path = self._path(key_id)
        try:
            document = json.loads(path.read_bytes())
            key = Key(
                id=str(document["id"]),
                alias=str(document["alias"]),
                created_at=datetime.fromisoformat(document["created_at"]),
                enabled=document["enabled"] is True,
                secret=base64.b64decode(document["secret"], validate=True),
            )
        except FileNotFoundError:
            raise KeyUnavailableError(
                f"The key {key_id} is missing from the keyring: put its file {path} back."
            ) from None
        except OSError as error:
            raise KeyUnavailableError(
                f"The key {key_id} cannot be read from {path} ({error.strerror})."
            ) from None
        except (ValueError, LookupError, TypeError):  # the error may show a part of the key
            raise KeyUnavailableError(f"The key file {path} is damaged.") from None
        if key.id != key_id or len(key.secret) != SECRET_BYTES or key.created_at.tzinfo is None:
            raise KeyUnavailableError(f"The key file {path} is damaged.")
        return key
