"""PNG files: the header, the chunks, and the samples of 16 bits.

Source: PNG specification, sections 5 and 11.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from blemish.engine.images.exif import exif_orientation
from blemish.engine.images.formats import PNG, ImageError, ImageHeader, check_parts

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNKS_WITH_PIXELS = frozenset({b"PLTE", b"tRNS", b"IDAT"})


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG: length, type, content, checksum."""
    checksum = zlib.crc32(kind + content)
    return b"".join([struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)])


def deep_png_samples(pixel_data: bytes) -> NDArray[np.uint16]:
    """Return the (H, W, C) samples of a PNG of 16 bits, C is 1 for grey and 3 for RGB.

    Pillow reads 16 bits of grey only, and the high byte of other kinds. Grey with alpha has pixels
    of four bytes and is read as 8-bit RGBA. Colours are read twice, the second time with the
    rawmode of little-endian files, which takes the low byte.

    Raises:
        OSError, SyntaxError, ValueError: the pixels are truncated or corrupt.
    """
    color_type = pixel_data[25]
    match color_type:
        case 0:
            return _loaded(pixel_data).astype(np.uint16)[..., np.newaxis]
        case 4:
            header = pixel_data[16:24] + bytes([8, 6]) + pixel_data[26:29]
            grey_alpha = _loaded(PNG_SIGNATURE + png_chunk(b"IHDR", header) + pixel_data[33:])
            return _joined(grey_alpha[..., :1], grey_alpha[..., 1:2])
        case _:
            mode = "RGB" if color_type == 2 else "RGBA"
            low = _loaded(pixel_data, rawmode=f"{mode};16L")
            return _joined(_loaded(pixel_data), low)[..., :3]


def _loaded(pixel_data: bytes, *, rawmode: str | None = None) -> NDArray[Any]:
    image = PngImageFile(io.BytesIO(pixel_data))
    if rawmode:
        image.tile = [tile._replace(args=rawmode) for tile in image.tile]
    return np.asarray(image)


def _joined(high: NDArray[Any], low: NDArray[Any]) -> NDArray[np.uint16]:
    return (high.astype(np.uint16) << np.uint16(8)) | low.astype(np.uint16)


def read_png_header(data: bytes) -> ImageHeader:
    """Read the header; keep the chunks that carry pixels.

    Raises:
        ImageError: the file is cut off, or damaged where it shows without decoding (every chunk
            carries a checksum).
    """
    chunks = _chunks(data)
    kind, header = next(chunks, (b"", memoryview(b"")))
    if kind != b"IHDR" or len(header) != 25:
        raise ImageError("The PNG image is corrupt: it does not begin with its header.")
    parts: list[bytes | memoryview] = [PNG_SIGNATURE, header]
    orientation = 1
    for number, (kind, chunk) in enumerate(chunks):
        check_parts(number)
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
        bits=16 if header[16] == 16 else 8,
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
