"""Sealing and opening messages of the AWS Encryption SDK as streams."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Iterator, Mapping
from io import IOBase
from typing import Any, BinaryIO

from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import AlgorithmSuite, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.base import MasterKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey
from cryptography.exceptions import InvalidTag

from blemish.storage.encryption.keyring import Key
from blemish.storage.encryption.sealed_header import LOCAL_PROVIDER
from blemish.storage.errors import SealBrokenError

FRAME_BYTES = 65_536
"""Size of a frame, which is held in memory. Smaller frames are slower."""

_CLIENT = EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, max_encrypted_data_keys=1
)
logging.getLogger("aws_encryption_sdk").setLevel(logging.CRITICAL)  # it logs what it raises
_ALGORITHM = AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
"""Unsigned: everyone who can open can also seal here, and a signature would double the time."""

_BROKEN = (AWSEncryptionSDKClientError, InvalidTag, struct.error, ValueError)
"""Errors of the SDK for bytes that it cannot open."""


def local_master_key(key: Key) -> MasterKey:
    """Return the SDK's master key of a key of this server.

    Its messages are those of the SDK's raw AES keyring, which needs 20 MB of packages more.
    """
    return RawMasterKey(
        provider_id=LOCAL_PROVIDER,
        key_id=key.id,
        wrapping_key=WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=key.secret,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        ),
    )


def seal(
    chunks: Iterable[bytes], *, master_key: MasterKey, context: Mapping[str, str]
) -> Iterator[bytes]:
    """Return the sealed message of `chunks`; their errors pass through.

    The key is used at once, so that its errors show before anything is written.
    """
    encryptor = _CLIENT.stream(
        mode="encrypt",
        source=_Reader(chunks),
        key_provider=master_key,
        algorithm=_ALGORITHM,
        encryption_context=dict(context),
        frame_length=FRAME_BYTES,
    )
    encryptor.header  # noqa: B018 - reading it creates the data key
    return iter(lambda: encryptor.read(FRAME_BYTES), b"")


def open_sealed(
    file: BinaryIO, *, master_key: MasterKey, context: Mapping[str, str], name: str
) -> Iterator[bytes]:
    """Return the content of a message. Each chunk is authentic; a missing end shows at the end.

    The key is used and the header read at once; the rest is read lazily.

    Raises:
        SealBrokenError: the message is damaged, or was sealed with another context.
    """
    decryptor = _CLIENT.stream(
        mode="decrypt", source=file, key_provider=master_key, max_body_length=FRAME_BYTES
    )
    try:
        sealed_as = dict(decryptor.header.encryption_context)
    except _BROKEN as error:
        IOBase.close(decryptor)
        raise SealBrokenError(
            f"{name} cannot be opened: it is damaged, or its key does not open it "
            f"({_reason(error)})."
        ) from error
    if sealed_as != context:
        IOBase.close(decryptor)
        raise SealBrokenError(f"{name} was sealed as {_words(sealed_as)}, not {_words(context)}.")
    return _opened(decryptor, name)


def _opened(decryptor: Any, name: str) -> Iterator[bytes]:
    try:
        while chunk := decryptor.read(FRAME_BYTES):
            yield chunk
    except _BROKEN as error:
        raise SealBrokenError(f"{name} cannot be opened: it is damaged.") from error
    finally:
        IOBase.close(decryptor)  # `decryptor.close` raises if the message was not read to its end


def _reason(error: Exception) -> str:
    """Return what AWS KMS or the SDK says; a wrong key of this server has no words."""
    return str(error.__cause__ or error).partition("\n")[0] or type(error).__name__


def _words(context: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in sorted(context.items()))


class _Reader:
    """A file over chunks, as the SDK reads it."""

    closed = False

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)
