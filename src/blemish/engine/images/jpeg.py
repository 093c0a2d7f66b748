"""The header of a JPEG file.

Source: ITU-T T.81, annex B.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from blemish.engine.images.exif import EXIF_PREFIX, exif_orientation
from blemish.engine.images.formats import JPEG, ImageError, ImageHeader, check_parts

MAX_JPEG_SCANS = 100
"""The most scans of an image; usual images have about ten. A scan can be a few bytes long and yet
pass over all pixels, so a small file of many scans could keep a core busy for minutes."""

JPEG_START = b"\xff\xd8"
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # with a length, or the end
_MARKER_IN_SCAN = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame: size and precision
_SOS, _EOI, _APP0, _APP1, _APP14 = 0xDA, 0xD9, 0xE0, 0xE1, 0xEE
_SEGMENTS_WITH_PIXELS = _SOF | {0xC4, 0xCC, 0xDB, 0xDD, _APP0, _APP14}  # DHT DAC DQT DRI


def read_jpeg_header(data: bytes) -> ImageHeader:
    """Read the header; keep the segments that carry pixels, up to the end marker.

    Phones append videos and depth maps behind the end marker.

    Raises:
        ImageError: the file is cut off, or damaged where it shows without decoding.
    """
    parts, orientation, frames = [JPEG_START], 1, list[tuple[int, int]]()
    for number, (marker, start, end) in enumerate(_segments(data)):
        check_parts(number)
        if marker == _SOS:
            file_end = _end_of_image(data, start)
            parts.append(data[start:file_end])
            if data.count(b"\xff\xda", start, file_end) > MAX_JPEG_SCANS:
                raise ImageError(f"The JPEG image has more than {MAX_JPEG_SCANS} scans.")
        elif marker in _SEGMENTS_WITH_PIXELS:
            parts.append(data[start:end])
            if marker in _SOF and end - start >= 10:
                if data[start + 4] != 8:
                    raise ImageError(
                        f"The JPEG image has {data[start + 4]} bits per sample; save it with 8, "
                        "or as PNG or TIFF with 16."
                    )
                frames.append(struct.unpack_from(">HH", data, start + 5))
        elif marker == _APP1 and data.startswith(EXIF_PREFIX, start + 4):
            orientation = exif_orientation(data[start + 4 : end])
    if len(frames) != 1:
        raise ImageError(f"The JPEG image is corrupt: it has {len(frames)} frame headers, not one.")
    height, width = frames[0]
    return ImageHeader(
        media_type=JPEG,
        size=(width, height),
        orientation=orientation,
        pixel_data=b"".join(parts),
    )


def _end_of_image(data: bytes, first_scan: int) -> int:
    """Return the position behind the end marker; the file's end if there is no such marker."""
    position, number = first_scan, 0
    while match := _MARKER_IN_SCAN.search(data, position):
        number += 1
        check_parts(number)
        if match[1][0] == _EOI:
            return match.end()
        length = int.from_bytes(data[match.end() : match.end() + 2], "big")
        position = match.end() + max(length, 2)
    return len(data)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of every segment up to the first scan, which must be there."""
    position = len(JPEG_START)
    while match := _MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == _EOI:
            raise ImageError("The JPEG image is corrupt: it ends before its pixels begin.")
        end = position + int.from_bytes(data[position : position + 2], "big")
        if end < position + 2 or end > len(data):
            break
        yield marker, match.start(), end
        if marker == _SOS:
            return
        position = end
    raise ImageError(
        f"The JPEG image is truncated or corrupt: its {len(data)} bytes hold no whole header."
    )
