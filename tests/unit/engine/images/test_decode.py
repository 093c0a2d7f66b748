import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from blemish.engine.images.decode import ImageError, ImageLimits, decode
from blemish.engine.images.masks import decode_mask, encode_mask
from blemish.engine.images.orientation import turn, turn_back
from blemish.engine.images.png import PNG_SIGNATURE, png_chunk
from blemish.engine.images.resize import graph_size, least_decoded, resize

LIMITS = ImageLimits(min_side=8, max_side=4_096, max_pixels=1_000_000)
SHARED = Path(os.environ.get("BLEMISH_SHARED", Path(__file__).parents[4] / "shared"))
COOKIES = SHARED / "data/cookies"
COLORS = {"#23A436": "cracked", "#14A3B3": "stained"}
ORIENTATION = 0x0112


def encoded(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def gradients() -> NDArray[np.uint8]:
    """(48, 64, 3), no two corners alike."""
    row, column = np.mgrid[0:48, 0:64]
    return np.stack([row * 5, column * 4, 255 - row * 2 - column], axis=2).astype(np.uint8)


RGB = gradients()
IMAGE = Image.fromarray(RGB)
GREY = IMAGE.convert("L")


def grey_as_rgb(grey: Image.Image) -> NDArray[np.uint8]:
    return np.repeat(np.asarray(grey)[..., None], 3, axis=2)


def rgb_png_of_16_bits(samples: NDArray[np.uint16]) -> bytes:
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, content) for kind, content in chunks)


@pytest.mark.parametrize("options", [{"quality": 95}, {"quality": 95, "progressive": True}])
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])  # Pillow writes CMYK inverted, as Adobe does
def test_decode_gives_the_colours_of_a_jpeg(mode: str, options: dict[str, object]) -> None:
    image = decode(encoded(IMAGE.convert(mode), "JPEG", **options), limits=LIMITS)

    assert np.abs(image.pixels.astype(int) - RGB).mean() < 3


def test_decode_gives_a_grey_jpeg_as_rgb() -> None:
    image = decode(encoded(GREY, "JPEG", quality=95), limits=LIMITS)

    assert image.pixels.shape == RGB.shape
    assert np.abs(image.pixels.astype(int) - grey_as_rgb(GREY)).mean() < 2


def test_decode_drops_alpha_and_keeps_the_colours_below_it() -> None:
    alpha = Image.fromarray(RGB[..., 0])
    transparent = IMAGE.copy()
    transparent.putalpha(alpha)

    assert (decode(encoded(transparent), limits=LIMITS).pixels == RGB).all()
    assert (
        decode(encoded(Image.merge("LA", (GREY, alpha))), limits=LIMITS).pixels == grey_as_rgb(GREY)
    ).all()


@pytest.mark.parametrize(
    "transparency", [None, 3, bytes(range(0, 200, 10))], ids=["none", "one", "many"]
)
def test_decode_looks_up_a_palette(transparency: int | bytes | None) -> None:
    paletted = IMAGE.quantize(20)
    options: dict[str, object] = {} if transparency is None else {"transparency": transparency}

    image = decode(encoded(paletted, "PNG", **options), limits=LIMITS)

    assert (image.pixels == np.asarray(paletted.convert("RGB"))).all()


def test_decode_ignores_a_transparent_colour() -> None:
    image = decode(encoded(IMAGE, transparency=(0, 0, 255)), limits=LIMITS)

    assert (image.pixels == RGB).all()


def test_decode_gives_one_bit_as_black_and_white() -> None:
    bits = Image.fromarray(RGB[..., 0] > 100)

    image = decode(encoded(bits), limits=LIMITS)

    assert (image.pixels == np.where(RGB[..., :1] > 100, 255, 0)).all()


@given(seed=st.integers(0, 2**31))
def test_decode_takes_the_high_byte_of_16_bits(seed: int) -> None:
    samples = np.random.default_rng(seed).integers(0, 2**16, (9, 11, 3), dtype=np.uint16)

    grey = decode(encoded(Image.fromarray(samples[..., 0])), limits=LIMITS)
    color = decode(rgb_png_of_16_bits(samples), limits=LIMITS)

    assert (grey.pixels == (samples[..., :1] >> 8)).all()
    assert (color.pixels == (samples >> 8)).all()


@pytest.mark.parametrize("file_format", ["PNG", "MPO"])
def test_decode_reads_the_first_of_several_images(file_format: str) -> None:
    others = [Image.new("RGB", IMAGE.size, "red")]
    first = encoded(IMAGE, "PNG" if file_format == "PNG" else "JPEG")

    data = encoded(IMAGE, file_format, save_all=True, append_images=others)

    assert (decode(data, limits=LIMITS).pixels == decode(first, limits=LIMITS).pixels).all()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_turns_a_image_upright(orientation: int, file_format: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(IMAGE, file_format, exif=exif)
    with Image.open(io.BytesIO(data)) as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored))

    image = decode(data, limits=LIMITS)

    assert image.orientation == orientation
    assert image.stored_size == (64, 48)
    assert image.upright_size == ((64, 48) if orientation < 5 else (48, 64))
    assert (image.pixels == upright).all()


def photograph(width: int, height: int, *, orientation: int = 1) -> bytes:
    """Encode a large JPEG of the gradients, stored in such a size."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(IMAGE.resize((width, height)), "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize(
    ("stored", "at_least", "decoded"),
    [
        ((800, 640), (100, 80), (100, 80)),
        ((800, 640), (101, 80), (200, 160)),
        ((800, 640), (100, 81), (200, 160)),
        ((799, 640), (100, 80), (200, 160)),
        ((801, 641), (100, 80), (101, 81)),  # what is left over makes one more pixel
        ((805, 643), (200, 160), (202, 161)),
        ((805, 643), (400, 321), (403, 322)),
        ((805, 643), (402, 322), (805, 643)),
        ((805, 643), (2_000, 10), (805, 643)),
    ],
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_reduces_a_jpeg_as_far_as_it_stays_large_enough(
    stored: tuple[int, int], at_least: tuple[int, int], decoded: tuple[int, int], orientation: int
) -> None:
    data = photograph(*stored, orientation=orientation)
    whole = decode(data, limits=LIMITS)
    if orientation > 4:
        at_least, decoded = at_least[::-1], decoded[::-1]

    image = decode(data, limits=LIMITS, at_least=at_least)

    assert image.pixels.shape == (*decoded[::-1], 3)
    assert image.stored_size == stored
    assert image.upright_size == whole.upright_size == whole.pixels.shape[1::-1]
    expected = resize(whole.pixels, width=decoded[0], height=decoded[1])
    assert np.abs(image.pixels.astype(int) - expected).max() < 6


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {}])
@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_decode_reduces_every_kind_of_jpeg(mode: str, options: dict[str, object]) -> None:
    large = IMAGE.convert(mode).resize((800, 640))
    data = encoded(large, "JPEG", quality=95, **options)
    whole = decode(data, limits=LIMITS)

    image = decode(data, limits=LIMITS, at_least=(100, 80))

    expected = resize(whole.pixels, width=100, height=80)
    assert np.abs(image.pixels.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("orientation", [1, 6])
def test_decode_resizes_as_resize_does(orientation: int) -> None:
    data = photograph(800, 640, orientation=orientation)
    whole = decode(data, limits=LIMITS, at_least=(200, 200))

    image = decode(data, limits=LIMITS, at_least=(200, 200), resize_to=(100, 80))

    assert (image.pixels.shape == (80, 100, 3)) == (orientation == 1)
    expected = resize(whole.pixels, width=100, height=80)
    assert (resize(image.pixels, width=100, height=80) == expected).all()


def test_decode_leaves_a_png_whole() -> None:
    data = encoded(IMAGE.resize((800, 640)))

    image = decode(data, limits=LIMITS, at_least=(100, 80))

    assert (image.pixels == decode(data, limits=LIMITS).pixels).all()


def test_decode_refuses_a_cut_off_jpeg_at_a_reduced_scale_too() -> None:
    data = photograph(800, 640)

    for tenth in range(1, 10):
        with pytest.raises(ImageError, match="truncated or corrupt"):
            decode(data[: len(data) * tenth // 10], limits=LIMITS, at_least=(100, 80))


def test_decode_holds_the_stored_size_against_the_limits_at_a_reduced_scale_too() -> None:
    with pytest.raises(ImageError, match="has 1,001 x 1,000 pixels"):
        decode(photograph(1_001, 1_000), limits=LIMITS, at_least=(100, 100))


def test_a_image_for_a_graph_keeps_twice_its_size() -> None:
    assert least_decoded(256, 160) == (512, 320)


@pytest.mark.parametrize("size", [(7, 8), (8, 7), (4_097, 8), (8, 4_097), (1_001, 1_000)])
def test_decode_refuses_a_size_beyond_the_limits(size: tuple[int, int]) -> None:
    data = encoded(Image.new("L", size))

    with pytest.raises(ImageError) as caught:
        decode(data, limits=LIMITS)

    assert str(caught.value) == (
        f"The image has {size[0]:,} x {size[1]:,} pixels; each side must be 8 to 4,096 pixels, "
        "and both together at most 1,000,000."
    )


@pytest.mark.parametrize("size", [(8, 8), (4_096, 8), (1_000, 1_000)])
def test_decode_accepts_a_size_at_the_limits(size: tuple[int, int]) -> None:
    assert decode(encoded(Image.new("L", size)), limits=LIMITS).upright_size == size


@given(
    shape=st.sampled_from([(1, 1), (2, 3), (5, 4, 3), (3, 3, 2, 2)]),
    orientation=st.integers(1, 8),
)
def test_turn_back_is_the_inverse_of_turn(shape: tuple[int, ...], orientation: int) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)

    assert (turn_back(turn(array, orientation), orientation) == array).all()
    assert (turn(turn_back(array, orientation), orientation) == array).all()


def test_resize_is_pillows_bilinear_filter() -> None:
    resized = resize(RGB, width=32, height=32)

    assert (resized == np.asarray(IMAGE.resize((32, 32), Image.Resampling.BILINEAR))).all()
    assert resize(RGB, width=64, height=48) is RGB


@pytest.mark.parametrize(
    ("image", "graph"),
    [
        ((576, 768), (192, 256)),
        ((512, 512), (256, 256)),
        ((384, 288), (256, 192)),
        ((100, 64), (256, 160)),
        ((4_096, 64), (256, 32)),
    ],
)
def test_graph_size_keeps_the_aspect(image: tuple[int, int], graph: tuple[int, int]) -> None:
    assert graph_size(*image) == graph


@given(
    width=st.integers(1, 20_000),
    height=st.integers(1, 20_000),
    long_side=st.integers(32, 640),
    step=st.sampled_from([14, 16, 32]),
)
def test_graph_size_is_the_multiple_of_the_step_nearest_to_the_long_side(
    width: int, height: int, long_side: int, step: int
) -> None:
    size = graph_size(width, height, long_side=long_side, step=step)

    assert abs(max(size) - long_side) <= step / 2
    assert min(size) >= step
    assert all(side % step == 0 for side in size)
    assert graph_size(height, width, long_side=long_side, step=step) == size[::-1]


@pytest.mark.parametrize("long_side", [0, -32, 31])
def test_graph_size_wants_one_step_at_least(long_side: int) -> None:
    with pytest.raises(ValueError, match=f"got {long_side}"):
        graph_size(64, 64, long_side=long_side)


def drawn_mask() -> NDArray[np.uint8]:
    """(20, 30) indices: background, a cracked rectangle, a stained one."""
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[2:9, 3:17] = 1
    mask[12:18, 20:29] = 2
    return mask


MASK = drawn_mask()
MASK_COLORS = np.array([[255, 255, 255], [0x23, 0xA4, 0x36], [0x14, 0xA3, 0xB3]], dtype=np.uint8)
MASK_IMAGE = Image.fromarray(MASK_COLORS[MASK])
MASK_SIZE = (30, 20)


def as_palette() -> Image.Image:
    image = Image.fromarray(MASK)
    image.putpalette(MASK_COLORS.tobytes())
    return image


@pytest.mark.parametrize(
    "image",
    [MASK_IMAGE, MASK_IMAGE.convert("RGBA"), as_palette()],
    ids=["RGB", "RGBA", "palette"],
)
def test_a_mask_gives_one_array_for_each_anomaly_type(image: Image.Image) -> None:
    masks = decode_mask(encoded(image), colors=COLORS, size=MASK_SIZE)

    assert list(masks) == ["cracked", "stained"]
    assert (masks["cracked"] == (MASK == 1)).all()
    assert (masks["stained"] == (MASK == 2)).all()


@pytest.mark.parametrize(
    "convert",
    [lambda image: image, lambda image: image.convert("1"), lambda image: image.convert("LA")],
    ids=["grey", "one bit", "grey and alpha"],
)
def test_a_mask_may_be_black_and_white(convert: Callable[[Image.Image], Image.Image]) -> None:
    image = convert(Image.fromarray(np.where(MASK == 1, 0, 255).astype(np.uint8)))

    masks = decode_mask(encoded(image), colors={"#000000": "hole"}, size=MASK_SIZE)

    assert (masks["hole"] == (MASK == 1)).all()


def test_less_than_half_opaque_is_background_whatever_its_colour() -> None:
    rgba = np.zeros((20, 30, 4), dtype=np.uint8)
    rgba[5:15, 5:15, :3] = MASK_COLORS[1]
    rgba[5:15, 5:15, 3] = 127
    rgba[6:14, 6:14, 3] = 128

    masks = decode_mask(encoded(Image.fromarray(rgba)), colors=COLORS, size=MASK_SIZE)

    assert (masks["cracked"] == (rgba[..., 3] >= 128)).all()


def test_a_transparent_palette_entry_is_background() -> None:
    image = as_palette()
    image.putpalette(bytes(3) + MASK_COLORS[1:].tobytes())

    masks = decode_mask(encoded(image, transparency=0), colors=COLORS, size=MASK_SIZE)

    assert (masks["cracked"] == (MASK == 1)).all()


@pytest.mark.parametrize("name", ["background", "BACKGROUND", "Background"])
def test_a_named_background_may_have_any_colour(name: str) -> None:
    image = Image.fromarray(MASK_COLORS[np.where(MASK == 2, 0, MASK)])
    colors = {"#ffffff": "cracked", "#23a436": name}

    masks = decode_mask(encoded(image), colors=colors, size=MASK_SIZE)

    assert list(masks) == ["cracked"]
    assert (masks["cracked"] == (MASK != 1)).all()


def test_two_colours_may_be_one_anomaly_type() -> None:
    colors = dict.fromkeys(COLORS, "cracked")

    masks = decode_mask(encoded(MASK_IMAGE), colors=colors, size=MASK_SIZE)

    assert (masks["cracked"] == (MASK > 0)).all()


def test_an_unknown_colour_is_named_with_its_pixels() -> None:
    with pytest.raises(ImageError) as caught:
        decode_mask(encoded(MASK_IMAGE), colors={"#23A436": "cracked"}, size=MASK_SIZE)

    assert str(caught.value) == (
        "The mask has 54 pixels of the colour #14A3B3; its map of colours names #23A436 (cracked). "
        "#14A3B3 is nearest to #23A436 of cracked."
    )


def test_of_several_unknown_colours_the_most_frequent_is_named() -> None:
    with pytest.raises(
        ImageError, match="98 pixels of the colour #23A436 and 1 more unknown colour;"
    ):
        decode_mask(encoded(MASK_IMAGE), colors={}, size=MASK_SIZE)


def test_one_pixel_of_an_unknown_colour_is_said_in_the_singular() -> None:
    pixels = np.full((20, 30, 3), 255, np.uint8)
    pixels[3, 4] = (1, 2, 3)

    with pytest.raises(ImageError, match="The mask has 1 pixel of the colour #010203; its map"):
        decode_mask(encoded(Image.fromarray(pixels)), colors={}, size=(30, 20))


def test_a_mask_of_another_size_names_both_sizes() -> None:
    with pytest.raises(ImageError, match="The mask has 30 x 20 pixels, its image 20 x 30"):
        decode_mask(encoded(MASK_IMAGE), colors=COLORS, size=(20, 30))


def test_a_mask_must_be_a_png() -> None:
    with pytest.raises(ImageError, match="a mask must be a PNG image"):
        decode_mask(encoded(MASK_IMAGE, "JPEG"), colors=COLORS, size=MASK_SIZE)


@pytest.mark.parametrize("color", ["23A436", "#23A43", "#23A43G", "red"])
def test_a_colour_must_be_six_hexadecimal_digits(color: str) -> None:
    with pytest.raises(ImageError, match="must be like #23A436"):
        decode_mask(encoded(MASK_IMAGE), colors={color: "cracked"}, size=MASK_SIZE)


def test_encode_mask_writes_8_bit_rgb() -> None:
    data = encode_mask(MASK, colors=["#FFFFFF", *COLORS])

    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        assert (np.asarray(image) == MASK_COLORS[MASK]).all()


@given(seed=st.integers(0, 2**31), width=st.integers(1, 40), height=st.integers(1, 40))
def test_decode_mask_reads_what_encode_mask_wrote(seed: int, width: int, height: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 3, (height, width), dtype=np.uint8)
    mask = np.repeat(rows, 2, axis=0)  # equal rows are stored in another way

    data = encode_mask(mask, colors=["#FFFFFF", *COLORS])

    masks = decode_mask(data, colors=COLORS, size=(width, 2 * height))
    for index, anomaly_type in enumerate(COLORS.values(), start=1):
        assert (masks.get(anomaly_type, np.zeros_like(mask)) == (mask == index)).all()
        assert (anomaly_type in masks) == (index in mask)


@pytest.mark.skipif(not COOKIES.is_dir(), reason=f"no real images in {COOKIES}")
def test_every_mask_of_a_real_manifest_decodes() -> None:
    lines = (COOKIES / "manifests/template.manifest").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    masked = [entry for entry in entries if "anomaly-mask-ref" in entry]

    for entry in masked:
        image = decode((COOKIES / entry["source-ref"]).read_bytes(), limits=LIMITS)
        classes = entry["anomaly-mask-ref-metadata"]["internal-color-map"].values()
        masks = decode_mask(
            (COOKIES / entry["anomaly-mask-ref"]).read_bytes(),
            colors={each["hex-color"]: each["class-name"] for each in classes},
            size=image.stored_size,
        )

        assert list(masks) == ["cracked"]
        assert 0.005 < masks["cracked"].mean() < 0.2
    assert len(masked) == 32
