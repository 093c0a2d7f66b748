"""What `blemish keys` does to the access keys of a data directory, whether it is served or not."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from blemish.domain.access.builtin_policies import BUILT_IN
from blemish.domain.entities import AccessKey
from blemish.server.aws_files import AwsFiles, credentials_text
from blemish.service.access.access_keys import FIRST_KEY, AccessKeyError, AccessKeys
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import database_address
from blemish.storage.database.database import Database
from blemish.storage.encryption.encryption import Encryption
from blemish.storage.encryption.keyring import Keyring

_COLUMNS = ("NAME", "ID", "STATUS", "POLICY", "TAGS", "CREATED")


class KeyDesk:
    """The access keys of a data directory, and the file that holds the first."""

    def __init__(self, keys: AccessKeys, files: AwsFiles) -> None:
        self._keys = keys
        self._files = files

    def create(self, name: str, *, policy: str, tags: list[str]) -> str:
        """Make a key; return the section of a credentials file for it."""
        pair = self._keys.draw()
        self._keys.create(name, pair, policy=_policy_text(policy), tags=_tags(tags))
        return credentials_text(name, pair)

    def rotate(self, name: str) -> str:
        """Give a key another id and secret; return the section of a credentials file for it."""
        pair = self._keys.draw()
        self._keys.named(name)
        if name == FIRST_KEY:
            self._files.write_key(pair)  # before it counts, so that it is never lost
        self._keys.rotate(name, pair)
        return credentials_text(name, pair)

    def set_enabled(self, name: str, *, enabled: bool) -> None:
        """Let a key count or not."""
        self._keys.set_enabled(name, enabled=enabled)

    def delete(self, name: str) -> None:
        """Delete a key."""
        self._keys.named(name)
        if name == FIRST_KEY:
            # before the key: a start that finds the file and no key would make it the first again
            self._files.remove_key()
        self._keys.delete(name)

    def policy(self, name: str) -> str:
        """Return the policy document of a key."""
        policy = self._keys.named(name).policy
        return BUILT_IN.get(policy, policy)

    def set_policy(self, name: str, policy: str) -> None:
        """Give a key another policy."""
        self._keys.set_policy(name, _policy_text(policy))

    def table(self) -> str:
        """Return the keys as lines for people, without any secret."""
        lines: list[tuple[str, ...]] = [_COLUMNS, *(_cells(key) for key in self._keys.all())]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in lines)


@contextmanager
def key_desk(settings: Settings) -> Iterator[KeyDesk]:
    """Open the access keys of a data directory.

    Raises:
        StorageError: it is none, or belongs to another version.
    """
    directory = DataDirectory(settings.data_dir)
    database = Database.open_current(database_address(settings, directory))
    try:
        keyring = Keyring(directory.keyring, staging=directory.staging)
        keys = AccessKeys(
            database,
            encryption=Encryption(keyring, random_bytes=secrets.token_bytes),
            now=lambda: datetime.now(UTC),
            random_bytes=secrets.token_bytes,
        )
        yield KeyDesk(keys, AwsFiles(directory.aws, staging=directory.staging))
    finally:
        database.close()


def _policy_text(policy: str) -> str:
    """Return the document in a file, or the name of a built-in policy."""
    if policy in BUILT_IN:
        return policy
    try:
        return Path(policy).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise AccessKeyError(
            f"--policy must be {' or '.join(BUILT_IN)}, or a file with a policy document: "
            f"{policy} cannot be read ({reason})."
        ) from None


def _tags(texts: list[str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key in tags:
            raise AccessKeyError(f"--tag must be KEY=VALUE, each key once, not {text!r:.300}.")
        tags[key] = value
    return tags


def _cells(key: AccessKey) -> tuple[str, ...]:
    return (
        key.name,
        key.id,
        "enabled" if key.enabled else "disabled",
        key.policy if key.policy in BUILT_IN else "own",
        ",".join(f"{name}={value}" for name, value in sorted(key.tags.items())) or "-",
        f"{key.created_at:%Y-%m-%dT%H:%M:%SZ}",
    )
