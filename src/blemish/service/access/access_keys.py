"""Creating and changing access keys. Secrets are shown once and stored sealed."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from blemish.domain.access.builtin_policies import policy_of
from blemish.domain.entities import AccessKey, KeyPair
from blemish.domain.errors import ServiceError
from blemish.domain.tags import check_tag_keys
from blemish.service.access.authentication import opened_secret, sealed_secret
from blemish.service.access.holder_names import HolderNameError, check_holder_name
from blemish.storage.database.database import Database
from blemish.storage.encryption.encryption import Encryption
from blemish.storage.errors import EncryptionError
from blemish.storage.rows.all_rows import Rows

FIRST_KEY = "first"
"""Name of the key that a new server creates and writes to a file in its data directory."""

KEY_ID_PREFIX = "BLEM"
"""Prefix of access key ids, which no key of AWS has."""

MAX_TAGS = 50
"""Tags of an IAM user. Source: AWS IAM User Guide, "IAM and AWS STS quotas"."""

TAG_TEXT = re.compile(r"[\w\s.:/=+@-]*")
"""Letters, digits, spaces and some signs. Source: AWS IAM User Guide, "Tags for IAM resources"."""


class AccessKeyError(Exception):
    """A key cannot be created or changed; the message says why."""


class AccessKeys:
    """The access keys of a server, running or not."""

    def __init__(
        self,
        database: Database,
        *,
        encryption: Encryption,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._encryption = encryption
        self._now = now
        self._random_bytes = random_bytes

    def any(self) -> bool:
        """Return whether anyone can sign a request, or could if a key were enabled."""
        with self._database.reading() as rows:
            return rows.keys.any()

    def all(self) -> list[AccessKey]:
        """Return the access keys, oldest first."""
        with self._database.reading() as rows:
            return rows.keys.all()

    def named(self, name: str) -> AccessKey:
        """Return the access key of this name.

        Raises:
            AccessKeyError: it does not exist.
        """
        with self._database.reading() as rows:
            return _require(rows, name)

    def draw(self) -> KeyPair:
        """Return a random id and secret for a key."""
        return KeyPair(
            id=KEY_ID_PREFIX + base64.b32encode(self._random_bytes(10)).decode(),
            secret=base64.b64encode(self._random_bytes(30)).decode(),
        )

    def create(self, name: str, pair: KeyPair, *, policy: str, tags: Mapping[str, str]) -> None:
        """Create a key.

        Args:
            name: name of the holder.
            pair: id and secret.
            policy: a policy document, or the name of a built-in one.
            tags: tags of the holder.

        Raises:
            AccessKeyError: the name is taken, or name or tags are not allowed.
            PolicyError: the policy is not valid.
            EncryptionError: the secret cannot be sealed.
        """
        _check_tags(tags)
        policy_of(policy)
        key = AccessKey(
            id=pair.id,
            sealed_secret=self._sealed(pair),
            name=name,
            policy=policy,
            tags=tags,
            enabled=True,
            created_at=self._now(),
        )
        with self._database.writing() as rows:
            try:
                check_holder_name(rows, name, kind="access key")
            except HolderNameError as error:
                raise AccessKeyError(str(error)) from None
            rows.keys.add(key)

    def rotate(self, name: str, pair: KeyPair) -> None:
        """Replace the id and the secret of a key.

        Raises:
            AccessKeyError: the key does not exist.
            EncryptionError: the secret cannot be sealed.
        """
        sealed = self._sealed(pair)
        with self._changing(name) as (rows, key):
            rows.keys.replace(replace(key, id=pair.id, sealed_secret=sealed))
            rows.sessions.delete_of(key.id)

    def set_enabled(self, name: str, *, enabled: bool) -> None:
        """Enable or disable a key; a disabled key ends its sessions for good.

        Raises:
            AccessKeyError: the key does not exist.
        """
        with self._changing(name) as (rows, key):
            rows.keys.replace(replace(key, enabled=enabled))
            if not enabled:
                rows.sessions.delete_of(key.id)

    def set_policy(self, name: str, policy: str) -> None:
        """Replace the policy of a key.

        Raises:
            AccessKeyError: the key does not exist.
            PolicyError: the policy is not valid.
        """
        policy_of(policy)
        with self._changing(name) as (rows, key):
            rows.keys.replace(replace(key, policy=policy))

    def delete(self, name: str) -> None:
        """Delete a key.

        Raises:
            AccessKeyError: the key does not exist.
        """
        with self._changing(name) as (rows, key):
            rows.keys.delete(key)
            rows.sessions.delete_of(key.id)

    def seal_plain(self) -> None:
        """Seal secrets that an earlier version stored in plain text, and erase the plain text.

        Raises:
            EncryptionError: they cannot be sealed.
        """
        with self._database.writing() as rows:
            plain = [key for key in rows.keys.all() if ":" not in key.sealed_secret]
            for key in plain:
                sealed = sealed_secret(key.id, key.sealed_secret, self._encryption)
                rows.keys.replace(replace(key, sealed_secret=sealed))
        if plain:
            self._database.shorten_log(0)

    def is_lost(self, key: AccessKey) -> bool:
        """Return whether the secret of a key cannot be opened any more."""
        try:
            opened_secret(key, self._encryption)
        except EncryptionError:
            return True
        return False

    def _sealed(self, pair: KeyPair) -> str:
        return sealed_secret(pair.id, pair.secret, self._encryption)

    @contextmanager
    def _changing(self, name: str) -> Iterator[tuple[Rows, AccessKey]]:
        with self._database.writing() as rows:
            yield rows, _require(rows, name)


def _require(rows: Rows, name: str) -> AccessKey:
    key = rows.keys.named(name)
    if key is None:
        known = ", ".join(key.name for key in rows.keys.all()) or "none"
        raise AccessKeyError(f"There is no access key named {name}. There are: {known}.")
    return key


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise AccessKeyError(f"{len(tags)} tags are too many; a key can have {MAX_TAGS}.")
    try:
        check_tag_keys(list(tags))
    except ServiceError as error:
        raise AccessKeyError(error.message) from None
    for key, value in tags.items():
        for text, least, most in ((key, 1, 128), (value, 0, 256)):
            if not (least <= len(text) <= most and TAG_TEXT.fullmatch(text)):
                raise AccessKeyError(
                    f"The tag {key!r:.200}={value!r:.300} is not allowed: a key has 1 to 128, a "
                    "value up to 256 letters, digits, spaces and signs of . : / = + - @ _"
                )
