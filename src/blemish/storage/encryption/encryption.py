"""Envelope encryption: sealing data under a key, and opening it in memory.

Files and streams are messages of the AWS Encryption SDK, whose tools open them with the key. Short
texts are sealed by AES-256-GCM under a derived key, because the SDK takes half a second to import
and a millisecond for each text.

An encryption context says what the data is and to which resource it belongs. It is not secret. Data
opens only under the context it was sealed with, so sealed files cannot be swapped.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from blemish.domain.arns import ArnScope
from blemish.storage.encryption.keyring import Key, Keyring
from blemish.storage.encryption.kms_address import KmsAddress
from blemish.storage.encryption.sealed_header import LOCAL_PROVIDER, SealingKey, sealing_key
from blemish.storage.errors import KeyUnavailableError, SealBrokenError

ALIAS_PREFIX = "alias/"
TEXT_FORMAT = "1"
_NONCE_BYTES = 12


class Encryption:
    """Seals and opens data under keys of the keyring or, if a setting allows it, of AWS KMS."""

    def __init__(
        self,
        keyring: Keyring,
        *,
        arns: ArnScope | None = None,
        kms: KmsAddress | None = None,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Without `arns`, no key can be named, and the default one is used."""
        self._keyring = keyring
        self._arns = arns
        self._kms = kms
        self._random_bytes = random_bytes

    @property
    def connection(self) -> dict[str, Any]:
        """JSON without secrets, with which another process opens the same encryption."""
        assert self._arns is not None
        return {
            "keyring": str(self._keyring.folder),
            "arns": asdict(self._arns),
            "kms": self._kms and asdict(self._kms),
        }

    def seal(
        self,
        data: bytes | Iterable[bytes],
        *,
        context: Mapping[str, str],
        kms_key_id: str | None = None,
    ) -> Iterator[bytes]:
        """Seal chunks in bounded memory. The key is checked at once, the chunks are read lazily.

        Args:
            data: the content.
            context: what the content is and to which resource it belongs.
            kms_key_id: a key of the keyring by its alias (`alias/NAME`), id or ARN, or one of AWS
                KMS by its ARN; None for the default key.

        Raises:
            KeyUnavailableError: the key does not exist, or it is missing, damaged or disabled.
            KeyServiceError: AWS KMS does not answer.
        """
        from blemish.storage.encryption import envelope

        chunks = [data] if isinstance(data, bytes) else data
        key = self._key(kms_key_id)
        if isinstance(key, Key):
            master_key = envelope.local_master_key(key)
            return envelope.seal(chunks, master_key=master_key, context=context)
        from blemish.storage.encryption.aws_kms import aws_key, clear_kms_errors

        master_key = aws_key(key, self._allowed_kms(key))
        with clear_kms_errors(key):
            return envelope.seal(chunks, master_key=master_key, context=context)

    def open(self, file: BinaryIO, *, context: Mapping[str, str], name: str) -> Iterator[bytes]:
        """Open sealed data in bounded memory.

        Each chunk is authentic when it is yielded. Truncation is detected after the last chunk.

        Args:
            file: seekable, at its start; the caller closes it.
            context: the context it was sealed with.
            name: its name in messages.

        Raises:
            KeyUnavailableError: its key is missing, damaged or disabled.
            KeyServiceError: AWS KMS does not answer.
            SealBrokenError: it is damaged, not sealed, or was sealed with another context.
        """
        from blemish.storage.encryption import envelope

        sealed_under = _key_of(file, name)
        if sealed_under.provider == LOCAL_PROVIDER:
            master_key = envelope.local_master_key(self._keyring.usable(sealed_under.id))
            return envelope.open_sealed(file, master_key=master_key, context=context, name=name)
        from blemish.storage.encryption.aws_kms import aws_key, clear_kms_errors

        arn = sealed_under.id
        master_key = aws_key(arn, self._allowed_kms(arn))
        with clear_kms_errors(arn):
            return envelope.open_sealed(file, master_key=master_key, context=context, name=name)

    def seal_bytes(
        self, data: bytes, *, context: Mapping[str, str], kms_key_id: str | None = None
    ) -> bytes:
        """Seal bytes; see `seal`."""
        return b"".join(self.seal(data, context=context, kms_key_id=kms_key_id))

    def open_bytes(self, sealed: bytes, *, context: Mapping[str, str], name: str) -> bytes:
        """Open sealed bytes; see `open`."""
        with closing(BytesIO(sealed)) as file:
            return b"".join(self.open(file, context=context, name=name))

    def seal_text(self, text: str, *, context: Mapping[str, str]) -> str:
        """Seal a short text under the default key. The result names the key, see `text_key`.

        Raises:
            KeyUnavailableError: the key is missing or damaged.
        """
        key = self._keyring.default()
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = _cipher(key).encrypt(nonce, text.encode(), _canonical(context))
        return f"{TEXT_FORMAT}:{key.id}:{base64.b64encode(nonce + sealed).decode()}"

    def open_text(self, sealed: str, *, context: Mapping[str, str], name: str) -> str:
        """Open a short text; `name` is its name in messages.

        Raises:
            KeyUnavailableError: its key is missing, damaged or disabled.
            SealBrokenError: it is damaged, not sealed, or was sealed with another context.
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

    def _key(self, kms_key_id: str | None) -> Key | str:
        """Return a key of the keyring, or the ARN of a key in AWS KMS."""
        if kms_key_id is None:
            return self._keyring.default()
        if key := self._local_key(kms_key_id):
            return self._keyring.usable(key.id)
        if kms_key_id.startswith("arn:") and self._kms:
            return kms_key_id
        hint = (
            "A key of AWS KMS can be named where BLEMISH_KMS_REGION is set."
            if kms_key_id.startswith("arn:")
            else "`blemish keys kms create` makes one."
        )
        raise KeyUnavailableError(f"There is no key {kms_key_id}. {hint}")

    def _local_key(self, kms_key_id: str) -> Key | None:
        """Find a key of the keyring by alias, id or ARN, as AWS KMS does."""
        assert self._arns is not None
        name = kms_key_id.removeprefix(self._arns.kms(""))
        if name.startswith(ALIAS_PREFIX):
            alias = name.removeprefix(ALIAS_PREFIX)
            key = self._keyring.find(alias)
            return key if key and key.alias == alias else None
        key_id = name if name == kms_key_id else name.removeprefix("key/")
        key = self._keyring.find(key_id)
        return key if key and key.id == key_id else None

    def _allowed_kms(self, arn: str) -> KmsAddress:
        """Return the AWS KMS that has a key.

        Raises:
            KeyUnavailableError: no setting allows to use it.
        """
        if self._kms is None:
            raise KeyUnavailableError(
                f"The key {arn} is in AWS KMS. Set BLEMISH_KMS_REGION to its region."
            )
        region = arn.split(":")[3] if arn.count(":") > 3 else ""
        if region != self._kms.region:
            raise KeyUnavailableError(
                f"The key {arn} is not of the region {self._kms.region} that BLEMISH_KMS_REGION "
                "names."
            )
        return self._kms


def open_encryption(connection: Mapping[str, Any]) -> Encryption:
    """Return the encryption of the process that this `connection` comes from."""
    folder = Path(connection["keyring"])
    return Encryption(
        Keyring(folder, staging=folder.parent / "staging"),
        arns=ArnScope(**connection["arns"]),
        kms=KmsAddress(**connection["kms"]) if connection["kms"] else None,
        random_bytes=secrets.token_bytes,
    )


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
        key = sealing_key(file)
    except ValueError as error:
        raise SealBrokenError(f"{name} is damaged: {error}.") from None
    if key is None:
        raise SealBrokenError(f"{name} is not sealed.")
    return key


def _cipher(key: Key) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"blemish short text 1")
    return AESGCM(derived.derive(key.secret))


def _canonical(context: Mapping[str, str]) -> bytes:
    return json.dumps(context, sort_keys=True, separators=(",", ":")).encode()
