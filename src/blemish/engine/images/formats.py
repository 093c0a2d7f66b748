"""Names of formats, the header and the error, which all readers of image files share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
TIFF: Final = "image/tiff"
BMP: Final = "image/bmp"
WEBP: Final = "image/webp"

FORMATS: Final = {JPEG: "JPEG", PNG: "PNG", TIFF: "TIFF", BMP: "BMP", WEBP: "WebP"}
"""Media type -> its name for people."""

SUFFIXES: Final = (".jpg", ".jpeg", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp")
"""Suffixes of image files, in any case; the content decides the format."""

ACCEPTED: Final = "JPEG, PNG, TIFF, BMP or WebP"

MAX_PARTS: Final = 100_000
"""Chunks or segments of a file. Even an empty one takes as much time as some KB of pixels."""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"BM", BMP),
)

_OTHER_FORMATS = (
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"II+\0", "a BigTIFF image"),
    (b"MM\0+", "a BigTIFF image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"8BPS", "a Photoshop file"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"SIMPLE  =", "a FITS image"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\0\0\x01\0", "an icon file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"IIU\0", "a Panasonic raw image"),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw image"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG file"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"{", "a JSON text"),
)

_BRANDS = {
    b"heic": "a HEIC image",
    b"heix": "a HEIC image",
    b"heim": "a HEIC image",
    b"heis": "a HEIC image",
    b"hevc": "a HEIC image sequence",
    b"mif1": "a HEIF image",
    b"msf1": "a HEIF image sequence",
    b"avif": "an AVIF image",
    b"avis": "an AVIF image sequence",
    b"crx ": "a Canon raw image",
    b"qt  ": "a QuickTime video",
}


class ImageError(ValueError):
    """An image or mask that cannot be used; the message may be shown to a caller."""


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """The header of an image file, known before a pixel is decoded."""

    media_type: str
    size: tuple[int, int]  # (width, height) as stored
    orientation: int  # EXIF, 1 to 8; 1 where the file does not say
    bits: int = 8  # of a sample: 8 or 16, where 8 stands for fewer as well
    pixel_data: bytes  # the file without the parts that carry no pixels


def check_parts(number: int) -> None:
    """Refuse a file that has more than so many parts.

    Raises:
        ImageError: these are too many.
    """
    if number > MAX_PARTS:
        raise ImageError(f"The image is corrupt: its file has more than {MAX_PARTS:,} parts.")


def media_type(data: bytes) -> str | None:
    """Return the media type of an accepted format by the first bytes; None for other formats."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    return WEBP if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def unknown_format(data: bytes) -> ImageError:
    """Return the error for a file of no accepted format, which names the format if it is known."""
    if not data:
        return ImageError(f"The image is empty; it must be a {ACCEPTED} image.")
    return ImageError(f"The file {unknown_content(data)}; it must be a {ACCEPTED} image.")


def unknown_content(data: bytes) -> str:
    """Return what a file of no accepted format is, as the predicate of a sentence."""
    if not data:
        return "is empty"
    if data[4:8] == b"ftyp":
        return f"is {_BRANDS.get(data[8:12], 'an MP4 video')}"
    if len(data) > 132 and data[128:132] == b"DICM":
        return "is a DICOM image"
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    for signature, name in _OTHER_FORMATS:
        if data.startswith(signature) or start[:16].lower().startswith(signature.lower()):
            return f"is {name}"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "is a Netpbm image"
    if not any(data[:64]):
        return "begins with zeros"
    return "is a text" if _is_text(data[:64]) else "is of an unknown format"


def _is_text(start: bytes) -> bool:
    try:
        return start.decode("ascii").replace("\n", " ").replace("\r", " ").isprintable()
    except UnicodeDecodeError:
        return False
