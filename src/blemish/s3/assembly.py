"""How parts become one object: which, in what order, and what its ETag and checksum are.

Source: Amazon S3 User Guide, "Checking object integrity" and "Multipart upload limits"; Amazon S3
API Reference, "CompleteMultipartUpload".
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from botocore import xform_name

from blemish.s3.protocol.checksums import ALGORITHMS, in_base64
from blemish.s3.protocol.errors import (
    BadDigestError,
    EntityTooSmallError,
    InvalidPartError,
    InvalidPartOrderError,
    InvalidRequestError,
    MalformedXMLError,
)
from blemish.storage.rows.uploads import Part, Upload
from blemish.storage.stored_files import StoredFiles

MIN_PART_BYTES = 5 * 1024 * 1024
"""Of every part but the last."""

CHUNK_BYTES = 1024 * 1024

_NEVER_COMPOSITE = frozenset({"CRC64NVME"})
_ALWAYS_COMPOSITE = frozenset({"SHA1", "SHA256"})


def upload_checksum(algorithm: str | None, kind: str | None) -> tuple[str | None, str | None]:
    """Return which checksum an upload has, and whether of the object or of its parts' checksums.

    Raises:
        InvalidRequestError: there is no such checksum.
    """
    if algorithm is None and kind is None:
        return None, None
    if algorithm not in ALGORITHMS:
        raise InvalidRequestError(f"There is no checksum {algorithm}. Use {', '.join(ALGORITHMS)}.")
    kind = kind or ("FULL_OBJECT" if algorithm in _NEVER_COMPOSITE else "COMPOSITE")
    impossible = _NEVER_COMPOSITE if kind == "COMPOSITE" else _ALWAYS_COMPOSITE
    if kind not in {"COMPOSITE", "FULL_OBJECT"} or algorithm in impossible:
        raise InvalidRequestError(f"The checksum {algorithm} cannot be of type {kind}.")
    return algorithm, kind


def checked_parts(wanted: Sequence[Mapping[str, Any]], there: Mapping[int, Part]) -> list[Part]:
    """Return the parts that an object is to be made of.

    Raises:
        MalformedXMLError: there is none.
        InvalidPartOrderError: they are not in ascending order.
        InvalidPartError: one is not there, or not as it is named.
        EntityTooSmallError: one that is not the last is too small.
    """
    numbers = [part.get("PartNumber", 0) for part in wanted]
    if not numbers:
        raise MalformedXMLError("You must specify at least one part.")
    if any(first >= second for first, second in pairwise(numbers)):
        raise InvalidPartOrderError("The parts must be listed in ascending order of their numbers.")
    parts = [_checked_part(part, there.get(part.get("PartNumber", 0))) for part in wanted]
    for part in parts[:-1]:
        if part.size_bytes < MIN_PART_BYTES:
            raise EntityTooSmallError(
                f"Part {part.number} has {part.size_bytes} bytes; all but the last have "
                f"{MIN_PART_BYTES} at least."
            )
    return parts


def named_parts_digest(named_parts: Sequence[Mapping[str, Any]]) -> str:
    """Return a digest of the numbers and ETags of the parts that a request names."""
    names = [[part.get("PartNumber"), str(part.get("ETag", "")).strip('"')] for part in named_parts]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _checked_part(named: Mapping[str, Any], part: Part | None) -> Part:
    number = named.get("PartNumber")
    if part is None or str(named.get("ETag", "")).strip('"') != part.etag:
        raise InvalidPartError(f"Part {number} is not there, or has another ETag.")
    for algorithm, checksum in part.checksums.items():
        if named.get(f"Checksum{algorithm}", checksum) != checksum:
            raise InvalidPartError(f"Part {number} has another checksum {algorithm}.")
    return part


def part_chunks(files: StoredFiles, parts: Sequence[Part]) -> Iterator[bytes]:
    """Yield the content of parts, one after the other.

    Raises:
        InvalidPartError: another took the place of one meanwhile.
    """
    for part in parts:
        try:
            with files.path(part.file).open("rb", buffering=0) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError as error:
            raise InvalidPartError(f"Part {part.number} was replaced meanwhile.") from error


class PartsDigest:
    """Sees an object that is made of parts, and knows its ETag and checksum."""

    def __init__(
        self,
        upload: Upload,
        parts: Sequence[Part],
        *,
        announced: Mapping[str, Any],
        size_bytes: int | None,
    ) -> None:
        """Begin.

        Args:
            upload: says which checksum there is.
            parts: the whole of the object, in order.
            announced: members of the request, a checksum perhaps among them.
            size_bytes: what the object is said to have, if that is said.

        Raises:
            InvalidRequestError: it does not have that size.
        """
        actual = sum(part.size_bytes for part in parts)
        if size_bytes is not None and size_bytes != actual:
            raise InvalidRequestError(f"The object has {actual} bytes, not {size_bytes}.")
        self._parts = parts
        self._algorithm = upload.checksum_algorithm
        full = self._algorithm and upload.checksum_type == "FULL_OBJECT"
        self._full = ALGORITHMS[self._algorithm]() if self._algorithm and full else None
        name = xform_name(f"Checksum{self._algorithm}")
        self._announced = announced.get(name) if self._algorithm else None

    def update(self, data: bytes) -> None:
        """Take in the next bytes of the object."""
        if self._full:
            self._full.update(data)

    def etag(self) -> str:
        """Return the MD5 of the parts' MD5s, and how many there are."""
        digests = b"".join(bytes.fromhex(part.etag) for part in self._parts)
        md5 = hashlib.md5(digests, usedforsecurity=False)
        return f"{md5.hexdigest()}-{len(self._parts)}"

    def checksums(self) -> dict[str, str]:
        """Return the checksum of the object, by its algorithm, if it is to have one.

        Raises:
            BadDigestError: it is not the one that was announced.
        """
        algorithm = self._algorithm
        if algorithm is None:
            return {}
        if self._full:
            checksum = in_base64(self._full)
        else:
            composite = ALGORITHMS[algorithm]()
            for part in self._parts:
                composite.update(base64.b64decode(part.checksums[algorithm]))
            checksum = f"{in_base64(composite)}-{len(self._parts)}"
        if self._announced not in {None, checksum, checksum.partition("-")[0]}:
            raise BadDigestError(f"The {algorithm} of the object is {checksum}.")
        return {algorithm: checksum}
