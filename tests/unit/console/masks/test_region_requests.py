from __future__ import annotations

import gzip
import io
import json
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from blemish.console.masks.region_masks import COLORS
from tests.unit.console.images.added import add_images
from tests.unit.console.in_process import Browser, InProcessConsole

WIDTH, HEIGHT = 80, 64
CLAMP = bytes([1]) * WIDTH * 8 + bytes(WIDTH * (HEIGHT - 8))


class PaintedRegions:
    """The regions of a project, as the painter reads and saves them on one of its images."""

    def __init__(self, browser: Browser, project: str, ref: str, *, version: str = "") -> None:
        self._browser = browser
        query = urlencode({"project": project, "version": version, "ref": ref})
        self._path = f"/painted-regions?{query}"

    def read(self) -> tuple[dict[str, Any], bytes]:
        answer = self._browser.ask("GET", self._path)
        assert answer.status_code == 200, answer.text
        head, _, pixels = gzip.decompress(answer.content).partition(b"\n")
        return json.loads(head), pixels

    def save(self, pixels: bytes, *kinds: str, version: str = "") -> Any:
        version = version or self.read()[0]["version"]
        types = [
            {"index": index, "color": COLORS.get(kind, "#000000"), "name": kind}
            for index, kind in enumerate(kinds, start=1)
        ]
        body = gzip.compress(json.dumps({"label": None, "types": types}).encode() + b"\n" + pixels)
        return self._browser.ask("PUT", self._path, content=body, headers={"If-Match": version})


@pytest.fixture
def refs(browser: Browser, project: str) -> list[str]:
    """Images of the project; the second one is normal."""
    return list(add_images(browser, project, "anomaly", "normal"))


@pytest.fixture
def painted(browser: Browser, project: str, refs: list[str]) -> PaintedRegions:
    return PaintedRegions(browser, project, refs[0])


@pytest.mark.parametrize("kind", ["Ignored", "OfInterest"])
def test_painted_regions_become_those_of_the_project_and_lie_on_every_image(
    browser: Browser, project: str, refs: list[str], kind: str
) -> None:
    answer = PaintedRegions(browser, project, refs[0]).save(CLAMP, kind)

    assert answer.status_code == 200, answer.text
    head, pixels = PaintedRegions(browser, project, refs[1]).read()
    assert pixels == CLAMP
    assert head["types"] == [{"name": kind, "color": COLORS[kind]}]
    assert head["version"] == answer.json()["version"]


def test_erased_regions_let_everything_count(painted: PaintedRegions) -> None:
    before = painted.read()[0]
    painted.save(CLAMP, "Ignored")

    painted.save(bytes(len(CLAMP)))

    assert painted.read() == (before, b"")


def test_the_second_of_two_people_who_save_regions_is_refused(painted: PaintedRegions) -> None:
    version = painted.read()[0]["version"]
    painted.save(CLAMP, "Ignored", version=version)

    answer = painted.save(CLAMP[::-1], "Ignored", version=version)

    assert answer.status_code == 409
    assert "Somebody else changed these regions" in answer.text
    assert painted.read()[1] == CLAMP


@pytest.mark.parametrize(
    ("pixels", "kinds", "status", "message"),
    [
        (bytes([1]) * WIDTH * HEIGHT, ["Ignored"], 422, "ignores the whole image"),
        (CLAMP, ["Nothing"], 400, "Regions are either Ignored or OfInterest"),
        (bytes([2]) + CLAMP[1:], ["Ignored", "OfInterest"], 400, "Regions are either"),
    ],
)
def test_regions_that_mean_nothing_are_refused(
    painted: PaintedRegions, pixels: bytes, kinds: list[str], status: int, message: str
) -> None:
    answer = painted.save(pixels, *kinds)

    assert (answer.status_code, message in answer.text) == (status, True), answer.text


def test_a_mask_that_is_gone_is_said_and_can_be_painted_again(
    console: InProcessConsole, project: str, painted: PaintedRegions
) -> None:
    painted.save(CLAMP, "Ignored")
    (mask,) = console.buckets.glob(f"*/{project}/**/regions.mask-*.png")
    mask.unlink()

    head, _ = painted.read()

    assert "The present regions cannot be shown" in head["problem"]
    assert painted.save(CLAMP, "Ignored").status_code == 200


def test_the_painter_begins_with_a_normal_image(
    browser: Browser, project: str, refs: list[str]
) -> None:
    answer = browser.get(f"/region-painter/{project}").json()

    assert answer["image"]["ref"] == refs[1]
    assert [kind["name"] for kind in answer["types"]] == list(COLORS)


def test_the_overlay_shows_the_regions_and_is_clear_elsewhere(
    browser: Browser, project: str, refs: list[str], painted: PaintedRegions
) -> None:
    painted.save(CLAMP, "Ignored")

    answer = browser.get("/region-overlay", project=project, ref=refs[1])

    opaque = np.asarray(Image.open(io.BytesIO(answer.content)))[..., 3] > 0
    assert opaque[:8].all()
    assert not opaque[8:].any()


def test_a_key_that_may_only_look_moves_no_regions(
    console: InProcessConsole, project: str, refs: list[str]
) -> None:
    painted = PaintedRegions(console.browser("looker"), project, refs[0])

    answer = painted.save(CLAMP, "Ignored")

    assert answer.status_code == 403


def test_a_model_that_is_gone_has_no_regions(
    browser: Browser, project: str, refs: list[str]
) -> None:
    painted = PaintedRegions(browser, project, refs[0], version="7")

    assert painted.save(CLAMP, "Ignored", version="any").status_code == 404
