"""Messages of the AWS Encryption SDK, sealed and opened as streams under one key."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from io import IOBase
from typing import Any, BinaryIO

from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import AlgorithmSuite
from cryptography.exceptions import InvalidTag

from blemish.storage.encryption.keyring import Key
from blemish.storage.encryption.sealed_header import LOCAL_PROVIDER
from blemish.storage.errors import SealBrokenError

FRAME_BYTES = 65_536
"""What is sealed and opened at a time: so much is in memory. Smaller frames are slower."""

_CLIENT = EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, max_encrypted_data_keys=1
)
_PROVIDERS = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
_ALGORITHM = AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
"""Without a signature: who may open here may seal as well, and it would double the time."""

_BROKEN = (AWSEncryptionSDKClientError, InvalidTag, struct.error, ValueError)
"""What the SDK raises for bytes that it cannot open."""


def local_keyring(key: Key) -> Any:
    """Return the SDK's keyring of a key of ours."""
    return _PROVIDERS.create_raw_aes_keyring(
        CreateRawAesKeyringInput(
            key_namespace=LOCAL_PROVIDER,
            key_name=key.id,
            wrapping_key=key.secret,
            wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
        )
    )


def seal(chunks: Iterable[bytes], *, keyring: Any, context: Mapping[str, str]) -> Iterator[bytes]:
    """Return the message that holds what `chunks` hold; an error of theirs passes through.

    The key is used at once, so whatever is wrong with it shows before anything is written.
    """
    encryptor = _CLIENT.stream(
        mode="encrypt",
        source=_Reader(chunks),
        keyring=keyring,
        algorithm=_ALGORITHM,
        encryption_context=dict(context),
        frame_length=FRAME_BYTES,
    )
    encryptor.header  # noqa: B018 - reading it makes the data key
    return iter(lambda: encryptor.read(FRAME_BYTES), b"")


def open_sealed(
    file: BinaryIO, *, keyring: Any, context: Mapping[str, str], name: str
) -> Iterator[bytes]:
    """Return what a message holds; what is yielded is genuine, but may be cut off later.

    The key is used and the head read at once, and what follows as it is asked for.

    Raises:
        SealBrokenError: the message is damaged, or was not sealed as `context` says.
    """
    decryptor = _CLIENT.stream(
        mode="decrypt", source=file, keyring=keyring, max_body_length=FRAME_BYTES
    )
    try:
        sealed_as = dict(decryptor.header.encryption_context)
    except _BROKEN as error:
        IOBase.close(decryptor)
        raise SealBrokenError(
            f"{name} cannot be opened: it is damaged, or its key does not open it "
            f"({_reasons(error)})."
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
        IOBase.close(decryptor)  # its own raises where the message was not read to the end


def _reasons(error: Exception) -> str:
    """Return what a key said; the SDK hides it in a list, where one of several may have failed."""
    inner = error.args[0] if error.args else error
    reasons = [str(reason).strip() for reason in getattr(inner, "list", ())]
    return "; ".join(filter(None, reasons)) or str(error).partition("\n")[0] or type(error).__name__


def _words(context: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in sorted(context.items()))


class _Reader:
    """Chunks as the SDK reads them: up to a number of bytes at a time."""

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
