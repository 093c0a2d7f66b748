"""The keyring in one file, sealed under a passphrase.

The file is JSON: the parameters of scrypt, a nonce, and the sealed keys (AES-256-GCM), in base64.
The seal authenticates the other fields.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from blemish.storage.encryption.keyring import KEY_ID
from blemish.storage.errors import BackupError

FORMAT = "blemish keyring 1"
WORK = {"n": 2**17, "r": 8, "p": 1}
"""Each guess takes 128 MB and about half a second.

Source: OWASP, "Password Storage Cheat Sheet".
"""

MIN_LENGTH = 12
"""Shortest passphrase, in characters. Only the passphrase protects the file."""


def check_passphrase(passphrase: str) -> None:
    """Check that a passphrase is long enough.

    Raises:
        BackupError: it is not.
    """
    if len(passphrase) < MIN_LENGTH:
        raise BackupError(
            f"The passphrase has {len(passphrase)} characters; it needs at least {MIN_LENGTH}."
        )


def seal_keys(
    keys: Mapping[str, bytes], passphrase: str, *, random_bytes: Callable[[int], bytes]
) -> bytes:
    """Seal the files of a keyring, by name, under a checked passphrase."""
    salt, nonce = random_bytes(16), random_bytes(12)
    head = {"format": FORMAT, "scrypt": {**WORK, "salt": _text(salt)}, "nonce": _text(nonce)}
    content = json.dumps({name: _text(data) for name, data in keys.items()}).encode()
    sealed = AESGCM(_derived(passphrase, salt)).encrypt(nonce, content, _bound(head))
    return (json.dumps({**head, "sealed": _text(sealed)}, indent=2) + "\n").encode()


def open_keys(data: bytes, passphrase: str, *, name: str) -> dict[str, bytes]:
    """Open the result of `seal_keys`; `name` is its name in messages.

    Raises:
        BackupError: the passphrase is wrong, or the file is damaged or no key file.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        sealed = base64.b64decode(document.pop("sealed"), validate=True)
        salt, nonce = (
            base64.b64decode(text, validate=True)
            for text in (document["scrypt"].pop("salt"), document["nonce"])
        )
        if document["format"] != FORMAT or document["scrypt"] != WORK:
            raise ValueError("another format")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise BackupError(f"{name} is no file of sealed keys that is known here.") from None
    document["scrypt"] = {**WORK, "salt": _text(salt)}
    try:
        content = AESGCM(_derived(passphrase, salt)).decrypt(nonce, sealed, _bound(document))
    except (InvalidTag, ValueError):
        raise BackupError(
            f"{name} cannot be opened: the passphrase is another, or the file is damaged."
        ) from None
    keys = {key: base64.b64decode(text) for key, text in json.loads(content).items()}
    if strange := [key for key in keys if not KEY_ID.fullmatch(key.removesuffix(".json"))]:
        raise BackupError(f"{name} holds {strange[0]!r:.100}, which is no key.")
    return keys


def _derived(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, **WORK).derive(passphrase.encode())


def _bound(head: Mapping[str, Any]) -> bytes:
    return json.dumps(head, sort_keys=True).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
