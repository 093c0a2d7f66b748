from __future__ import annotations

import gzip
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from blemish.console.masks.mask_files import (
    MAX_KEY_BYTES,
    PaintedMask,
    decode_stored,
    encode_png,
    is_mask_key,
    key_beside,
    pack,
    unpack,
)
from blemish.domain.entities import Label
from blemish.domain.errors import ValidationError

TYPES = {1: ("#23A436", "crack"), 7: ("#14A3B3", "chip")}
HEAD = {
    "label": "normal",
    "types": [{"index": i, "color": color, "name": name} for i, (color, name) in TYPES.items()],
}
SIZE = (3, 2)
PIXELS = np.array([[0, 1, 1], [7, 0, 0]], dtype=np.uint8)


def sent(body: bytes = PIXELS.tobytes(), **head: Any) -> bytes:
    return gzip.compress(json.dumps(HEAD | head).encode() + b"\n" + body, mtime=0)


def test_what_a_browser_sends_is_read() -> None:
    painted = unpack(sent(), size=SIZE)

    assert np.array_equal(painted.pixels, PIXELS)
    assert painted.types == TYPES
    assert painted.colors == {"#23A436": "crack", "#14A3B3": "chip"}
    assert painted.label is Label.ANOMALY


@pytest.mark.parametrize("label", [None, Label.NORMAL, Label.ANOMALY])
def test_without_paint_the_label_is_the_one_that_was_selected(label: Label | None) -> None:
    painted = unpack(sent(bytes(6), label=label), size=SIZE)

    assert painted.types == {}
    assert painted.label is label


@pytest.mark.parametrize("label", ["normal", None])
def test_paint_that_is_set_aside_makes_no_anomaly(label: str | None) -> None:
    painted = unpack(sent(label=label, set_aside=True), size=SIZE)

    assert painted.set_aside
    assert painted.types == TYPES
    assert painted.label == label


def test_the_mask_of_an_anomaly_is_never_set_aside() -> None:
    assert not unpack(sent(label="anomaly", set_aside=True), size=SIZE).set_aside


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"nothing", "damaged"),
        (sent()[:-9], "cut off"),
        (sent(bytes(5)), "5 pixels"),
        (sent(bytes(7)), "7 pixels"),
        (sent(bytes(200_000)), "larger than its image"),
        (sent(bytes([0, 1, 2, 3, 0, 0])), r"does not name: \[2, 3\]"),
        (gzip.compress(b"[]\n" + bytes(6), mtime=0), "what its pixels stand for"),
        (
            gzip.compress(b'{"label": 1, "types": []}\n' + bytes(6), mtime=0),
            "what its pixels stand for",
        ),
        (sent(types=[{"index": 1, "color": "red", "name": "a"}]), "cannot be"),
        (sent(types=[{"index": 1, "color": "#ffffff", "name": "a"}]), "cannot be"),
        (sent(types=[{"index": 1, "color": "#000000", "name": " "}]), "cannot be"),
        (
            sent(types=[{"index": i, "color": "#000000", "name": f"{i}"} for i in (1, 7)]),
            "same colour",
        ),
    ],
)
def test_what_no_browser_of_ours_sends_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        unpack(data, size=SIZE)


@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.sampled_from([0, 1, 7]),
    )
)
def test_a_mask_becomes_a_png_and_comes_back(pixels: NDArray[np.uint8]) -> None:
    size = (pixels.shape[1], pixels.shape[0])
    painted = unpack(sent(pixels.tobytes()), size=size)
    png = encode_png(painted)

    names, indices = decode_stored(png, colors=painted.colors, size=size)

    wanted = np.array(["", *names])[indices]
    assert np.array_equal(wanted, np.select([pixels == 1, pixels == 7], ["crack", "chip"], ""))
    # other programs read it too
    rgb = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    assert np.all(rgb[pixels == 0] == 255)
    assert np.all(rgb[pixels == 7] == (0x14, 0xA3, 0xB3))


def test_what_is_packed_is_a_line_and_the_pixels() -> None:
    line, _, body = gzip.decompress(pack(PIXELS, {"width": 3})).partition(b"\n")

    assert json.loads(line) == {"width": 3}
    assert body == PIXELS.tobytes()
    assert gzip.decompress(pack(None, {})) == b"{}\n"


def test_a_mask_lies_beside_its_image_under_the_name_of_its_content() -> None:
    key = key_beside("plates/a.b.jpg", b"1")

    assert key.startswith("plates/a.b.mask-")
    assert key != key_beside("plates/a.b.jpg", b"2")
    assert "/" not in key_beside("a", b"1")
    assert is_mask_key(key)
    assert not is_mask_key("plates/a.mask.png")


@given(st.text(min_size=1, max_size=MAX_KEY_BYTES))
def test_the_key_of_a_mask_is_never_too_long(name: str) -> None:
    key = f"a/{name}".encode(errors="ignore")[:MAX_KEY_BYTES].decode(errors="ignore")

    assert len(key_beside(key, b"").encode()) <= MAX_KEY_BYTES


def test_a_label_does_not_hide_paint() -> None:
    painted = PaintedMask(pixels=PIXELS, types=TYPES, selected_label=Label.NORMAL)

    assert painted.label is Label.ANOMALY
