"""Keyrings and encryption over a folder, with keys that are drawn from a number."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from blemish.domain.arns import ArnScope
from blemish.storage.encryption.encryption import Encryption
from blemish.storage.encryption.keyring import Key, Keyring
from blemish.storage.encryption.kms_address import KmsAddress

ARNS = ArnScope(region="eu-west-1", account="123456789012")


def key(number: int, *, alias: str = "default", enabled: bool = True) -> Key:
    """Return a key; a later one has a higher number."""
    return Key(
        id=str(UUID(int=number)),
        alias=alias,
        created_at=datetime(2026, 1, 1, 0, number, tzinfo=UTC),
        enabled=enabled,
        secret=random.Random(number).randbytes(32),
    )


def new_keyring(folder: Path) -> Keyring:
    """Make a keyring with a default key."""
    (folder / "keyring").mkdir(exist_ok=True)
    keyring = Keyring(folder / "keyring", staging=folder / "staging")
    keyring.settle(key(1))
    return keyring


def new_encryption(keyring: Keyring, *, kms: KmsAddress | None = None) -> Encryption:
    """Return encryption under the keys of a keyring."""
    return Encryption(keyring, arns=ARNS, kms=kms, random_bytes=random.Random(0).randbytes)
