"""Images and masks: decoding, checking, resizing.

The only such path, for training, hosting and edge: what a detector was trained on and what it is
asked about later come through the same functions. numpy and Pillow alone.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from blemish.domain.limits import Limits
from blemish.domain.palette import BACKGROUND
from blemish.engine.images.headers import (
    PNG,
    PNG_SIGNATURE,
    Container,
    ImageError,
    media_type,
    png_chunk,
    read_container,
)

__all__ = [
    "GRAPH_STEP",
    "IMAGENET_DEVIATION",
    "IMAGENET_MEAN",
    "DecodedImage",
    "ImageError",
    "ImageLimits",
    "decode",
    "decode_mask",
    "encode_mask",
    "graph_size",
    "least_decoded",
    "media_type",
    "resize",
    "turn",
    "turn_back",
]

_Item = TypeVar("_Item", bound=np.generic)

BACKGROUND_CLASS = "background"
"""The class of pixels without an anomaly, in any case; a mask's map of colours may name it."""

GRAPH_STEP = 32
"""What the sides of a graph's images are multiples of: the stride of a residual network's end."""

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)
"""Of RGB values from 0 to 1. Source: torchvision, "Models and pre-trained weights"."""

_HEX_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")

# What Pillow's two decoders raise over damaged data, found by fuzzing them.
_DECODING_ERRORS = (OSError, SyntaxError, ValueError)

# EXIF orientation -> (swap rows and columns, then reverse rows, reverse columns).
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True)
class ImageLimits:
    """How large an image may be, in pixels."""

    min_side: int
    max_side: int
    max_pixels: int

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """Return what the limits of the service say of images."""
        return cls(
            min_side=limits.image_min_side,
            max_side=limits.image_max_side,
            max_pixels=limits.image_max_pixels,
        )


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """A decoded image."""

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB, upright; smaller where it was decoded reduced
    stored_size: tuple[int, int]  # (width, height) as stored, before the EXIF turn
    orientation: int  # EXIF, 1 to 8

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the whole image after the EXIF turn."""
        return _turned(self.stored_size, self.orientation)


def decode(
    data: bytes, *, limits: ImageLimits, at_least: tuple[int, int] | None = None
) -> DecodedImage:
    """Decode a JPEG or PNG file to upright 8-bit RGB.

    Every mode is accepted: of 16-bit samples the high byte is taken, CMYK is converted by plain
    subtraction, an alpha channel is dropped (the colours below it are kept as they are stored), of
    an animation the still image is read. Colour profiles are not applied.

    Args:
        data: the file.
        limits: how large the image may be.
        at_least: (width, height) upright; a JPEG is decoded at 1/8, 1/4 or 1/2 of its size, the
            smallest at which it is at least so large, where there is one. This gives other pixels
            than to decode all and resize, so training and detection must be told the same.

    Raises:
        ImageError: the data are no JPEG or PNG, are truncated or corrupt, or the size is not
            within the limits. The size is checked before any pixel is decoded.
    """
    container = read_container(data)
    _check_size(container.size, limits)
    if at_least:
        at_least = _turned(at_least, container.orientation)
    stored = np.asarray(_load(container, mode="RGB", at_least=at_least))
    return DecodedImage(
        pixels=np.ascontiguousarray(turn(stored, container.orientation)),
        stored_size=container.size,
        orientation=container.orientation,
    )


def resize(pixels: NDArray[np.uint8], *, width: int, height: int) -> NDArray[np.uint8]:
    """Resize (H, W, 3) RGB by Pillow's bilinear filter, which averages when it shrinks.

    The same pixels come back when the size is the same already.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def graph_size(
    width: int, height: int, *, long_side: int = 256, step: int = GRAPH_STEP
) -> tuple[int, int]:
    """Return the (width, height) at which a graph sees images of this size.

    Both are multiples of `step`: the longer side the nearest to `long_side`, the other the one that
    keeps the aspect best.

    Raises:
        ValueError: `long_side` is less than `step`.
    """
    if long_side < step:
        raise ValueError(f"long_side must be at least {step}, got {long_side}")

    def side(length: int) -> int:
        steps = int(length * long_side / (max(width, height) * step) + 0.5)
        return max(steps, 1) * step

    return side(width), side(height)


def least_decoded(width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) that a JPEG is decoded at, at least, for a graph of this size.

    Twice as long, so that the last step is Pillow's, whose filter averages: brought to less than
    that by libjpeg's scaling, images cost up to 0.02 of the image AUROC of a set.
    """
    return 2 * width, 2 * height


def turn(array: NDArray[_Item], orientation: int) -> NDArray[_Item]:
    """Turn an (H, W, ...) array from as stored to upright; a view.

    Source: Exif 2.32, section 4.6.4, tag 274.
    """
    swap, rows, columns = _TURNS[orientation]
    turned = array.swapaxes(0, 1) if swap else array
    return _reverse(turned, rows=rows, columns=columns)


def turn_back(array: NDArray[_Item], orientation: int) -> NDArray[_Item]:
    """Turn an (H, W, ...) array from upright to as stored; a view, the inverse of `turn`."""
    swap, rows, columns = _TURNS[orientation]
    turned = _reverse(array, rows=rows, columns=columns)
    return turned.swapaxes(0, 1) if swap else turned


def decode_mask(
    data: bytes, *, colors: Mapping[str, str], size: tuple[int, int]
) -> dict[str, NDArray[np.bool_]]:
    """Decode an anomaly mask: a PNG of any mode whose colours say what a pixel shows.

    Background is what is less than half opaque, whatever its colour (the masks of the original's
    own sample are drawn on a transparent layer, with soft edges), every colour of the class
    `background`, and white unless it is the colour of an anomaly type.

    Args:
        data: a PNG file.
        colors: `#RRGGBB`, in any case, to the anomaly type; what a manifest calls
            `internal-color-map`.
        size: (width, height) of the image as stored; a mask is never turned by EXIF.

    Returns:
        (H, W) of each anomaly type that has pixels.

    Raises:
        ImageError: not a PNG, truncated or corrupt, of another size, or a pixel has a colour that
            `colors` does not name.
    """
    container = read_container(data)
    if container.media_type != PNG:
        raise ImageError("The mask is a JPEG image; a mask must be a PNG image.")
    if container.size != size:
        raise ImageError(
            f"The mask has {_pixels(container.size)} pixels, its image {_pixels(size)}; they "
            "must be the same."
        )
    rgba = np.asarray(_load(container, mode="RGBA"))
    codes = rgba.view("<u4")[..., 0] & np.uint32(0xFFFFFF)
    unknown = rgba[..., 3] >= 128
    masks: dict[str, NDArray[np.bool_]] = {}
    for code, anomaly_type in _types_by_color(colors).items():
        found = unknown & (codes == code)
        unknown &= ~found
        if anomaly_type is not None and found.any():
            masks[anomaly_type] = masks[anomaly_type] | found if anomaly_type in masks else found
    if unknown.any():
        raise _unknown_color(codes[unknown], colors)
    return masks


def encode_mask(mask: NDArray[np.uint8], *, colors: Sequence[str]) -> bytes:
    """Encode an (H, W) mask of indices into `colors` (`#RRGGBB`) as an 8-bit RGB PNG.

    The file is written here because Pillow tries five filters on every row, of which flat colours
    need none: it took 8 ms for 576x768, this takes 3 ms, nearly all of it zlib's.

    Source: PNG specification, sections 5, 9 and 11.
    """
    height, width = mask.shape
    paletted = Image.fromarray(mask)
    paletted.putpalette(bytes.fromhex("".join(color[1:] for color in colors)))
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each row begins with "no filter"
    rows[:, 1:] = np.asarray(paletted.convert("RGB")).reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    return b"".join(
        [
            PNG_SIGNATURE,
            png_chunk(b"IHDR", header),
            png_chunk(b"IDAT", zlib.compress(rows.data, level=1)),
            png_chunk(b"IEND", b""),
        ]
    )


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if (
        min(size) < limits.min_side
        or max(size) > limits.max_side
        or width * height > limits.max_pixels
    ):
        raise ImageError(
            f"The image has {_pixels(size)} pixels; each side must be {limits.min_side:,} to "
            f"{limits.max_side:,} pixels, and both together at most {limits.max_pixels:,}."
        )


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Bring a (width, height) from as stored to upright, or back."""
    return size[::-1] if _TURNS[orientation][0] else size


def _load(
    container: Container, *, mode: str, at_least: tuple[int, int] | None = None
) -> Image.Image:
    """Decode the pixels and convert them to 8-bit `mode`, without a turn.

    Pillow's decoders are called by name: `Image.open` would try more formats, and warn or raise
    by a limit of its own. `at_least` is a (width, height) as stored.
    """
    decoder = PngImageFile if container.media_type == PNG else JpegImageFile
    try:
        decoded = decoder(io.BytesIO(container.pixel_data))
        decoded.draft(None, at_least)  # a PNG stays as it is
        decoded.load()
    except _DECODING_ERRORS as error:
        raise ImageError(f"The image is truncated or corrupt: {error}.") from error
    image: Image.Image = decoded
    if image.mode == "I;16":  # Pillow would clip at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if mode == "RGB":
        image.info.pop("transparency", None)  # Pillow would warn that it is lost
    return image if image.mode == mode else image.convert(mode)  # it would copy


def _reverse(array: NDArray[_Item], *, rows: bool, columns: bool) -> NDArray[_Item]:
    return array[:: -1 if rows else 1, :: -1 if columns else 1]


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


def _unknown_color(codes: NDArray[np.uint32], colors: Mapping[str, str]) -> ImageError:
    found, counts = np.unique(codes, return_counts=True)
    most = counts.argmax()
    color = int(found[most]).to_bytes(3, "little").hex().upper()
    others = f" and {len(found) - 1} more unknown colours" if len(found) > 1 else ""
    known = ", ".join(f"{known} ({name})" for known, name in colors.items()) or "none"
    return ImageError(
        f"The mask has {counts[most]:,} pixels of the colour #{color}{others}; its map "
        f"of colours names {known}."
    )


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]:,} x {size[1]:,}"
