import io
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blemish.engine.images.decode import ImageError, ImageLimits, decode, media_type
from blemish.engine.images.formats import MAX_PARTS
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.jpeg import MAX_JPEG_SCANS
from blemish.engine.images.masks import decode_mask
from blemish.engine.images.png import PNG_SIGNATURE, png_chunk

LIMITS = ImageLimits(min_side=1, max_side=16_384, max_pixels=100_000_000)
SHARED = Path(os.environ.get("BLEMISH_SHARED", Path(__file__).parents[4] / "shared"))


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join([PNG_SIGNATURE, png_chunk(b"IHDR", header), *chunks, png_chunk(b"IEND", b"")])


def photograph(width: int = 96, height: int = 72) -> Image.Image:
    noise = np.random.default_rng(7).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


IMAGE = photograph()
EXIF = Image.Exif()
EXIF[0x0112] = 6
FILES = {
    "baseline": encoded(IMAGE, "JPEG", exif=EXIF, icc_profile=b"profile" * 100),
    "progressive": encoded(IMAGE, "JPEG", progressive=True),
    "cmyk": encoded(IMAGE.convert("CMYK"), "JPEG"),
    "rgb": encoded(IMAGE, "PNG"),
    "palette": encoded(IMAGE.quantize(20), "PNG", transparency=3),
    "alpha": encoded(IMAGE.convert("RGBA"), "PNG", exif=EXIF),
    "bits": encoded(IMAGE.convert("1"), "PNG"),
    "deep": encoded(Image.fromarray(np.asarray(IMAGE)[..., 0].astype(np.uint16) << 4), "PNG"),
    "tiff": encoded(IMAGE, "TIFF"),
    "lzw": encoded(IMAGE, "TIFF", compression="tiff_lzw"),
    "deflate": encoded(IMAGE, "TIFF", compression="tiff_adobe_deflate"),
    "bmp": encoded(IMAGE, "BMP"),
    "palette_bmp": encoded(IMAGE.quantize(20), "BMP"),
    "webp": encoded(IMAGE, "WEBP"),
    "lossless": encoded(IMAGE, "WEBP", lossless=True, exif=EXIF),
}


def test_media_type_goes_by_the_first_bytes() -> None:
    assert media_type(FILES["baseline"]) == "image/jpeg"
    assert media_type(FILES["rgb"]) == "image/png"
    assert media_type(FILES["tiff"]) == "image/tiff"
    assert media_type(b"MM\0*") == "image/tiff"
    assert media_type(FILES["bmp"]) == "image/bmp"
    assert media_type(FILES["webp"]) == "image/webp"
    assert media_type(b"GIF89a") is None
    assert media_type(b"") is None


@pytest.mark.parametrize("data", [b"", b"GIF89a....", b"\x89PNG", b"<svg/>"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="must be a JPEG, PNG, TIFF, BMP or WebP image"):
        decode(data, limits=LIMITS)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GIF89a" + bytes(20), "a GIF image"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a HEIC image"),
        (b"\0\0\0\x18ftypavif" + bytes(20), "an AVIF image"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "an MP4 video"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04" + bytes(20), "a ZIP archive"),
        (b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 image"),
        (b"8BPS\0\x01", "a Photoshop file"),
        (b"II+\0" + bytes(20), "a BigTIFF image"),
        (bytes(128) + b"DICM" + bytes(20), "a DICOM image"),
        (b"P5\n2 2\n255\n1234", "a Netpbm image"),
        (b"  <!doctype HTML><p>Not found", "an HTML page"),
        (b"\xef\xbb\xbf{}", "a JSON text"),
        (b"hello", "a text"),
        (b"\x12\x34\x56\x99", "of an unknown format"),
    ],
)
def test_a_format_that_is_not_accepted_is_named_in_words(data: bytes, name: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, limits=LIMITS)

    assert (
        str(caught.value) == f"The file is {name}; it must be a JPEG, PNG, TIFF, BMP or WebP image."
    )


@pytest.mark.parametrize("name", ["baseline", "progressive", "cmyk"])
@pytest.mark.parametrize("appended", ["video", "zeros", "another image", "scans"])
def test_a_jpeg_is_read_up_to_its_end_marker(name: str, appended: str) -> None:
    rest = {
        "video": b"\0\0\0\x18ftypmp42" + np.random.default_rng(3).bytes(1 << 20),
        "zeros": bytes(1000),
        "another image": FILES["progressive"],
        "scans": b"\xff\xda\0\x02" * 1000,
    }[appended]

    image = decode(FILES[name] + rest, limits=LIMITS)

    assert (image.pixels == decode(FILES[name], limits=LIMITS).pixels).all()
    assert read_image_header(FILES[name] + rest) == read_image_header(FILES[name])


def test_a_jpeg_of_12_bits_is_refused_in_words() -> None:
    data = bytearray(FILES["baseline"])
    data[data.index(b"\xff\xc0") + 4] = 12

    with pytest.raises(ImageError, match="has 12 bits per sample"):
        decode(bytes(data), limits=LIMITS)


@pytest.mark.parametrize("side", [30_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    bomb = png(side, side, png_chunk(b"IDAT", zlib.compress(bytes(10_000))))

    with pytest.raises(ImageError, match=f"{side:,} x {side:,} pixels") as caught:
        decode(bomb, limits=LIMITS)

    assert caught.value.__cause__ is None  # no decoder was asked


def test_a_jpeg_of_too_many_pixels_is_refused_by_its_header() -> None:
    data = bytearray(FILES["baseline"])
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 16_000, 16_000)

    with pytest.raises(ImageError, match="16,000 x 16,000 pixels") as caught:
        decode(bytes(data), limits=LIMITS)

    assert caught.value.__cause__ is None


def test_compressed_text_and_profiles_of_a_png_are_not_unpacked() -> None:
    bomb = zlib.compress(bytes(64 << 20))  # Pillow itself would refuse more than 1 MiB
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(64 * (1 + 64 * 3))))
    text, profile = png_chunk(b"zTXt", b"a\0\0" + bomb), png_chunk(b"iCCP", b"a\0\0" + bomb)

    image = decode(png(64, 64, text, profile, pixels), limits=LIMITS)

    assert not image.pixels.any()


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = FILES["progressive"]
    last_scan = data[data.rindex(b"\xff\xda") : -2]

    with pytest.raises(ImageError, match=f"more than {MAX_JPEG_SCANS} scans"):
        decode(data[:-2] + last_scan * MAX_JPEG_SCANS + data[-2:], limits=LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        PNG_SIGNATURE + png_chunk(b"IHDR", bytes(13)) + png_chunk(b"IDAT", b"") * (MAX_PARTS + 2),
        b"\xff\xd8" + b"\xff\xe5\0\2" * (MAX_PARTS + 2),
        b"\xff\xd8\xff\xda\0\2" + b"\xff\xc4\0\2" * (MAX_PARTS + 2),
    ],
)
def test_a_file_of_many_empty_parts_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="more than 100,000 parts"):
        read_image_header(data)


def test_a_second_frame_header_cannot_claim_another_size() -> None:
    data = FILES["baseline"]
    frame = data.index(b"\xff\xc0")
    header = data[frame : frame + 19]

    with pytest.raises(ImageError, match="2 frame headers"):
        decode(data[:frame] + header + data[frame:], limits=LIMITS)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused(name: str) -> None:
    data = FILES[name]

    for tenth in range(10):
        with pytest.raises(ImageError):
            decode(data[: len(data) * tenth // 10], limits=LIMITS)


def test_a_png_that_has_nothing_but_its_end_is_refused() -> None:
    with pytest.raises(ImageError, match="does not begin with its header"):
        read_image_header(PNG_SIGNATURE + png_chunk(b"IEND", b""))


@pytest.mark.parametrize("name", ["rgb", "palette", "alpha", "bits"])
def test_a_png_with_a_flipped_bit_in_its_pixels_is_refused(name: str) -> None:
    data = bytearray(FILES[name])
    data[data.index(b"IDAT") + 20] ^= 1

    with pytest.raises(ImageError, match="checksum"):
        decode(bytes(data), limits=LIMITS)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif",
        b"XX*\0\x08\0\0\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x00\0\0",  # orientation 0
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0",  # orientation 9
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01\0\x06\0\0",  # text, not a number
    ],
)
def test_unreadable_exif_counts_as_upright(exif: bytes) -> None:
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(exif)) + b"Exif\0\0" + exif
    data = FILES["progressive"]

    assert read_image_header(data[:2] + segment + data[2:]).orientation == 1


def test_exif_is_read_in_either_byte_order() -> None:
    big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"

    for exif in (big, little):
        assert read_image_header(png(1, 1, png_chunk(b"eXIf", exif))).orientation == 6


@given(data=st.binary(max_size=300), name=st.sampled_from(["", *FILES]))
def test_random_bytes_raise_nothing_but_image_errors(data: bytes, name: str) -> None:
    start = FILES[name][:64] if name else b""

    with pytest.raises(ImageError):
        decode(start + data, limits=LIMITS)


@given(
    name=st.sampled_from(list(FILES)),
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 3), st.binary(max_size=4)),
        min_size=1,
        max_size=8,
    ),
    mend=st.booleans(),
)
def test_mutated_files_raise_nothing_but_image_errors(
    name: str, edits: list[tuple[float, int, bytes]], *, mend: bool
) -> None:
    data = FILES[name]
    for where, removed, added in edits:
        start = int(where**2 * len(data))  # more often near the header
        data = data[:start] + added + data[start + removed :]
    if mend:
        data = with_right_checksums(data)

    with suppress(ImageError):
        decode(data, limits=LIMITS)
    with suppress(ImageError):
        decode_mask(data, colors={"#000000": "hole"}, size=IMAGE.size)


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason=f"no real images in {SHARED}")
def test_a_real_photograph_that_is_cut_off_or_damaged_raises_nothing_but_image_errors() -> None:
    data = (SHARED / "data/cookies/training-images/normal-1.jpg").read_bytes()
    generator = np.random.default_rng(0)

    for tenth in range(10):
        with pytest.raises(ImageError):
            decode(data[: len(data) * tenth // 10], limits=LIMITS)
    for _ in range(20):
        damaged = bytearray(data)
        for place in generator.integers(2, len(data), 5):
            damaged[place] = generator.integers(256)
        try:
            image = decode(bytes(damaged), limits=LIMITS)
        except ImageError:
            continue
        assert image.pixels.dtype == np.uint8


def with_right_checksums(data: bytes) -> bytes:
    """Mend the checksums of a PNG, so that damage inside of its chunks reaches the decoder."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    mended, start = [PNG_SIGNATURE], 8
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        mended.append(png_chunk(kind, data[start + 8 : start + 8 + length]))
        start += 12 + length
    return b"".join(mended)
