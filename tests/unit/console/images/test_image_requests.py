from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.unit.console.in_process import Browser, InProcessConsole


def jpeg(width: int, height: int, *, orientation: int) -> bytes:
    image = Image.new("RGB", (width, height), (200, 40, 40))
    exif = image.getexif()
    exif[0x0112] = orientation
    output = io.BytesIO()
    image.save(output, "JPEG", exif=exif)
    return output.getvalue()


def put(console: InProcessConsole, key: str, data: bytes) -> str:
    path = console.buckets / "images" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return f"s3://images/{key}"


def test_a_thumbnail_is_small_and_upright_and_the_image_as_it_is_stored(
    console: InProcessConsole, browser: Browser
) -> None:
    stored = jpeg(800, 400, orientation=6)
    ref = put(console, "looked-at/<img src=x>.jpg", stored)

    thumbnail, again = (browser.get("/thumbnail", ref=ref) for _ in range(2))
    whole = browser.get("/image", ref=ref)

    assert Image.open(io.BytesIO(thumbnail.content)).size == (128, 256)
    assert again.content == thumbnail.content
    assert whole.content == stored
    assert whole.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("ref", "status"),
    [("s3://images/none.jpg", 404), ("file:///etc/passwd", 400), ("s3://images/page", 422)],
)
def test_what_is_no_image_is_not_sent(
    console: InProcessConsole, browser: Browser, ref: str, status: int
) -> None:
    put(console, "page", b"<html><script>alert(1)</script>")

    for path in ("/thumbnail", "/image"):
        answer = browser.get(path, ref=ref)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/plain")
