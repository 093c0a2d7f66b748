"""Images and entries of a project, as the pages get them."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from tests.acceptance.served import ServedDirectory
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]


def jpeg(width: int, height: int, *, orientation: int = 1) -> bytes:
    image = Image.new("RGB", (width, height), (200, 40, 40))
    exif = image.getexif()
    exif[0x0112] = orientation
    output = io.BytesIO()
    image.save(output, "JPEG", exif=exif)
    return output.getvalue()


def test_a_thumbnail_is_small_and_upright_and_the_image_as_it_is_stored(
    visit: Visit, served: ServedDirectory
) -> None:
    stored = jpeg(800, 400, orientation=6)
    ref = served.put("looked-at/<img src=x>.jpg", stored)
    request = visit().context.request

    thumbnail = request.get(f"{served.endpoint}/console/thumbnail", params={"ref": ref})
    again = request.get(f"{served.endpoint}/console/thumbnail", params={"ref": ref})
    whole = request.get(f"{served.endpoint}/console/image", params={"ref": ref})

    assert Image.open(io.BytesIO(thumbnail.body())).size == (128, 256)
    assert again.body() == thumbnail.body()
    assert whole.body() == stored
    assert whole.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("ref", "status"),
    [("s3://images/none.jpg", 404), ("file:///etc/passwd", 400), ("s3://images/page", 422)],
)
def test_what_is_no_image_is_not_sent(
    visit: Visit, served: ServedDirectory, ref: str, status: int
) -> None:
    served.put("page", b"<html><script>alert(1)</script>")
    request = visit().context.request

    for path in ("thumbnail", "image"):
        answer = request.get(f"{served.endpoint}/console/{path}", params={"ref": ref})
        assert answer.status == status
        assert answer.headers["content-type"].startswith("text/plain")
