"""Anomaly masks: PNG files whose colours name anomaly types, decoded and encoded."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.entities import MaskOrientation
from blemish.domain.palette import BACKGROUND, BACKGROUND_CLASS
from blemish.engine.images.decode import load_pixels
from blemish.engine.images.formats import (
    FORMATS,
    PNG,
    ImageError,
    ImageHeader,
    media_type,
    unknown_content,
)
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.orientation import turn_back, turn_size
from blemish.engine.images.png import PNG_SIGNATURE, png_chunk
from blemish.engine.images.sizes import pixel_size

MAX_NAMED_COLORS = 3
"""Colours of a mask in a message."""

MAX_COMPARED_COLORS = 256
"""The most frequent colours of a mask, of which a message names some."""

_HEX_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


def decode_mask(
    data: bytes,
    *,
    colors: Mapping[str, str],
    size: tuple[int, int],
    orientation: int = 1,
    drawn: MaskOrientation | None = None,
    name: str = "",
) -> dict[str, NDArray[np.bool_]]:
    """Decode an anomaly mask: a PNG of any mode whose colours say what a pixel shows.

    A pixel is background if it is less than half opaque (the original's sample has soft edges), has
    a colour of the class `background`, or is white and no anomaly type is white.

    Args:
        data: a PNG file.
        colors: `#RRGGBB`, in any case, to the anomaly type; a manifest's `internal-color-map`.
        size: (width, height) of the image as stored.
        orientation: EXIF orientation of the image, 1 to 8. A mask that fits only the upright image
            is drawn on that; a mask that fits both is as stored unless `drawn` says otherwise.
        drawn: how the mask is drawn; None where nothing says so.
        name: of the mask, in messages about a file that is no whole PNG.

    Returns:
        (H, W) of each anomaly type that has pixels, as the image is stored.

    Raises:
        ImageError: not a PNG, truncated or corrupt, of another size, or a pixel has a colour that
            `colors` does not name.
    """
    subject = f"The mask {name}" if name else "The mask"
    header = _png_header(data, subject=subject, colors=colors)
    is_upright = _is_upright(header.size, size=size, orientation=orientation, drawn=drawn)
    rgba = _mask_pixels(header, subject=subject)
    codes = rgba.view("<u4")[..., 0] & np.uint32(0xFFFFFF)
    unknown = rgba[..., 3] >= 128
    masks: dict[str, NDArray[np.bool_]] = {}
    for code, anomaly_type in _types_by_color(colors).items():
        pixels = unknown & (codes == code)
        unknown &= ~pixels
        if anomaly_type is not None and pixels.any():
            known = masks.get(anomaly_type)
            masks[anomaly_type] = pixels if known is None else known | pixels
    if unknown.any():
        raise _unknown_color(codes[unknown], colors)
    if is_upright:
        return {name: turn_back(mask, orientation) for name, mask in masks.items()}
    return masks


def fits_both_ways(size: tuple[int, int], orientation: int) -> bool:
    """Return whether the masks of an image fit it as stored and upright, in different ways."""
    return orientation != 1 and turn_size(size, orientation) == size


def is_drawn_otherwise(
    data: bytes, *, size: tuple[int, int], orientation: int, drawn: MaskOrientation | None
) -> bool:
    """Return whether the size of a mask, already decoded, contradicts what `drawn` says."""
    if drawn is None or turn_size(size, orientation) == size:
        return False
    is_upright = read_image_header(data).size != size
    return is_upright != (drawn is MaskOrientation.UPRIGHT)


def empty_mask_error(data: bytes, *, colors: Mapping[str, str]) -> ImageError:
    """Return the error of an anomalous image whose mask, already decoded, shows no anomaly."""
    return ImageError(
        "The mask shows no anomaly, though its image is labelled as one."
        + _colors_text(read_image_header(data), colors)
    )


def encode_mask(mask: NDArray[np.uint8], *, colors: Sequence[str]) -> bytes:
    """Encode an (H, W) mask of indices into `colors` (`#RRGGBB`) as an 8-bit RGB PNG.

    The file is written here because Pillow tries five filters on every row. A row that equals the
    one above, as most do in an upsampled mask, is stored as a difference of zeros; only the other
    rows are coloured.

    Source: PNG specification, sections 5, 9 (filters "none" and "up") and 11.
    """
    height, width = mask.shape
    is_new = np.ones(height, dtype=np.bool_)
    np.any(mask[1:] != mask[:-1], axis=1, out=is_new[1:])
    paletted = Image.fromarray(mask[is_new])
    paletted.putpalette(bytes.fromhex("".join(color[1:] for color in colors)))
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)
    rows[:, 0] = np.where(is_new, 0, 2)
    rows[is_new, 1:] = np.asarray(paletted.convert("RGB")).reshape(-1, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    return b"".join(
        [
            PNG_SIGNATURE,
            png_chunk(b"IHDR", header),
            png_chunk(b"IDAT", zlib.compress(rows.data, level=1)),
            png_chunk(b"IEND", b""),
        ]
    )


def _png_header(data: bytes, *, subject: str, colors: Mapping[str, str]) -> ImageHeader:
    """Read the header of a mask.

    Raises:
        ImageError: no PNG, or cut off or damaged; the message begins with `subject`.
    """
    if media_type(data) is None:
        raise ImageError(f"{subject} {unknown_content(data)}; a mask must be a PNG image.")
    try:
        header = read_image_header(data)
        if header.media_type == PNG:
            return header
        colors_text = _colors_text(header, colors)
    except ImageError as error:
        raise _with_subject(error, subject) from error
    raise ImageError(
        f"{subject} is a {FORMATS[header.media_type]} image; a mask must be a PNG image."
        + colors_text
    )


def _mask_pixels(header: ImageHeader, *, subject: str) -> NDArray[np.uint8]:
    """Return the (H, W, 4) RGBA pixels of a mask; errors begin with `subject`."""
    try:
        return np.asarray(load_pixels(header, mode="RGBA"))
    except ImageError as error:
        raise _with_subject(error, subject) from error


def _with_subject(error: ImageError, subject: str) -> ImageError:
    """Return the error of a decoder, which calls every file an image, as one about a mask."""
    return ImageError(re.sub(r"^The (\w+ )?image\b", lambda _: subject, str(error)))


def _is_upright(
    mask_size: tuple[int, int],
    *,
    size: tuple[int, int],
    orientation: int,
    drawn: MaskOrientation | None,
) -> bool:
    """Return whether a mask is drawn on the upright image.

    Raises:
        ImageError: its size fits the image neither way.
    """
    upright_size = turn_size(size, orientation)
    if mask_size not in {size, upright_size}:
        upright = f" ({pixel_size(upright_size)} upright)" if upright_size != size else ""
        raise ImageError(
            f"The mask has {pixel_size(mask_size)} pixels, its image {pixel_size(size)}{upright}; "
            "they must be the same."
        )
    if size == upright_size:
        return drawn is MaskOrientation.UPRIGHT
    return mask_size == upright_size


def _colors_text(header: ImageHeader, colors: Mapping[str, str]) -> str:
    """Return the colours of a mask, those near to an anomaly type first, as a sentence."""
    rgba = np.asarray(load_pixels(header, mode="RGBA"))
    values, counts = np.unique(rgba.view("<u4")[..., 0], return_counts=True)
    entries = []
    for row in np.argsort(-counts, kind="stable")[:MAX_COMPARED_COLORS]:
        red, green, blue, alpha = int(values[row]).to_bytes(4, "little")
        color = f"#{red:02X}{green:02X}{blue:02X}"
        nearest, name = _nearest(color, colors)
        opacity = "" if alpha == 255 else f", {alpha / 255:.0%} opaque"
        text = f"{color}{opacity} ({counts[row]:,} {_pixels(counts[row])}"
        text += ")" if nearest == color else f", nearest to {nearest} of {name})"
        entries.append((name == BACKGROUND_CLASS, text))
    entries.sort(key=lambda entry: entry[0])
    named = [text for _, text in entries[:MAX_NAMED_COLORS]]
    more = len(values) - len(named)
    rest = f" and {more:,} more" if more > 0 else ""
    return f" Its colours are {'; '.join(named)}{rest}."


def _nearest(color: str, colors: Mapping[str, str]) -> tuple[str, str]:
    """Return the colour of a map, or the background, that is nearest to another colour."""
    known = {BACKGROUND: BACKGROUND_CLASS} | {key.upper(): name for key, name in colors.items()}

    def distance(candidate: str) -> int:
        pairs = zip(bytes.fromhex(color[1:]), bytes.fromhex(candidate[1:]), strict=True)
        return sum((a - b) ** 2 for a, b in pairs)

    nearest = min(known, key=distance)
    return nearest, known[nearest]


def _types_by_color(colors: Mapping[str, str]) -> dict[int, str | None]:
    """Map the code of a colour to its anomaly type, None for background."""
    types: dict[int, str | None] = {}
    for color, name in colors.items():
        if not _HEX_COLOR.fullmatch(color):
            raise ImageError(f"The colour of '{name}' is '{color}'; it must be like #23A436.")
        types[_color_code(color)] = None if name.casefold() == BACKGROUND_CLASS else name
    types.setdefault(_color_code(BACKGROUND), None)
    return types


def _color_code(color: str) -> int:
    """Return #RRGGBB as 0xBBGGRR, which is how its bytes read as one number."""
    return int.from_bytes(bytes.fromhex(color[1:]), "little")


def _pixels(count: int) -> str:
    return "pixel" if count == 1 else "pixels"


def _unknown_color(codes: NDArray[np.uint32], colors: Mapping[str, str]) -> ImageError:
    unknown, counts = np.unique(codes, return_counts=True)
    most = counts.argmax()
    color = int(unknown[most]).to_bytes(3, "little").hex().upper()
    more = len(unknown) - 1
    others = f" and {more} more unknown colour{'s' if more > 1 else ''}" if more else ""
    nearest, name = _nearest(f"#{color}", colors)
    known = ", ".join(f"{known} ({name})" for known, name in colors.items()) or "none"
    return ImageError(
        f"The mask has {counts[most]:,} {_pixels(counts[most])} of the colour #{color}{others}; "
        f"its map of colours names {known}. #{color} is nearest to {nearest} of {name}."
    )
