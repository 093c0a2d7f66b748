import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.images.decode import DecodedImage, ImageError, ImageLimits, decode
from blemish.engine.images.png import PNG_SIGNATURE, png_chunk
from blemish.engine.images.samples import range_notes

LIMITS = ImageLimits(min_side=1, max_side=4_096, max_pixels=1_000_000)
SHORT, LONG = 3, 4
GREY, RGB, CHANNELS = 1, 2, {1: 1, 2: 3}
DEFLATE, LZW, NONE = 8, 5, 1


def samples_of(bits: int, channels: int, *, seed: int = 0) -> NDArray[np.uint16]:
    """(17, 23, channels) of all values up to so many bits; the highest bit is in use."""
    samples = np.random.default_rng(seed).integers(0, 1 << bits, (17, 23, channels))
    samples[:3] |= 1 << (bits - 1)
    return samples.astype(np.uint16)


def lzw(data: bytes) -> bytes:
    """Encode bytes as LZW with nothing but literal codes."""
    codes = []
    for start in range(0, len(data), 200):
        codes += [256, *data[start : start + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


ENCODERS: dict[int, Callable[[bytes], bytes]] = {
    NONE: lambda data: data,
    DEFLATE: zlib.compress,
    LZW: lzw,
}


def tiff(
    samples: NDArray[np.uint16],
    *,
    bits: int,
    order: str = "<",
    compression: int = NONE,
    predictor: bool = False,
    planar: bool = False,
    tile: int | None = None,
    rows: int = 5,
    orientation: int = 1,
) -> bytes:
    """Encode (H, W, C) samples of 8 or 16 bits as TIFF."""
    height, width, channels = samples.shape
    dtype = f"{order}u2" if bits == 16 else "u1"
    planes = [samples[..., [c]] for c in range(channels)] if planar else [samples]
    chunks = []
    for plane in planes:
        for top in range(0, height, tile or rows):
            for left in range(0, width, tile or width):
                part = plane[top : top + (tile or rows), left : left + (tile or width)]
                if tile:
                    room = [(0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)]
                    part = np.pad(part, room)
                values = part.astype(np.uint16 if bits == 16 else np.uint8)
                if predictor:
                    values = np.diff(values, axis=1, prepend=np.zeros_like(values[:, :1]))
                raw = values.astype(dtype).tobytes()
                chunks.append(ENCODERS[compression](raw))
    offsets = [8 + sum(map(len, chunks[:k])) for k in range(len(chunks))]
    end = 8 + sum(map(len, chunks))
    lengths = list(map(len, chunks))
    tags: dict[int, tuple[int, list[int]]] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [bits] * channels),
        259: (SHORT, [compression]),
        262: (SHORT, [RGB if channels >= 3 else GREY]),
        274: (SHORT, [orientation]),
        277: (SHORT, [channels]),
        284: (SHORT, [2 if planar else 1]),
        317: (SHORT, [2 if predictor else 1]),
    }
    if tile:
        tags |= {
            322: (LONG, [tile]),
            323: (LONG, [tile]),
            324: (LONG, offsets),
            325: (LONG, lengths),
        }
    else:
        tags |= {273: (LONG, offsets), 278: (LONG, [rows]), 279: (LONG, lengths)}
    entries, extra = b"", b""
    behind = end + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)
        if len(packed) > 4:
            entries += struct.pack(f"{order}HHII", tag, kind, len(numbers), behind + len(extra))
            extra += packed
        else:
            entries += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + packed.ljust(4, b"\0")
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", end)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return start + b"".join(chunks) + directory + extra


def png(samples: NDArray[np.uint16], *, color_type: int) -> bytes:
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    rows = samples.astype(">u2").reshape(height, -1)
    up = np.diff(rows.view(np.uint8).reshape(height, -1), axis=0, prepend=0).astype(np.uint8)
    data = b"".join(b"\2" + row.tobytes() for row in up)  # the filter "up"
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, content) for kind, content in chunks)


def expected(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    eight = np.minimum(samples >> (bits - 8), 255)
    return np.repeat(eight, 3, axis=2) if samples.shape[2] == 1 else eight[..., :3]


def read(data: bytes, bits: int | None = None) -> DecodedImage:
    return decode(data, limits=LIMITS, sample_bits=bits)


containers = st.one_of(
    st.sampled_from(["png", "png with alpha"]),
    st.fixed_dictionaries(
        {
            "order": st.sampled_from("<>"),
            "compression": st.sampled_from([NONE, DEFLATE, LZW]),
            "predictor": st.booleans(),
            "planar": st.booleans(),
            "tile": st.sampled_from([None, 16]),
            "rows": st.integers(1, 20),
        }
    ),
)


@given(
    bits=st.integers(8, 16),
    channels=st.sampled_from([1, 3]),
    container=containers,
    range_bits=st.none() | st.integers(8, 16),
    seed=st.integers(0, 99),
)
def test_samples_of_any_depth_in_any_container_are_mapped_by_their_range(
    bits: int, channels: int, container: str | dict[str, object], range_bits: int | None, seed: int
) -> None:
    samples = samples_of(bits, channels, seed=seed)
    match container:
        case "png":
            data = png(samples, color_type=0 if channels == 1 else 2)
        case "png with alpha":
            alpha = samples_of(16, 1, seed=seed + 1)
            data = png(
                np.concatenate([samples, alpha], axis=2), color_type=4 if channels == 1 else 6
            )
        case options:
            data = tiff(samples, bits=16, **options)  # type: ignore[arg-type]

    image = read(data, range_bits)

    assert image.used_bits == bits
    assert (image.pixels == expected(samples, range_bits or bits)).all()


@given(channels=st.sampled_from([1, 3]), container=containers, seed=st.integers(0, 99))
def test_tiff_of_8_bits_gives_its_samples(
    channels: int, container: str | dict[str, object], seed: int
) -> None:
    options = {} if isinstance(container, str) else container
    samples = samples_of(8, channels, seed=seed)

    image = read(tiff(samples, bits=8, **options))  # type: ignore[arg-type]

    assert image.used_bits is None
    assert (image.pixels == np.broadcast_to(samples, (17, 23, 3))).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_files_of_pillow_are_read_as_pillow_reads_them(mode: str, compression: str) -> None:
    image = Image.fromarray(samples_of(8, 3).astype(np.uint8)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", compression=compression)

    assert (read(buffer.getvalue()).pixels == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp_files_are_read_as_pillow_reads_them(mode: str) -> None:
    image = Image.fromarray(samples_of(8, 3).astype(np.uint8)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "BMP")

    assert (read(buffer.getvalue()).pixels == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lossless_webp_files_keep_their_colours(mode: str) -> None:
    image = Image.fromarray(samples_of(8, 3).astype(np.uint8)).convert(mode)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(buffer, "WEBP", lossless=True, exif=exif)

    decoded = read(buffer.getvalue())

    assert (decoded.orientation, decoded.stored_size) == (6, (23, 17))
    assert (decoded.pixels == np.rot90(np.asarray(image.convert("RGB")), -1)).all()


def test_a_tiff_is_turned_by_its_own_tag() -> None:
    samples = samples_of(8, 3)

    image = read(tiff(samples, bits=8, orientation=3))

    assert (image.pixels == samples[::-1, ::-1]).all()


@pytest.mark.parametrize(
    ("side", "channels", "hot"), [(200, 1, 4), (64, 1, 2), (64, 3, 2)], ids=str
)
def test_hot_pixels_do_not_define_the_range(side: int, channels: int, hot: int) -> None:
    samples = np.full((side, side, channels), 4_000, np.uint16)
    samples[0, :hot] = 65_535

    assert read(tiff(samples, bits=16)).used_bits == 12


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        (259, 7, "compressed by JPEG"),
        (259, 4, "compressed by CCITT"),
        (262, 6, "YCbCr colours"),
        (258, 12, "12 bits per sample"),
        (258, 32, "32 bits per sample"),
        (277, 9, "9 samples per pixel"),
        (317, 3, "floating-point or signed"),
    ],
)
def test_kinds_of_tiff_that_are_not_accepted_are_named(tag: int, value: int, message: str) -> None:
    data = bytearray(tiff(samples_of(8, 1), bits=8))
    (directory,) = struct.unpack_from("<I", data, 4)
    for entry in range(directory + 2, directory + 2 + 12 * 12, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<H", data, entry + 8, value)

    with pytest.raises(ImageError, match=message):
        read(bytes(data))


def test_a_strip_that_unpacks_to_more_than_its_size_is_cut() -> None:
    bomb = zlib.compress(bytes(64 << 20))
    data = bytearray(tiff(samples_of(8, 1), bits=8, compression=DEFLATE, rows=17))
    (directory,) = struct.unpack_from("<I", data, 4)
    for entry in range(directory + 2, directory + 2 + 12 * 12, 12):
        tag = struct.unpack_from("<H", data, entry)[0]
        if tag in {273, 279}:
            struct.pack_into("<I", data, entry + 8, len(data) if tag == 273 else len(bomb))

    assert not read(bytes(data) + bomb).pixels.any()


def test_the_ranges_of_training_images_are_said() -> None:
    assert range_notes([None, None]) == ()
    assert range_notes([12, 11, None]) == (
        "2 training images have more than 8 bits per sample. They use up to 12 bits: values from 0 "
        "to 4,095 count as black to white.",
    )
    assert range_notes([12, None]) == (
        "1 training image has more than 8 bits per sample. It uses up to 12 bits: values from 0 "
        "to 4,095 count as black to white.",
    )
    assert "1 uses 12 bits, 2 use 16 bits" in range_notes([16, 12, 16])[1]
