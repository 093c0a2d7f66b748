from __future__ import annotations

import gzip
import io
import json
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from tests.unit.console.images.added import add_images
from tests.unit.console.in_process import Browser, InProcessConsole

WIDTH, HEIGHT = 80, 64
TYPE = {"index": 1, "color": "#23A436", "name": "crack"}


class PaintedImage:
    """The mask of one image, as the painter reads and saves it."""

    def __init__(self, browser: Browser, project: str, ref: str) -> None:
        self._browser = browser
        self._path = f"/painted?{urlencode({'project': project, 'set': 'train', 'ref': ref})}"

    def read(self) -> tuple[dict[str, Any], bytes]:
        answer = self._browser.ask("GET", self._path)
        assert answer.status_code == 200, answer.text
        head, _, pixels = gzip.decompress(answer.content).partition(b"\n")
        return json.loads(head), pixels

    def save(self, pixels: bytes, *, version: str, **head: Any) -> Any:
        members = {"label": None, "types": [TYPE]} | head
        body = gzip.compress(json.dumps(members).encode() + b"\n" + pixels)
        return self._browser.ask("PUT", self._path, content=body, headers={"If-Match": version})


@pytest.fixture
def painted(browser: Browser, project: str) -> PaintedImage:
    """An image without a label."""
    (ref,) = add_images(browser, project, None)
    return PaintedImage(browser, project, ref)


PIXELS = bytes([1]) * WIDTH + bytes(WIDTH * (HEIGHT - 1))


def test_a_mask_is_read_as_it_was_saved(painted: PaintedImage) -> None:
    head, _ = painted.read()

    answer = painted.save(PIXELS, version=head["version"])

    after, pixels = painted.read()
    assert answer.json() == {"label": "anomaly", "version": after["version"]}
    assert pixels == PIXELS
    assert after["types"] == [{"name": "crack", "color": "#23A436"}]


def test_a_mask_that_is_set_aside_is_shown_again(painted: PaintedImage) -> None:
    version = painted.read()[0]["version"]

    painted.save(PIXELS, version=version, label="normal", set_aside=True)

    head, pixels = painted.read()
    assert head["label"] == "normal"
    assert pixels == PIXELS


def test_the_second_of_two_savers_is_refused(painted: PaintedImage) -> None:
    version = painted.read()[0]["version"]
    painted.save(PIXELS, version=version)

    answer = painted.save(bytes(len(PIXELS)), version=version, types=[])

    assert answer.status_code == 409
    assert "Somebody else changed this image" in answer.text
    assert painted.read()[1] == PIXELS


def test_next_and_previous_keep_the_order_of_the_page(browser: Browser, project: str) -> None:
    refs = add_images(browser, project, None, None, None)
    path = f"/painter/{project}/train"
    first = browser.get(path, ref=refs[0], filter="unlabelled").json()
    second = browser.get(path, ref=refs[0], step=1, view=first["view"], filter="unlabelled").json()
    last = browser.get(path, ref=refs[2], step=1, view=first["view"]).json()

    assert (first["image"]["first"], first["image"]["position"]) == (True, "1 of 3, training set")
    assert second["image"]["ref"] == refs[1]
    assert (last["image"]["ref"], last["image"]["last"]) == (refs[2], True)


def test_a_view_that_the_server_forgot_is_made_again_with_the_image_in_it(
    browser: Browser, project: str
) -> None:
    refs = add_images(browser, project, "normal", None)
    query = {"ref": refs[0], "filter": "unlabelled", "view": "of before the restart"}

    answer = browser.get(f"/painter/{project}/train", **query, step=1).json()

    assert answer["image"]["ref"] == refs[1]
    assert answer["view"] != query["view"]


def test_types_are_added_renamed_and_deleted(browser: Browser, project: str) -> None:
    add_images(browser, project, None)
    path = f"/painter/{project}/types"

    added = browser.post(path, {"add": " deep  crack "}).json()
    renamed = browser.post(path, {"rename": ["deep crack", "split"]}).json()
    dropped = browser.post(path, {"drop": "split"}).json()

    assert added["name"] == "deep crack"
    assert [known["name"] for known in renamed["types"]] == ["split"]
    assert dropped["types"] == []
    assert browser.post(path, {"paint": "split"}).status_code == 400


def test_a_key_that_may_only_look_changes_nothing(
    console: InProcessConsole, browser: Browser, project: str
) -> None:
    (ref,) = add_images(browser, project, None)
    painted = PaintedImage(console.browser("looker"), project, ref)

    version = painted.read()[0]["version"]

    assert painted.save(PIXELS, version=version).status_code == 403
    types = console.browser("looker").post(f"/painter/{project}/types", {"add": "crack"})
    assert types.status_code == 403


def test_the_gallery_shows_a_mask_over_the_thumbnail(browser: Browser, project: str) -> None:
    refs = add_images(browser, project, None, "anomaly")
    painted = PaintedImage(browser, project, refs[0])
    painted.save(PIXELS, version=painted.read()[0]["version"])

    first, second = browser.get(f"/gallery/{project}/train").json()["entries"]

    overlay = browser.ask("GET", first["mask"].removeprefix("/console"))
    pixels = np.asarray(Image.open(io.BytesIO(overlay.content)))
    assert pixels.shape == (HEIGHT, WIDTH, 4)
    assert (pixels[0] == (0x23, 0xA4, 0x36, 255)).all()
    assert not pixels[1:].any()
    assert second["mask"] == ""
