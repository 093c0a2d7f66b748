"""TIFF files: the header, and the samples of 8 or 16 bits.

The directory is read here and not by libtiff, which would decode many more kinds of files. Only a
compressed strip or tile gets to libtiff (LZW, PackBits) or zlib (deflate), with its decompressed
size fixed by the header.

Source: TIFF 6.0; Adobe Photoshop TIFF Technical Notes for deflate.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from blemish.engine.images.formats import TIFF, ImageError, ImageHeader

_BYTE, _SHORT, _LONG = 1, 3, 4
_TYPES = {_BYTE: ("B", 1), _SHORT: ("H", 2), _LONG: ("I", 4)}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _COLOR_MAP = 284, 317, 320
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _SAMPLE_FORMAT = 322, 323, 324, 325, 339

_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 8, 32946, 32773
_COMPRESSIONS = frozenset({_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS})
_OTHER_COMPRESSIONS = {2: "CCITT", 3: "CCITT", 4: "CCITT", 6: "JPEG", 7: "JPEG", 34712: "JPEG 2000"}
_OTHER_COMPRESSIONS |= {34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP"}

_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5
_LEAST_SAMPLES = {_WHITE_IS_ZERO: 1, _GREY: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4}
_OTHER_COLORS = {6: "YCbCr", 8: "CIE L*a*b*", 32803: "raw sensor", 34892: "raw sensor"}
_MAX_SAMPLES = 5  # CMYK and alpha


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How the samples of an image lie in its file."""

    order: str
    size: tuple[int, int]
    bits: int
    compression: int
    photometric: int
    orientation: int
    samples: int
    planar: bool
    predictor: bool
    #: (width, height) of a strip or a tile
    chunk: tuple[int, int]
    offsets: Sequence[int]
    lengths: Sequence[int]
    #: red, then green, then blue, 16 bits each
    color_map: Sequence[int]


def read_tiff_header(data: bytes) -> ImageHeader:
    """Read the header of the first image of a file.

    Raises:
        ImageError: the file is cut off or damaged, or of a kind that is not accepted.
    """
    layout = _read_layout(data)
    return ImageHeader(
        media_type=TIFF,
        size=layout.size,
        orientation=layout.orientation,
        bits=16 if layout.bits == 16 else 8,
        pixel_data=data,
    )


def tiff_samples(data: bytes) -> NDArray[Any]:
    """Return the (H, W, C) samples of the first image: C is 1 for grey, 3 for RGB; uint8 or uint16.

    Raises:
        ImageError: the file is truncated or corrupt.
    """
    layout = _read_layout(data)
    width, height = layout.size
    channels = _LEAST_SAMPLES[layout.photometric]
    dtype = np.uint16 if layout.bits == 16 else np.uint8
    samples = np.zeros((height, width, channels), dtype=dtype)
    for (top, left, channel), chunk in _chunks(data, layout):
        part = samples[top : top + chunk.shape[0], left : left + chunk.shape[1]]
        inside = chunk[: part.shape[0], : part.shape[1]]
        if layout.planar:
            part[..., channel] = inside[..., 0]
        else:
            part[...] = inside[..., :channels]
    return _rgb_or_grey(samples, layout)


def _rgb_or_grey(samples: NDArray[Any], layout: _Layout) -> NDArray[Any]:
    match layout.photometric:
        case 0:
            return ~samples
        case 3:
            table = np.array(layout.color_map, dtype=np.uint16).reshape(3, -1).T >> 8
            colors: NDArray[Any] = table.astype(np.uint8)[samples[..., 0]]
            return colors
        case 5:
            cmyk = Image.frombytes("CMYK", layout.size, np.ascontiguousarray(samples).tobytes())
            return np.asarray(cmyk.convert("RGB"))
        case _:
            return samples


def _read_layout(data: bytes) -> _Layout:
    tags = _Directory(data)
    photometric = tags.number(_PHOTOMETRIC, default=_GREY)
    samples = tags.number(_SAMPLES, default=1)
    bits = tags.bits()
    _check_kind(tags, bits=bits, photometric=photometric, samples=samples)
    width, height = tags.number(_WIDTH), tags.number(_HEIGHT)
    tiled = tags.has(_TILE_OFFSETS)
    if tiled:
        chunk = tags.number(_TILE_WIDTH), tags.number(_TILE_HEIGHT)
    else:
        chunk = width, min(tags.number(_ROWS_PER_STRIP, default=height), height)
    if min(width, height, *chunk) < 1 or (tiled and max(chunk) > 4_096):
        raise ImageError("The TIFF image is corrupt: a side of it or of its parts has no length.")
    planar = tags.number(_PLANAR, default=1) == 2 and samples > 1
    offsets = tags.numbers(_TILE_OFFSETS if tiled else _STRIP_OFFSETS)
    lengths = tags.numbers(_TILE_BYTES if tiled else _STRIP_BYTES)
    across, down = -(-width // chunk[0]), -(-height // chunk[1])
    if not len(offsets) == len(lengths) == across * down * (samples if planar else 1):
        raise ImageError("The TIFF image is corrupt: it has not as many parts as its size needs.")
    orientation = tags.number(_ORIENTATION, default=1)
    return _Layout(
        order=tags.order,
        size=(width, height),
        bits=bits,
        compression=tags.number(_COMPRESSION, default=_NONE),
        photometric=photometric,
        orientation=orientation if 1 <= orientation <= 8 else 1,
        samples=samples,
        planar=planar,
        predictor=tags.number(_PREDICTOR, default=1) == 2,
        chunk=chunk,
        offsets=offsets,
        lengths=lengths,
        color_map=tags.color_map(bits) if photometric == _PALETTE else (),
    )


def _check_kind(tags: _Directory, *, bits: int, photometric: int, samples: int) -> None:
    """Refuse kinds of TIFF that are not accepted, in words."""
    compression = tags.number(_COMPRESSION, default=_NONE)
    if compression not in _COMPRESSIONS:
        name = _OTHER_COMPRESSIONS.get(compression, f"method {compression}")
        raise ImageError(
            f"The TIFF image is compressed by {name}; save it uncompressed, or with LZW or deflate."
        )
    if photometric not in _LEAST_SAMPLES:
        name = _OTHER_COLORS.get(photometric, f"kind {photometric}")
        raise ImageError(f"The TIFF image has {name} colours; save it in grey or RGB.")
    sample_format = tags.number(_SAMPLE_FORMAT, default=1)
    if sample_format not in {1, 4} or tags.number(_PREDICTOR, default=1) not in {1, 2}:
        raise ImageError("The TIFF image has floating-point or signed samples; save unsigned ones.")
    deep_enough = bits in {8, 16} if photometric in {_GREY, _WHITE_IS_ZERO, _RGB} else bits == 8
    one_bit = bits == 1 and samples == 1 and photometric in {_GREY, _WHITE_IS_ZERO}
    if not (deep_enough or one_bit):
        raise ImageError(f"The TIFF image has {bits} bits per sample; save it with 8 or 16.")
    if not _LEAST_SAMPLES[photometric] <= samples <= _MAX_SAMPLES:
        raise ImageError(f"The TIFF image has {samples} samples per pixel; save it in grey or RGB.")


class _Directory:
    """The tags of the first image of a file."""

    def __init__(self, data: bytes) -> None:
        self.order = "<" if data.startswith(b"II") else ">"
        self._data = data
        self._tags: dict[int, tuple[int, int, int]] = {}  # tag -> type, count, offset of values
        try:
            (start,) = struct.unpack_from(f"{self.order}I", data, 4)
            (entries,) = struct.unpack_from(f"{self.order}H", data, start)
            for entry in range(start + 2, start + 2 + 12 * entries, 12):
                tag, kind, count = struct.unpack_from(f"{self.order}HHI", data, entry)
                width = _TYPES.get(kind, ("", 8))[1]
                (offset,) = struct.unpack_from(f"{self.order}I", data, entry + 8)
                values = entry + 8 if count * width <= 4 else offset
                self._tags.setdefault(tag, (kind, count, values))
        except struct.error:
            raise ImageError("The TIFF image is truncated: it holds no whole header.") from None

    def has(self, tag: int) -> bool:
        return tag in self._tags

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the values of a tag.

        Raises:
            ImageError: the tag is missing, its values are no integers, or lie outside of the file.
        """
        kind, count, offset = self._tags.get(tag, (0, 0, 0))
        code, width = _TYPES.get(kind, ("", 0))
        if not width or not count or offset + count * width > len(self._data):
            raise ImageError(f"The TIFF image is truncated or corrupt: its tag {tag} has no value.")
        return struct.unpack_from(f"{self.order}{count}{code}", self._data, offset)

    def number(self, tag: int, *, default: int | None = None) -> int:
        if default is not None and tag not in self._tags:
            return default
        return self.numbers(tag)[0]

    def bits(self) -> int:
        """Return the bits of every sample; unequal ones are refused."""
        bits = set(self.numbers(_BITS)) if self.has(_BITS) else {1}
        if len(bits) != 1:
            raise ImageError("The TIFF image has samples of different bits; save it with 8 or 16.")
        return bits.pop()

    def color_map(self, bits: int) -> tuple[int, ...]:
        colors = self.numbers(_COLOR_MAP)
        if len(colors) != 3 << bits:
            raise ImageError("The TIFF image is corrupt: its colour map has a wrong length.")
        return colors


def _chunks(data: bytes, layout: _Layout) -> Iterator[tuple[tuple[int, int, int], NDArray[Any]]]:
    """Yield every strip or tile: (top, left, channel if planar) and its (h, w, samples)."""
    (width, height), (chunk_width, chunk_height) = layout.size, layout.chunk
    columns, rows = range(0, width, chunk_width), range(0, height, chunk_height)
    positions = [
        (top, left, channel)
        for channel in range(layout.samples if layout.planar else 1)
        for top in rows
        for left in columns
    ]
    wanted = _LEAST_SAMPLES[layout.photometric]
    tiled = layout.chunk[0] != width
    for position, offset, length in zip(positions, layout.offsets, layout.lengths, strict=True):
        top, _, channel = position
        if channel >= wanted:
            return
        lines = chunk_height if tiled else min(chunk_height, height - top)
        if offset + length > len(data):
            raise ImageError("The TIFF image is truncated: its pixels lie behind its end.")
        yield position, _chunk(data[offset : offset + length], layout, lines=lines)


def _chunk(data: bytes, layout: _Layout, *, lines: int) -> NDArray[Any]:
    """Return the (h, w, samples) of a strip or tile."""
    width, samples = layout.chunk[0], 1 if layout.planar else layout.samples
    row_bytes = (width * samples * layout.bits + 7) // 8
    try:
        raw = _decompressed(data, layout.compression, row_bytes=row_bytes, lines=lines)
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        raise ImageError(f"The TIFF image is truncated or corrupt: {error}.") from error
    if len(raw) < row_bytes * lines:
        raise ImageError("The TIFF image is truncated: a part of its pixels is missing.")
    octets = np.frombuffer(raw, dtype=np.uint8, count=row_bytes * lines).reshape(lines, row_bytes)
    if layout.bits == 1:
        return np.unpackbits(octets, axis=1)[:, :width, np.newaxis] * np.uint8(255)
    values: NDArray[Any] = octets
    if layout.bits == 16:
        values = octets.view(f"{layout.order}u2").astype(np.uint16)
    values = values.reshape(lines, width, samples)
    if layout.predictor:
        return np.cumsum(values, axis=1, dtype=values.dtype)
    return values


def _decompressed(data: bytes, compression: int, *, row_bytes: int, lines: int) -> bytes:
    """Decompress a strip or tile to at most its size."""
    match compression:
        case 1:
            return data
        case 8 | 32946:
            return zlib.decompressobj().decompress(data, row_bytes * lines)
        case _:
            return _libtiff_decompressed(data, compression, row_bytes=row_bytes, lines=lines)


def _libtiff_decompressed(data: bytes, compression: int, *, row_bytes: int, lines: int) -> bytes:
    """Wrap bytes as a grey image of 8 bits, which libtiff decompresses."""
    tags = {
        _WIDTH: row_bytes,
        _HEIGHT: lines,
        _BITS: 8,
        _COMPRESSION: compression,
        _PHOTOMETRIC: _GREY,
        _STRIP_OFFSETS: 0,
        _SAMPLES: 1,
        _ROWS_PER_STRIP: lines,
        _STRIP_BYTES: len(data),
    }
    tags[_STRIP_OFFSETS] = 8 + 2 + 12 * len(tags) + 4
    entries = [struct.pack("<HHII", tag, _LONG, 1, value) for tag, value in tags.items()]
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    file = TiffImageFile(io.BytesIO(b"".join([header, *entries, bytes(4), data])))
    file.load()
    return file.tobytes()
