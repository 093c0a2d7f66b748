"""The header of a WebP file.

Source: RFC 9649, sections 2 and 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from blemish.engine.images.exif import exif_orientation
from blemish.engine.images.formats import WEBP, ImageError, ImageHeader, check_parts

_LOSSY, _LOSSLESS, _EXTENDED, _EXIF, _ANIMATION = b"VP8 ", b"VP8L", b"VP8X", b"EXIF", b"ANIM"
_KEY_FRAME = b"\x9d\x01\x2a"


def read_webp_header(data: bytes) -> ImageHeader:
    """Read the header; keep the chunk that carries the colours.

    Raises:
        ImageError: the file is cut off or damaged, or it is an animation.
    """
    size, orientation, pixel_chunk, canvas = None, 1, b"", None
    for number, (kind, content) in enumerate(_chunks(data)):
        check_parts(number)
        if kind == _ANIMATION:
            raise ImageError("The WebP image is an animation; it must be a still image.")
        if kind == _EXTENDED and len(content) >= 10:
            canvas = (
                1 + int.from_bytes(content[4:7], "little"),
                1 + int.from_bytes(content[7:10], "little"),
            )
        elif kind == _EXIF:
            orientation = exif_orientation(content)
        elif kind in {_LOSSY, _LOSSLESS} and size is None:
            size = _lossy_size(content) if kind == _LOSSY else _lossless_size(content)
            pixel_chunk = (
                kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
            )
    if size is None:
        raise ImageError("The WebP image is truncated or corrupt: it holds no pixels.")
    if canvas not in {None, size}:
        raise ImageError("The WebP image is corrupt: its two headers have different sizes.")
    body = b"WEBP" + pixel_chunk
    return ImageHeader(
        media_type=WEBP,
        size=size,
        orientation=orientation,
        pixel_data=b"RIFF" + struct.pack("<I", len(body)) + body,
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of every chunk; what lies behind the RIFF container is ignored."""
    (riff_size,) = struct.unpack_from("<I", data, 4)
    end = 8 + riff_size
    if end > len(data):
        raise ImageError(f"The WebP image is truncated: it has {len(data)} bytes of {end}.")
    start = 12
    while start + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, start)
        content = data[start + 8 : min(start + 8 + length, end)]
        if len(content) < length:
            raise ImageError("The WebP image is corrupt: a chunk is longer than the file.")
        yield kind, content
        start += 8 + length + length % 2


def _lossy_size(content: bytes) -> tuple[int, int]:
    if len(content) < 10 or content[3:6] != _KEY_FRAME:
        raise ImageError("The WebP image is corrupt: its pixels do not begin with a key frame.")
    width, height = struct.unpack_from("<HH", content, 6)
    return width & 0x3FFF, height & 0x3FFF


def _lossless_size(content: bytes) -> tuple[int, int]:
    if len(content) < 5 or content[0] != 0x2F:
        raise ImageError("The WebP image is corrupt: its pixels do not begin with a header.")
    sizes = int.from_bytes(content[1:5], "little")
    return 1 + (sizes & 0x3FFF), 1 + (sizes >> 14 & 0x3FFF)
