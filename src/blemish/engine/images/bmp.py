"""The header of a BMP file.

Source: Microsoft, "Bitmap Storage" and BITMAPV5HEADER.
"""

from __future__ import annotations

import struct

from blemish.engine.images.formats import BMP, ImageError, ImageHeader

_CORE_HEADER, _LARGEST_HEADER = 12, 124
_HEADERS = frozenset({_CORE_HEADER, 40, 52, 56, 64, 108, _LARGEST_HEADER})
_BITS = frozenset({1, 4, 8, 16, 24, 32})
_UNCOMPRESSED = frozenset({0, 3, 6})  # plain, and plain with masks of the channels


def read_bmp_header(data: bytes) -> ImageHeader:
    """Read the header.

    Raises:
        ImageError: the file is cut off, damaged, or compressed.
    """
    try:
        (offset,) = struct.unpack_from("<I", data, 10)
        (header_size,) = struct.unpack_from("<I", data, 14)
        if header_size == _CORE_HEADER:
            width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
            compression = 0
        else:
            width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    except struct.error:
        raise ImageError("The BMP image is truncated: it holds no whole header.") from None
    if header_size not in _HEADERS or bits not in _BITS or width < 1 or height == 0:
        raise ImageError("The BMP image is corrupt: its header is not valid.")
    if compression not in _UNCOMPRESSED:
        raise ImageError("The BMP image is compressed; save it without compression.")
    row_bytes = (width * bits + 31) // 32 * 4
    if offset + row_bytes * abs(height) > len(data):
        raise ImageError(
            f"The BMP image is truncated: its {len(data)} bytes end before its pixels do."
        )
    return ImageHeader(media_type=BMP, size=(width, abs(height)), orientation=1, pixel_data=data)
