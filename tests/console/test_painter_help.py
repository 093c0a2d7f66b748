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
    expect(page.locator(".painter-type.selected")).to_contain_text("anomaly")
    page.keyboard.press("w")
    expect(page.get_by_role("button", name="Magic wand")).to_have_attribute("aria-pressed", "true")
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


def on_image(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a point of an image of 320 x 240 is on the page."""
    box = page.locator(".painter-stage").bounding_box()
    assert box is not None
    scale = min(box["width"] / 320, box["height"] / 240)
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return middle[0] + (x - 160) * scale, middle[1] + (y - 120) * scale


def test_the_corners_of_a_polygon_are_moved_added_and_removed(
    visit: Visit, served: ServedDirectory
) -> None:
    name = "corners"
    project_of(served, name, {"1.png": plain_image()})
    watched = visit()
    page = open_painter(watched, name, f"s3://images/{name}/1.png")
    add_type(page, "crack")
    page.keyboard.press("p")

    def press(x: float, y: float, *, to: tuple[float, float] | None = None) -> None:
        page.mouse.move(*on_image(page, x, y))
        page.mouse.down()
        if to is not None:
            page.mouse.move(*on_image(page, *to), steps=4)
        page.mouse.up()

    for corner in ((100, 60), (200, 60), (200, 160), (100, 160)):
        press(*corner)
    press(100, 60)  # the first corner again
    square = buffer_of(page)
    press(200, 160, to=(260, 200))
    moved = buffer_of(page)
    press(150, 60, to=(150, 20))
    added = buffer_of(page)
    watched.shoot("painter-corners")
    assert findings(page) == []
    page.keyboard.down("Shift")
    press(150, 20)
    page.keyboard.up("Shift")
    removed = buffer_of(page)
    page.keyboard.press("Control+z")

    assert abs(np.count_nonzero(square) - 100 * 100) < 300
    assert moved[180, 230] == 1
    assert square[180, 230] == 0
    assert (added[40, 150], moved[40, 150]) == (1, 0)
    assert np.array_equal(removed, moved)
    assert not buffer_of(page).any()


def test_two_fingers_zoom_and_one_paints(visit: Visit, served: ServedDirectory) -> None:
    name = "fingers"
    project_of(served, name, {"1.png": plain_image()})
    watched = visit(size=(768, 1024), has_touch=True)
    page = open_painter(watched, name, f"s3://images/{name}/1.png")
    add_type(page, "crack")
    touch = watched.context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        places = [
            {"x": x, "y": y, "id": number}
            for number, (x, y) in enumerate(on_image(page, *point) for point in points)
        ]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    fingers("touchStart", (140, 120))
    fingers("touchStart", (140, 120), (180, 120))
    fingers("touchMove", (100, 120), (220, 120))
    fingers("touchEnd")
    zoomed = page.locator(".painter-tools .percent").inner_text()
    pinched = buffer_of(page)
    page.get_by_role("button", name="Fit").tap()
    fitted = page.locator(".painter-tools .percent").inner_text()
    fingers("touchStart", (100, 100))
    fingers("touchMove", (130, 100))
    fingers("touchMove", (150, 100))
    fingers("touchEnd")
    watched.shoot("painter-touch")
    assert findings(page) == []

    assert not pinched.any()
    assert int(zoomed.split()[0]) > 2 * int(fitted.split()[0])
    assert buffer_of(page)[95:105, 120].any()
