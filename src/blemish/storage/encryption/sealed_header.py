"""The header of a message of the AWS Encryption SDK, which names its key.

Reading it needs no key, and no SDK, which takes half a second to import.

Source:
    AWS Encryption SDK Developer Guide, "AWS Encryption SDK message format reference", version 2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

START = bytes.fromhex("02 0478")
"""Version 2 and the only algorithm in use: AES-256-GCM with commitment, unsigned.

JSON Lines and ONNX files begin with other bytes.
"""

LOCAL_PROVIDER = "blemish"
"""Namespace of the keys in the keyring."""

_MESSAGE_ID_BYTES = 32
_RAW_KEY_TAIL_BYTES = 20
"""After a raw AES key's name: lengths of tag and IV, 4 bytes each, and the IV of 12 bytes."""


@dataclass(frozen=True, kw_only=True)
class SealingKey:
    """The key of a sealed message."""

    #: `LOCAL_PROVIDER`, or `aws-kms`
    provider: str
    #: the id of a key in the keyring, or the ARN of one in AWS KMS
    id: str


def sealing_key(file: BinaryIO) -> SealingKey | None:
    """Return the key of a sealed file, and seek to its start; None if it is not sealed.

    Raises:
        ValueError: it begins like a sealed file, but is not one.
    """
    try:
        if file.read(len(START)) != START:
            return None
        file.read(_MESSAGE_ID_BYTES)
        _field(file)  # the encryption context
        (keys,) = struct.unpack(">H", file.read(2))
        if keys != 1:
            raise ValueError(f"it was sealed under {keys} keys")
        provider, info = _field(file).decode(), _field(file)
        if provider == LOCAL_PROVIDER:
            info = info[:-_RAW_KEY_TAIL_BYTES]
        return SealingKey(provider=provider, id=info.decode())
    except struct.error:
        raise ValueError("it ends within its head") from None
    finally:
        file.seek(0)


def sealing_key_of(message: bytes) -> SealingKey | None:
    """Return the key of a sealed message; None if it is not sealed.

    Raises:
        ValueError: it begins like a sealed message, but is not one.
    """
    return sealing_key(BytesIO(message))


def _field(file: BinaryIO) -> bytes:
    """Read a field that begins with its length."""
    (length,) = struct.unpack(">H", file.read(2))
    data = file.read(length)
    if len(data) < length:
        raise ValueError("it ends within its head")
    return data
