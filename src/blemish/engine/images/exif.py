"""Reading the orientation of an image from EXIF; the rest of EXIF is ignored."""

from __future__ import annotations

import struct

EXIF_PREFIX = b"Exif\0\0"
_ORIENTATION_TAG, _SHORT = 0x0112, 3


def exif_orientation(exif: bytes) -> int:
    """Return the orientation, 1 if it is absent or unreadable: no image fails because of its EXIF.

    Source: Exif 2.32, section 4.6.4, tag 274; TIFF 6.0, section 2.
    """
    tiff = exif.removeprefix(EXIF_PREFIX)
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
