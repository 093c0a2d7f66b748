"""What a JPEG or PNG file says of itself before a pixel is decoded.

A file is read by length fields alone: nothing is decompressed and nothing is allocated that is
larger than the file. Out comes the file once more with only the parts that carry pixels, so that
text, colour profiles, thumbnails, animations and further images never reach the decoder.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"

MAX_JPEG_SCANS = 100
"""An image saved for people has about ten. A scan can be a few bytes long and yet be a pass over
all pixels, so a small file of many scans could keep a core busy for minutes."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS_OF_PIXELS = frozenset({b"PLTE", b"tRNS", b"IDAT"})

_JPEG_START = b"\xff\xd8"
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])")
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame: size and precision
_SOS, _EOI, _APP0, _APP1, _APP14 = 0xDA, 0xD9, 0xE0, 0xE1, 0xEE
_JPEG_SEGMENTS_OF_PIXELS = _SOF | {0xC4, 0xCC, 0xDB, 0xDD, _APP0, _APP14}  # DHT DAC DQT DRI
_JPEG_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})  # without a length

_EXIF_PREFIX = b"Exif\0\0"
_ORIENTATION_TAG, _SHORT = 0x0112, 3


class ImageError(ValueError):
    """An image or mask that cannot be used; the message may be shown to a caller."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """An image file, read as far as its header."""

    media_type: str
    size: tuple[int, int]  # (width, height) as stored
    orientation: int  # EXIF, 1 to 8; 1 where the file does not say
    pixel_data: bytes  # the file without all that carries no pixels


def media_type(data: bytes) -> str | None:
    """Return `image/jpeg` or `image/png` as the first bytes say, or None if they are neither."""
    if data.startswith(PNG_SIGNATURE):
        return PNG
    return JPEG if data.startswith(_JPEG_START + b"\xff") else None


def read_container(data: bytes) -> Container:
    """Read the header of a JPEG or PNG file.

    Raises:
        ImageError: the data are empty, neither JPEG nor PNG, cut off, or damaged where it shows
            without decoding (every chunk of a PNG carries a checksum).
    """
    match media_type(data):
        case "image/png":
            return _read_png(data)
        case "image/jpeg":
            return _read_jpeg(data)
        case _ if not data:
            raise ImageError("The image is empty; it must be a JPEG or PNG file.")
        case _:
            raise ImageError(
                f"The image begins with the bytes {data[:8].hex(' ')}; it must be a JPEG or PNG "
                "file."
            )


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG: length, type, content, checksum."""
    checksum = zlib.crc32(kind + content)
    return b"".join([struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)])


def _read_png(data: bytes) -> Container:
    """Keep the chunks of a PNG that carry pixels (Source: PNG specification, sections 5 and 11)."""
    chunks = _png_chunks(data)
    kind, header = next(chunks)
    if kind != b"IHDR" or len(header) != 25:
        raise ImageError("The PNG image is corrupt: it does not begin with its header.")
    kept: list[bytes | memoryview] = [PNG_SIGNATURE, header]
    orientation = 1
    for kind, chunk in chunks:
        if kind in _PNG_CHUNKS_OF_PIXELS:
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise ImageError(
                    f"The PNG image is corrupt: the checksum of a chunk {kind.decode()} is wrong."
                )
            kept.append(chunk)
        elif kind == b"eXIf":
            orientation = _exif_orientation(bytes(chunk[8:-4]))
    width, height = struct.unpack_from(">II", header, 8)
    return Container(
        media_type=PNG,
        size=(width, height),
        orientation=orientation,
        pixel_data=b"".join([*kept, png_chunk(b"IEND", b"")]),
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
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


def _read_jpeg(data: bytes) -> Container:
    """Keep the segments of a JPEG that carry pixels (Source: ITU-T T.81, annex B)."""
    kept, orientation, frames = [_JPEG_START], 1, list[tuple[int, int]]()
    for marker, start, end in _jpeg_segments(data):
        if marker == _SOS:
            kept.append(data[start:])
            if data.count(b"\xff\xda", start) > MAX_JPEG_SCANS:
                raise ImageError(f"The JPEG image has more than {MAX_JPEG_SCANS} scans.")
        elif marker in _JPEG_SEGMENTS_OF_PIXELS:
            kept.append(data[start:end])
            if marker in _SOF and end - start >= 10:
                frames.append(struct.unpack_from(">HH", data, start + 5))
        elif marker == _APP1 and data.startswith(_EXIF_PREFIX, start + 4):
            orientation = _exif_orientation(data[start + 4 : end])
    if len(frames) != 1:
        raise ImageError(f"The JPEG image is corrupt: it has {len(frames)} frame headers, not one.")
    height, width = frames[0]
    return Container(
        media_type=JPEG,
        size=(width, height),
        orientation=orientation,
        pixel_data=b"".join(kept),
    )


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of every segment up to the first scan, which must be there."""
    position = len(_JPEG_START)
    while found := _JPEG_MARKER.search(data, position):
        marker, position = found[1][0], found.end()
        if marker in _JPEG_BARE_MARKERS:
            continue
        if marker == _EOI:
            raise ImageError("The JPEG image is corrupt: it ends before its pixels begin.")
        end = position + int.from_bytes(data[position : position + 2], "big")
        if end < position + 2 or end > len(data):
            break
        yield marker, found.start(), end
        if marker == _SOS:
            return
        position = end
    raise ImageError(
        f"The JPEG image is truncated or corrupt: its {len(data)} bytes hold no whole header."
    )


def _exif_orientation(exif: bytes) -> int:
    """Return the orientation, 1 where it is absent or unreadable: no image fails by its EXIF.

    Source: Exif 2.32, section 4.6.4, tag 274; TIFF 6.0, section 2.
    """
    tiff = exif.removeprefix(_EXIF_PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for start in range(directory + 2, directory + 2 + 12 * entries, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start)
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
