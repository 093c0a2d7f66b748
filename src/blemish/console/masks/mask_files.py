"""Masks as a browser and the buckets exchange them.

    browser: gzip(JSON line, then a byte a pixel) <-> PaintedMask <-> the manifest's PNG

A browser has the mask of the upright image; the PNG lies on the image as it is stored.
Everything that a browser sends is checked: size, indices and what the indices stand for.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blemish.console.language.messages import say
from blemish.domain.entities import Label, MaskOrientation
from blemish.domain.errors import ValidationError
from blemish.domain.palette import BACKGROUND
from blemish.engine.images.headers import ImageHeader
from blemish.engine.images.masks import decode_mask
from blemish.engine.images.orientation import turn_back, turn_size
from blemish.engine.images.png import PNG_SIGNATURE, png_chunk

HEAD_BYTES = 64 * 1024
"""The longest JSON line before the pixels."""

MAX_INDEX = 255
"""Of an anomaly type in a browser: a pixel is a byte there."""

MAX_KEY_BYTES = 1024
"""Source: Amazon S3 user guide, "Naming Amazon S3 objects"."""

_GZIP = 16 + zlib.MAX_WBITS
_CHUNK = 1 << 20
_COLOR = re.compile(r"#[0-9A-F]{6}")
_MASK_KEY = re.compile(r"\.mask-[0-9a-f]{16}\.png$")


@dataclass(frozen=True, kw_only=True)
class PaintedMask:
    """An image's mask: an index for each of its pixels, and what the indices stand for."""

    #: (H, W), 0 where nothing is painted
    pixels: NDArray[np.uint8]
    #: anomaly types that have pixels: index -> ("#RRGGBB", name)
    types: Mapping[int, tuple[str, str]]
    #: the label that a person selected; paint overrules it
    selected_label: Label | None = None
    #: whether the mask does not count, because the person says that the image is no anomaly
    set_aside: bool = False

    @property
    def label(self) -> Label | None:
        """The label of the image: an image with paint that counts is an anomaly."""
        return Label.ANOMALY if self.types and not self.set_aside else self.selected_label

    @property
    def colors(self) -> dict[str, str]:
        """`#RRGGBB` -> anomaly type, as in a manifest."""
        return dict(self.types.values())


def unpack(data: bytes, *, size: tuple[int, int]) -> PaintedMask:
    """Read a mask that a browser sends.

    Args:
        data: the body of the request.
        size: (width, height) of the image as stored.

    Raises:
        ValidationError: it is damaged, or not of an image of this size.
    """
    width, height = size
    most = width * height + HEAD_BYTES
    stream = zlib.decompressobj(_GZIP)
    try:
        plain = stream.decompress(data, most)
    except zlib.error as error:
        raise ValidationError(say("The mask is damaged: {error}.", error=error)) from None
    if not stream.eof:
        raise ValidationError(say("The mask is cut off, or larger than its image."))
    head, _, body = plain.partition(b"\n")
    if len(body) != width * height:
        raise ValidationError(
            f"The mask has {len(body):,} pixels, its image {width:,} x {height:,}; they must be "
            "the same."
        )
    pixels = np.frombuffer(body, dtype=np.uint8).reshape(height, width)
    label, set_aside, known = _read_head(head)
    used = [index for index in np.flatnonzero(_counts(pixels)).tolist() if index]
    unknown = [index for index in used if index not in known]
    if unknown:
        raise ValidationError(f"The mask has pixels of types that it does not name: {unknown}.")
    return PaintedMask(
        pixels=pixels,
        types={index: known[index] for index in used},
        selected_label=label,
        set_aside=set_aside,
    )


def unpack_upright(data: bytes, header: ImageHeader) -> PaintedMask:
    """Read a mask that lies on an upright image; return it as it lies on the stored image.

    Raises:
        ValidationError: as `unpack`.
    """
    painted = unpack(data, size=turn_size(header.size, header.orientation))
    pixels = np.ascontiguousarray(turn_back(painted.pixels, header.orientation))
    return replace(painted, pixels=pixels)


def pack(pixels: NDArray[np.uint8] | None, head: Mapping[str, object]) -> bytes:
    """Return a mask as a browser reads it: a JSON line, then the pixels, compressed."""
    stream = zlib.compressobj(level=1, wbits=_GZIP)
    line = json.dumps(head).encode() + b"\n"
    body = b"" if pixels is None else np.ascontiguousarray(pixels).data
    return stream.compress(line) + stream.compress(body) + stream.flush()


def encode_png(painted: PaintedMask) -> bytes:
    """Encode a mask as a PNG with a palette: white, then the colours of its types.

    Source: PNG specification, sections 5, 9 and 11.
    """
    height, width = painted.pixels.shape
    palette_rows = np.zeros(MAX_INDEX + 1, dtype=np.uint8)
    for row, index in enumerate(painted.types, start=1):
        palette_rows[index] = row
    rows = np.zeros((height, 1 + width), dtype=np.uint8)  # each row begins with "no filter"
    rows[:, 1:] = palette_rows[painted.pixels]
    palette = "".join(color[1:] for color in (BACKGROUND, *painted.colors))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits, with a palette
    return b"".join(
        [
            PNG_SIGNATURE,
            png_chunk(b"IHDR", header),
            png_chunk(b"PLTE", bytes.fromhex(palette)),
            png_chunk(b"IDAT", zlib.compress(rows.data, level=6)),
            png_chunk(b"IEND", b""),
        ]
    )


def decode_stored(
    data: bytes,
    *,
    colors: Mapping[str, str],
    size: tuple[int, int],
    orientation: int = 1,
    drawn: MaskOrientation | None = None,
) -> tuple[Sequence[str], NDArray[np.uint8]]:
    """Decode a mask of a manifest.

    Args:
        data: a PNG.
        colors: of the manifest's line.
        size: (width, height) of the image as stored.
        orientation: EXIF orientation of the image.
        drawn: how the mask is drawn, if the line or a setting says so.

    Returns:
        The anomaly types in it, and (H, W) of 0 for none, else 1 + the type's index.

    Raises:
        ImageError: as `decode_mask`.
    """
    masks = decode_mask(data, colors=colors, size=size, orientation=orientation, drawn=drawn)
    pixels = np.zeros(size[::-1], dtype=np.uint8)
    for index, mask in enumerate(masks.values(), start=1):
        pixels[mask] = index
    return list(masks), pixels


def key_beside(image_key: str, png: bytes) -> str:
    """Return the key of a mask beside its image; another mask has another key."""
    folder, _, name = image_key.rpartition("/")
    end = f".mask-{hashlib.sha256(png).hexdigest()[:16]}.png"
    start = f"{folder}/" if folder else ""
    room = MAX_KEY_BYTES - len((start + end).encode())
    stem = name.rpartition(".")[0] or name
    return start + stem.encode()[: max(0, room)].decode(errors="ignore") + end


def is_mask_key(key: str) -> bool:
    """Tell whether an object is a mask painted here, which is no image of its own."""
    return _MASK_KEY.search(key) is not None


def _counts(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Count the pixels of each index, in bounded memory: counting takes 8 bytes a pixel."""
    flat = pixels.reshape(-1)
    counts = np.zeros(MAX_INDEX + 1, dtype=np.intp)
    for start in range(0, len(flat), _CHUNK):
        counts += np.bincount(flat[start : start + _CHUNK], minlength=MAX_INDEX + 1)
    return counts


def _read_head(head: bytes) -> tuple[Label | None, bool, dict[int, tuple[str, str]]]:
    try:
        fields = json.loads(head)
        label = None if fields["label"] is None else Label(fields["label"])
        set_aside = fields.get("set_aside") is True and label is not Label.ANOMALY
        known = {
            int(shown["index"]): (str(shown["color"]).upper(), str(shown["name"]).strip())
            for shown in fields["types"]
        }
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValidationError("The mask does not say what its pixels stand for.") from None
    for color, name in known.values():
        if not name or color == BACKGROUND or not _COLOR.fullmatch(color):
            raise ValidationError(f"{name!r:.80} cannot be an anomaly type in {color!r:.20}.")
    if len(dict(known.values())) < len(known):
        raise ValidationError("Two anomaly types of the mask have the same colour.")
    return label, set_aside, known
