"""The header of a PNG file, and the chunks that PNG files consist of.

Source: PNG specification, sections 5 and 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from blemish.engine.images.exif import exif_orientation
from blemish.engine.images.formats import PNG, ImageError, ImageHeader

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNKS_WITH_PIXELS = frozenset({b"PLTE", b"tRNS", b"IDAT"})


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG: length, type, content, checksum."""
    checksum = zlib.crc32(kind + content)
    return b"".join([struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)])


def read_png_header(data: bytes) -> ImageHeader:
    """Read the header; keep the chunks that carry pixels.

    Raises:
        ImageError: the file is cut off, or damaged where it shows without decoding (every chunk
            carries a checksum).
    """
    chunks = _chunks(data)
    kind, header = next(chunks)
    if kind != b"IHDR" or len(header) != 25:
        raise ImageError("The PNG image is corrupt: it does not begin with its header.")
    parts: list[bytes | memoryview] = [PNG_SIGNATURE, header]
    orientation = 1
    for kind, chunk in chunks:
        if kind in _CHUNKS_WITH_PIXELS:
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise ImageError(
                    f"The PNG image is corrupt: the checksum of a chunk {kind.decode()} is wrong."
                )
            parts.append(chunk)
        elif kind == b"eXIf":
            orientation = exif_orientation(bytes(chunk[8:-4]))
    width, height = struct.unpack_from(">II", header, 8)
    return ImageHeader(
        media_type=PNG,
        size=(width, height),
        orientation=orientation,
        pixel_data=b"".join([*parts, png_chunk(b"IEND", b"")]),
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the type and the whole of every chunk up to the end chunk, which must be there."""
    view, start = memoryview(data), len(PNG_SIGNATURE)
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            break
        if kind == b"IEND":
            return
        yield kind, view[start:end]
        start = end
    raise ImageError(f"The PNG image is truncated: its {len(data)} bytes end before its end chunk.")
