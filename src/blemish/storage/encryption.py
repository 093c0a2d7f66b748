"""Envelope encryption of what the service keeps: sealed under a key, opened to memory alone.

Files and streams are messages of the AWS Encryption SDK, which any of its tools opens with the key.
Short texts, of which there are many and some are needed at the start, are sealed by AES-256-GCM
under a key derived from the same: the SDK takes half a second to import and a millisecond a text.

An encryption context says what a sealed thing is and whose. It is no secret, is bound to the thing,
and must be the same on opening: so no sealed thing can be put into the place of another.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from io import BytesIO
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from blemish.storage.errors import SealBrokenError
from blemish.storage.keyring import Key, Keyring
from blemish.storage.sealed_header import SealingKey, sealing_key

TEXT_FORMAT = "1"
_NONCE_BYTES = 12


class Encryption:
    """Seals and opens, under the keys of the keyring."""

    def __init__(self, keyring: Keyring, *, random_bytes: Callable[[int], bytes]) -> None:
        self._keyring = keyring
        self._random_bytes = random_bytes

    def seal(self, data: bytes | Iterable[bytes], *, context: Mapping[str, str]) -> Iterator[bytes]:
        """Seal bytes, in bounded memory, under the default key.

        Raises:
            KeyUnavailableError: the key is missing or damaged.
        """
        from blemish.storage import envelope

        keyring = envelope.local_keyring(self._keyring.default())
        chunks = [data] if isinstance(data, bytes) else data
        return envelope.seal(chunks, keyring=keyring, context=context)

    def open(self, file: BinaryIO, *, context: Mapping[str, str], name: str) -> Iterator[bytes]:
        """Open what was sealed, in bounded memory.

        Each piece is genuine when it is yielded, but that the end was cut off shows only there.

        Args:
            file: at its start; it can be sought in, and is the caller's to close.
            context: what it was sealed as.
            name: what messages call it.

        Raises:
            KeyUnavailableError: its key is missing, damaged or disabled.
            SealBrokenError: it is damaged, not sealed, or was sealed as something else.
        """
        from blemish.storage import envelope

        keyring = envelope.local_keyring(self._keyring.usable(_key_of(file, name).id))
        return envelope.open_sealed(file, keyring=keyring, context=context, name=name)

    def seal_bytes(self, data: bytes, *, context: Mapping[str, str]) -> bytes:
        """Seal bytes that are in memory; see `seal`."""
        return b"".join(self.seal(data, context=context))

    def open_bytes(self, sealed: bytes, *, context: Mapping[str, str], name: str) -> bytes:
        """Open bytes that are in memory, whole; see `open`."""
        with closing(BytesIO(sealed)) as file:
            return b"".join(self.open(file, context=context, name=name))

    def seal_text(self, text: str, *, context: Mapping[str, str]) -> str:
        """Seal a short text under the default key; what comes back names the key, see `text_key`.

        Raises:
            KeyUnavailableError: the key is missing or damaged.
        """
        key = self._keyring.default()
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = _cipher(key).encrypt(nonce, text.encode(), _canonical(context))
        return f"{TEXT_FORMAT}:{key.id}:{base64.b64encode(nonce + sealed).decode()}"

    def open_text(self, sealed: str, *, context: Mapping[str, str], name: str) -> str:
        """Open a short text; messages call it `name`.

        Raises:
            KeyUnavailableError: its key is missing, damaged or disabled.
            SealBrokenError: it is damaged, not sealed, or was sealed as something else.
        """
        key = self._keyring.usable(text_key(sealed, name=name))
        try:
            data = base64.b64decode(sealed.rpartition(":")[2], validate=True)
            nonce, rest = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
            return _cipher(key).decrypt(nonce, rest, _canonical(context)).decode()
        except (InvalidTag, ValueError):
            raise SealBrokenError(
                f"{name} cannot be opened: it is damaged, or was sealed as something else."
            ) from None


def text_key(sealed: str, *, name: str) -> str:
    """Return the id of the key that sealed a short text.

    Raises:
        SealBrokenError: it was not sealed by `Encryption.seal_text`.
    """
    form, _, rest = sealed.partition(":")
    key_id, colon, _ = rest.partition(":")
    if form != TEXT_FORMAT or not colon:
        raise SealBrokenError(f"{name} is not sealed in a form that is known here.")
    return key_id


def _key_of(file: BinaryIO, name: str) -> SealingKey:
    try:
        found = sealing_key(file)
    except ValueError as error:
        raise SealBrokenError(f"{name} is damaged: {error}.") from None
    if found is None:
        raise SealBrokenError(f"{name} is not sealed.")
    return found


def _cipher(key: Key) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"blemish short text 1")
    return AESGCM(derived.derive(key.secret))


def _canonical(context: Mapping[str, str]) -> bytes:
    return json.dumps(context, sort_keys=True, separators=(",", ":")).encode()
