"""What helps to paint, in a real browser."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.acceptance.product import PROJECT
from tests.acceptance.served import ServedDirectory
from tests.console.test_looks import findings
from tests.console.test_painter import add_type, buffer_of, drag, open_painter, project_of
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]


def plain_image() -> bytes:
    """Draw a dark image with a lighter, slightly uneven square in the middle of its left half."""
    pixels = np.full((240, 320, 3), 60, dtype=np.uint8)
    pixels[80:160, 40:120] = 150
    pixels[80:160, 80:120] = 158
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def test_a_model_suggests_a_mask_that_a_click_accepts(visit: Visit) -> None:
    watched = visit()
    page = open_painter(watched, PROJECT, "s3://images/plates/16.jpg")
    add_type(page, "scratch")

    page.get_by_role("button", name="Suggest a mask").click()
    expect(page.get_by_text("would add what you see")).to_be_visible()
    suggested = buffer_of(page)
    watched.shoot("painter-suggestion")
    assert findings(page) == []
    page.keyboard.press("Escape")
    dropped = buffer_of(page)
    page.get_by_role("button", name="Suggest a mask").click()
    page.get_by_role("button", name="Accept").click()
    accepted = buffer_of(page)
    page.keyboard.press("Control+z")

    assert 0.0005 < np.mean(suggested == 1) < 0.2
    assert not dropped.any()
    assert np.array_equal(accepted, suggested)
    assert not buffer_of(page).any()


SHOWN = """() => {
    const { canvas } = Object.values(mounted_app.$refs).flat().find((e) => e?.$refs?.sketch).view;
    const middle = [canvas.width / 2, canvas.height / 2].map(Math.round);
    return [...canvas.getContext("2d").getImageData(...middle, 1, 1).data].slice(0, 3);
}"""
"""Returns the colour in the middle of the canvas."""


def shows(page: Page, color: Sequence[int]) -> None:
    """Wait until the middle of the canvas has a colour."""
    page.wait_for_function(f"() => ({SHOWN})().every((v, i) => Math.abs(v - {list(color)}[i]) < 3)")


def test_the_mask_is_hidden_and_the_image_shown_brighter_without_changing_either(
    visit: Visit, served: ServedDirectory
) -> None:
    name = "brighter"
    project_of(served, name, {"1.png": plain_image()})
    watched = visit()
    page = open_painter(watched, name, f"s3://images/{name}/1.png")
    add_type(page, "crack")
    page.get_by_label("Mask opacity").fill("100")
    drag(page, (0.4, 0.5), (0.6, 0.5))
    painted = buffer_of(page)
    shows(page, (0x23, 0xA4, 0x36))

    page.keyboard.press("h")
    shows(page, (60, 60, 60))
    page.get_by_label("Brightness of the image").fill("200")
    shows(page, (120, 120, 120))
    page.get_by_role("button", name="Show the image as it is").click()
    shows(page, (60, 60, 60))
    drag(page, (0.45, 0.5), (0.55, 0.5))
    shows(page, (0x23, 0xA4, 0x36))

    assert np.array_equal(buffer_of(page), painted)


def test_the_wand_paints_what_has_nearly_the_same_colour(
    visit: Visit, served: ServedDirectory
) -> None:
    name = "alike"
    project_of(served, name, {"1.png": plain_image()})
    watched = visit()
    page = open_painter(watched, name, f"s3://images/{name}/1.png")
    add_type(page, "crack")
    box = page.locator(".painter-stage").bounding_box()
    assert box is not None
    scale = min(box["width"] / 320, box["height"] / 240)

    page.keyboard.press("w")
    page.mouse.click(
        box["x"] + box["width"] / 2 + (60 - 160) * scale,
        box["y"] + box["height"] / 2 + (120 - 120) * scale,
    )
    square = buffer_of(page)
    page.get_by_label("Tolerance of the wand").fill("4")
    half = buffer_of(page)
    watched.shoot("painter-wand")
    assert findings(page) == []
    page.keyboard.press("Control+z")

    assert (square[80:160, 40:120] == 1).all()
    assert np.count_nonzero(square) == 80 * 80
    assert (half[80:160, 40:80] == 1).all()
    assert np.count_nonzero(half) == 80 * 40
    assert not buffer_of(page).any()
