"""The checksums that S3's clients send along with a body.

Source: Amazon S3 User Guide, "Checking object integrity".
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import anycrc

from blemish.s3.protocol.errors import InvalidRequestError, UnsupportedError

PREFIX = "x-amz-checksum-"
"""Of the header, or of the trailer, that holds a checksum in base64."""

_OTHER_HEADERS = frozenset({"algorithm", "mode", "type"})


_CRC32C = anycrc.Model("CRC32-ISCSI")
_CRC64NVME = anycrc.Model("CRC64-NVME")


class Digest(Protocol):
    """A checksum that is being computed."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Crc:
    """A cyclic redundancy check, with the methods of hashlib's digests."""

    def __init__(self, extend: Callable[[bytes, int], int], *, size_bytes: int) -> None:
        self._extend = extend
        self._size_bytes = size_bytes
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._extend(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size_bytes, "big")


ALGORITHMS: Mapping[str, Callable[[], Digest]] = MappingProxyType(
    {
        "CRC32": lambda: Crc(zlib.crc32, size_bytes=4),
        "CRC32C": lambda: Crc(_CRC32C.calc, size_bytes=4),
        "CRC64NVME": lambda: Crc(_CRC64NVME.calc, size_bytes=8),
        "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
        "SHA256": hashlib.sha256,
    }
)
"""How to begin each checksum, by its name in the service model."""


def announced_checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums that headers hold: base64 by algorithm.

    Raises:
        InvalidRequestError: one is not of its algorithm's form.
        UnsupportedError: an algorithm is unknown.
    """
    names = {name for name in headers if name.startswith(PREFIX)}
    return {
        algorithm_of(name): _well_formed(headers[name], name=name)
        for name in sorted(names)
        if name.removeprefix(PREFIX) not in _OTHER_HEADERS
    }


def algorithm_of(header: str) -> str:
    """Return the algorithm whose checksum a header or a trailer holds; its name is in lower case.

    Raises:
        UnsupportedError: it is unknown.
    """
    algorithm = header.removeprefix(PREFIX).upper()
    if not header.startswith(PREFIX) or algorithm not in ALGORITHMS:
        raise UnsupportedError(f"{header} is not supported. Use {', '.join(ALGORITHMS)}.")
    return algorithm


def in_base64(digest: Digest) -> str:
    """Return a checksum as it travels."""
    return base64.b64encode(digest.digest()).decode("ascii")


def check_algorithm(algorithm: str | None) -> None:
    """Check the name of an algorithm, if there is one.

    Raises:
        InvalidRequestError: it is unknown.
    """
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise InvalidRequestError(
            f"There is no checksum {algorithm!r:.100}. Use {', '.join(ALGORITHMS)}."
        )


class CopyChecksums:
    """The checksums of a copy: of one algorithm, or of the algorithms of the source.

    Source: Amazon S3 API Reference, "CopyObject": a copy has no checksum of its source's parts, but
    one of the whole object.
    """

    def __init__(self, source: Mapping[str, str], *, algorithm: str | None) -> None:
        names = [algorithm] if algorithm else list(source)
        self._known = {
            name: source[name] for name in names if name in source and "-" not in source[name]
        }
        self._digests = {name: ALGORITHMS[name]() for name in names if name not in self._known}

    def update(self, data: bytes, /) -> None:
        """Add the next bytes of the copy."""
        for digest in self._digests.values():
            digest.update(data)

    def values(self) -> dict[str, str]:
        """Return the checksums: base64 by algorithm."""
        computed = {name: in_base64(digest) for name, digest in self._digests.items()}
        return self._known | computed


def _well_formed(text: str, *, name: str) -> str:
    size_bytes = len(ALGORITHMS[algorithm_of(name)]().digest())
    try:
        fits = len(base64.b64decode(text, validate=True)) == size_bytes
    except ValueError:
        fits = False
    if not fits:
        raise InvalidRequestError(f"Value for {name} header is invalid.")
    return text
