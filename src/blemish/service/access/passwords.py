"""Hashes of passwords, by Argon2id.

A hash names its own parameters, so they can grow without a change of what is stored.
"""

from __future__ import annotations

import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MEMORY_KIB, ITERATIONS, LANES = 19 * 1024, 2, 1
"""Memory and work of one hash. Source: OWASP, "Password Storage Cheat Sheet"."""

SALT_BYTES, HASH_BYTES = 16, 32

MIN_CHARACTERS, MAX_CHARACTERS = 12, 256


class PasswordError(Exception):
    """A password is not good enough, or not the right one; the message says why."""


def check_password(password: str) -> None:
    """Refuse a password that is too short or too long.

    Raises:
        PasswordError: it is.
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise PasswordError(
            f"A password must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters; this one has "
            f"{len(password)}."
        )


def password_hash(password: str, *, salt: bytes) -> str:
    """Return the hash of a password, with its parameters and its salt, as text."""
    function = Argon2id(
        salt=salt, length=HASH_BYTES, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB
    )
    return function.derive_phc_encoded(_bytes(password))


def is_password(password: str, stored_hash: str | None) -> bool:
    """Return whether a hash is that of a password; without a hash, after the same time."""
    if stored_hash is None:
        password_hash(password, salt=bytes(SALT_BYTES))
        return False
    try:
        Argon2id.verify_phc_encoded(_bytes(password), stored_hash)
    except InvalidKey:
        return False
    return True


def _bytes(password: str) -> bytes:
    """Return the bytes of a password, the same from every keyboard.

    Source: NIST SP 800-63B, "Password Verifiers".
    """
    return unicodedata.normalize("NFKC", password).encode(errors="replace")
