"""Painting with a real mouse, and what the API makes of it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from blemish.domain.palette import PALETTE
from blemish.engine.images.masks import decode_mask
from tests.acceptance.served import ServedDirectory, dataset_status, line, wait_for
from tests.console.test_looks import findings
from tests.console.test_security import make_key
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]
Pixels = NDArray[np.uint8]

READ = """() => {
    const elements = Object.values(mounted_app.$refs).flat();
    const { pixels, width, height } = elements.find((e) => e?.$refs?.sketch).mask;
    const pieces = [];
    for (let i = 0; i < pixels.length; i += 32768) {
        pieces.push(String.fromCharCode(...pixels.subarray(i, i + 32768)));
    }
    return [btoa(pieces.join("")), width, height];
}"""


def project_of(served: ServedDirectory, name: str, images: dict[str, bytes]) -> Any:
    """Make a project with these images, unlabelled, in its training set; return a client."""
    client = served.client()
    lines = [line(served.put(f"{name}/{key}", data), None) for key, data in images.items()]
    client.create_project(ProjectName=name)
    source = served.put_manifest(f"{name}.manifest", lines)
    client.create_dataset(ProjectName=name, DatasetType="train", DatasetSource=source)
    wait_for(
        dataset_status(client, name, "train"), {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"}
    )
    return client


def entry_of(client: Any, project: str, ref: str) -> dict[str, Any]:
    """Return the entry of an image."""
    answer = client.list_dataset_entries(
        ProjectName=project, DatasetType="train", SourceRefContains=ref
    )
    found: dict[str, Any] = json.loads(answer["DatasetEntries"][0])
    return found


def stored_mask(served: ServedDirectory, entry: dict[str, Any]) -> Image.Image:
    """Return the mask of an entry."""
    _, _, bucket, key = entry["anomaly-mask-ref"].split("/", 3)
    return Image.open(served.folder / "buckets" / bucket / key).convert("RGB")


def buffer_of(page: Page) -> Pixels:
    """Return the index buffer in the browser."""
    text, width, height = page.evaluate(READ)
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8).reshape(height, width)


def open_painter(watched: Watched, project: str, ref: str) -> Page:
    """Open the painter on an image, and wait for the image."""
    page = watched.open(f"/projects/{project}/paint?set=train&ref={quote(ref, safe='')}")
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    return page


def drag(page: Page, *points: tuple[float, float]) -> None:
    """Draw through points, given as shares of the stage."""
    box = page.locator(".painter-stage").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def add_type(page: Page, name: str) -> None:
    """Add an anomaly type, which is chosen then."""
    page.get_by_label("Name of a new anomaly type").fill(name)
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".painter-type.selected")).to_contain_text(name)


def save(page: Page) -> None:
    """Save by the key, and wait for it."""
    page.keyboard.press("Control+s")
    expect(page.locator(".painter [role=status]")).to_have_text("Saved")


def test_what_is_painted_is_read_back_pixel_for_pixel(
    visit: Visit, served: ServedDirectory, cookies: Path
) -> None:
    name = "painted"
    images = {
        f"{row}.jpg": (cookies / f"training-images/anomaly-{row}.jpg").read_bytes()
        for row in (1, 2)
    }
    client = project_of(served, name, images)
    ref = f"s3://images/{name}/1.jpg"
    watched = visit()
    page = open_painter(watched, name, ref)

    add_type(page, "crack")
    drag(page, (0.3, 0.3), (0.5, 0.6), (0.4, 0.7))
    first = buffer_of(page)
    assert np.count_nonzero(first == 1) > 1000
    add_type(page, "<b>chip</b>")
    page.keyboard.press("p")
    for x, y in ((0.6, 0.3), (0.7, 0.3), (0.65, 0.5)):
        drag(page, (x, y))
    page.keyboard.press("Enter")
    page.keyboard.press("e")
    drag(page, (0.4, 0.4), (0.45, 0.5))
    watched.shoot("painter")
    assert findings(page) == []
    painted = buffer_of(page)
    assert set(np.unique(painted)) == {0, 1, 2}
    assert np.count_nonzero(painted == 1) < np.count_nonzero(first == 1)
    save(page)

    entry = entry_of(client, name, ref)
    assert entry["anomaly-label-metadata"]["class-name"] == "anomaly"
    colors = {
        each["class-name"]: each["hex-color"]
        for each in entry["anomaly-mask-ref-metadata"]["internal-color-map"].values()
    }
    assert colors == {"background": PALETTE[0], "crack": PALETTE[1], "<b>chip</b>": PALETTE[2]}
    wanted = np.array([list(bytes.fromhex(color[1:])) for color in PALETTE[:3]])[painted]
    assert np.array_equal(np.asarray(stored_mask(served, entry)), wanted)

    page = open_painter(watched, name, ref)
    assert np.array_equal(buffer_of(page), painted)


def test_strokes_are_undone_and_images_saved_on_the_way(
    visit: Visit, served: ServedDirectory, cookies: Path
) -> None:
    name = "edited"
    folder = cookies / "training-images"
    images = {f"{row}.jpg": (folder / f"anomaly-{row}.jpg").read_bytes() for row in (1, 2)}
    client = project_of(served, name, images)
    first, second = (f"s3://images/{name}/{row}.jpg" for row in (1, 2))
    watched = visit(dark=True)
    page = open_painter(watched, name, first)
    add_type(page, "crack")

    # an outline, filled; two pieces of work that can be undone
    drag(page, (0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6), (0.4, 0.4))
    outline = buffer_of(page)
    page.keyboard.press("f")
    drag(page, (0.5, 0.5))
    filled = buffer_of(page)
    assert 3 * np.count_nonzero(outline) < np.count_nonzero(filled) < filled.size / 2
    page.keyboard.press("Control+z")
    assert np.array_equal(buffer_of(page), outline)
    page.keyboard.press("Control+z")
    assert not buffer_of(page).any()
    page.keyboard.press("Control+Shift+Z")
    page.keyboard.press("Control+Shift+Z")
    assert np.array_equal(buffer_of(page), filled)

    # the next image: what was painted is saved on the way there
    watched.shoot("painter-fill")
    assert findings(page) == []
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="2.jpg")).to_be_visible()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    assert "anomaly-mask-ref" in entry_of(client, name, first)
    expect(page).to_have_url(
        f"{watched.root}/projects/{name}/paint?set=train&ref={quote(second, safe='')}"
    )
    page.keyboard.press("n")
    save(page)
    assert entry_of(client, name, second)["anomaly-label-metadata"]["class-name"] == "normal"

    # a new name for the type, in the entry that was painted
    page.get_by_role("button", name="Rename crack").click()
    page.get_by_label("New name of crack").fill("split")
    page.keyboard.press("Enter")
    expect(page.locator(".painter-type")).to_contain_text("split")
    expect(page.get_by_role("button", name="Delete split")).to_be_disabled()
    colors = entry_of(client, name, first)["anomaly-mask-ref-metadata"]["internal-color-map"]
    assert "split" in {each["class-name"] for each in colors.values()}


def test_an_erased_mask_is_dropped_once_somebody_agreed(
    visit: Visit, served: ServedDirectory
) -> None:
    name, ref = "erased", "s3://images/erased/1.png"
    data = io.BytesIO()
    Image.new("RGB", (200, 200), "grey").save(data, "PNG")
    client = project_of(served, name, {"1.png": data.getvalue()})
    page = open_painter(visit(), name, ref)
    add_type(page, "split")
    drag(page, (0.4, 0.4), (0.6, 0.6))
    save(page)

    page.get_by_role("button", name="Erase the mask").click()
    page.keyboard.press("n")
    page.keyboard.press("Control+s")
    page.get_by_role("button", name="Keep the mask").click()
    assert "anomaly-mask-ref" in entry_of(client, name, ref)
    page.keyboard.press("Control+s")
    page.get_by_role("button", name="Save without it").click()

    expect(page.locator(".painter [role=status]")).to_have_text("Saved")
    assert "anomaly-mask-ref" not in entry_of(client, name, ref)
    page.get_by_role("button", name="Delete split").click()
    expect(page.locator(".painter-type")).to_have_count(0)


def test_the_filter_of_the_gallery_says_what_comes_next(
    visit: Visit, served: ServedDirectory
) -> None:
    name = "filtered"
    data = io.BytesIO()
    Image.new("RGB", (200, 200), "grey").save(data, "PNG")
    images = {key: data.getvalue() for key in ("10.png", "9.png", "<img src=x>.png")}
    project_of(served, name, images)
    watched = visit()

    page = watched.open(f"/projects/{name}/paint?set=train&filter=unlabelled&q=.png")
    expect(page.get_by_role("heading", name="9.png")).to_be_visible()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    page.keyboard.press("a")
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="10.png")).to_be_visible()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="<img src=x>.png")).to_be_visible()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    page.get_by_role("link", name="All images").click()
    expect(page).to_have_url(re.compile(r"/images\?set=train&filter=unlabelled&q=.png$"))


def test_who_may_only_look_paints_nothing(visit: Visit, served: ServedDirectory) -> None:
    name = "looked-at"
    data = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(data, "PNG")
    project_of(served, name, {"1.png": data.getvalue()})
    ref = f"s3://images/{name}/1.png"
    watched = visit(signed_in=False)
    watched.sign_in(make_key(served, "looks", "ReadOnly"))
    page = open_painter(watched, name, ref)
    expect(page.get_by_role("button", name="Brush")).to_have_count(0)
    drag(page, (0.4, 0.4), (0.6, 0.6))
    assert not buffer_of(page).any()

    head = {"label": None, "types": [{"index": 1, "color": "#23A436", "name": "crack"}]}
    body = gzip.compress(json.dumps(head).encode() + b"\n" + bytes([1]) * 64 * 64)
    url = f"{watched.root}/painted?project={name}&set=train&ref={quote(ref, safe='')}"
    refused = page.request.put(url, data=body, headers={"Origin": served.console})

    assert refused.status == 403
    assert [path.name for path in (served.bucket / name).iterdir()] == ["1.png"]


PAINT = """async ([width, height, strokes]) => {
    const { MaskBuffer } = await import("/console/static/mask_buffer.js");
    const mask = new MaskBuffer(width, height, new Uint8Array(width * height), () => {});
    const images = [];
    for (const [kind, points, size] of strokes) {
        if (kind === "line") mask.line(points.slice(0, 2), points.slice(2, 4), size, 1);
        else mask.polygon(points, 1);
        mask.end();
        images.push([Array.from(mask.pixels).join(""), mask.painted]);
        if (mask.done.length) mask.undo();
    }
    return [images, mask.painted];
}"""


def test_strokes_cover_the_pixels_whose_centres_they_cover(visit: Visit) -> None:
    generator = np.random.default_rng(3)
    width, height = 300, 200
    corners = generator.uniform(-20, 220, (40, 6)).round(3)
    sizes = generator.integers(1, 40, 40)
    kinds = ["line", "polygon"] * 20
    strokes = [
        [kind, row.tolist(), int(size)]
        for kind, row, size in zip(kinds, corners, sizes, strict=True)
    ]

    images, left = visit().page.evaluate(PAINT, [width, height, strokes])

    assert left == 0
    y, x = np.mgrid[:height, :width] + 0.5
    for (kind, points, size), (pixels, painted) in zip(strokes, images, strict=True):
        found = np.array(list(pixels), dtype=np.uint8).reshape(height, width)
        wanted = (in_line if kind == "line" else in_polygon)(x, y, points, size)
        assert np.array_equal(found, wanted), (kind, points, size)
        assert painted == np.count_nonzero(wanted)


def in_line(x: Any, y: Any, points: list[float], size: int) -> Any:
    """Tell which points are at most half a size from a line."""
    snapped = [np.floor(at) + 0.5 if size % 2 else np.floor(at + 0.5) for at in points[:4]]
    ax, ay, bx, by = snapped
    dx, dy = bx - ax, by - ay
    along = np.clip(((x - ax) * dx + (y - ay) * dy) / max(1e-9, dx * dx + dy * dy), 0, 1)
    return np.hypot(x - ax - along * dx, y - ay - along * dy) <= size / 2 + 1e-9


def in_polygon(x: Any, y: Any, points: list[float], _: int) -> Any:
    """Tell which points are in a triangle."""
    corners = np.array(points).reshape(3, 2)
    sides = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    turns = [(b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) > 0 for a, b in sides]
    return np.all(turns, axis=0) | ~np.any(turns, axis=0)


def test_strokes_stay_fluid_on_a_large_image(visit: Visit, served: ServedDirectory) -> None:
    name = "large"
    data = io.BytesIO()
    noise = np.random.default_rng(5).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((4096, 4096), Image.Resampling.NEAREST).save(data, "JPEG")
    client = project_of(served, name, {"1.jpg": data.getvalue()})
    watched = visit()
    page = open_painter(watched, name, f"s3://images/{name}/1.jpg")
    add_type(page, "crack")

    moves = [stroke_ms(watched) for _ in range(2)]
    assert min(np.median(each) for each in moves) < 16, moves
    assert min(max(each) for each in moves) < 200, moves
    page.keyboard.press("1")
    expect(page.locator(".painter-tools")).to_contain_text("100 %")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("d")
    page.keyboard.press("f")
    drag(page, (0.1, 0.1))
    assert buffer_of(page).all()
    page.keyboard.press("Control+z")
    page.keyboard.press("0")
    save(page)
    mask = stored_mask(served, entry_of(client, name, f"s3://images/{name}/1.jpg"))
    assert mask.size == (4096, 4096)
    assert np.array_equal(np.asarray(mask)[..., 0] < 255, buffer_of(page) == 1)


def stroke_ms(watched: Watched) -> list[float]:
    """Paint a stroke; return what each move, and its end, takes of the page's thread.

    Its processor time is counted, and the better of two strokes: what is slow for what the page
    does is so each time, what is slow for what else the machine does is not.
    """
    page, worked_ms, took = watched.page, watched.clock(), list[float]()
    box = page.locator(".painter-stage").bounding_box()
    assert box is not None
    path = [(200 + 7 * at, 250 + 50 * np.sin(at)) for at in range(50)]
    page.mouse.move(box["x"] + path[0][0], box["y"] + path[0][1])
    page.mouse.down()
    before = worked_ms()
    for x, y in path:
        page.mouse.move(box["x"] + x, box["y"] + y)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        after = worked_ms()
        took.append(after - before)
        before = after
    page.mouse.up()
    return [*took, worked_ms() - before]


def test_an_image_is_upright_and_its_mask_as_it_is_stored(
    visit: Visit, served: ServedDirectory
) -> None:
    name = "turned"
    turned = Image.Exif()
    turned[0x0112] = 6
    pixels = np.full((200, 320, 3), 60, dtype=np.uint8)
    pixels[:40, :40] = 220  # upright, it is in the corner at the top right
    images = {}
    for kind in ("jpeg", "png"):
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, kind, exif=turned)
        images[f"1.{kind}"] = data.getvalue()
    client = project_of(served, name, images)
    watched = visit()

    for key in images:
        ref = f"s3://images/{name}/{key}"
        page = open_painter(watched, name, ref)
        if key == "1.jpeg":
            add_type(page, "crack")
        box = page.locator(".painter-stage").bounding_box()
        assert box is not None
        scale = min(box["width"] / 200, box["height"] / 320)
        page.keyboard.press("w")
        page.mouse.click(
            box["x"] + box["width"] / 2 + 80 * scale, box["y"] + box["height"] / 2 - 140 * scale
        )
        painted = buffer_of(page)
        watched.shoot("painter-upright")
        save(page)

        assert painted.shape == (320, 200)
        assert painted[5:35, 165:195].all()
        mask = np.asarray(stored_mask(served, entry_of(client, name, ref)))[..., 0] < 255
        assert np.array_equal(np.rot90(mask, -1), painted == 1)
        assert np.array_equal(buffer_of(open_painter(watched, name, ref)), painted)


def test_the_masks_of_the_sample_are_shown(
    visit: Visit, served: ServedDirectory, cookies: Path
) -> None:
    name = "sample"
    ref = served.put("sample/1.jpg", (cookies / "training-images/anomaly-1.jpg").read_bytes())
    mask = served.put("sample/1.png", (cookies / "mask-images/anomaly-1.png").read_bytes())
    manifest = (cookies / "manifests/template.manifest").read_text().splitlines()
    entry = json.loads(manifest[0]) | {"source-ref": ref, "anomaly-mask-ref": mask}
    client = served.client()
    client.create_project(ProjectName=name)
    source = served.put_manifest("sample.manifest", [entry])
    client.create_dataset(ProjectName=name, DatasetType="train", DatasetSource=source)
    status = dataset_status(client, name, "train")
    wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})

    page = open_painter(visit(), name, ref)

    data = (cookies / "mask-images/anomaly-1.png").read_bytes()
    masks = decode_mask(data, colors={"#23A436": "cracked"}, size=(576, 768))
    assert np.array_equal(buffer_of(page) == 1, masks["cracked"])
    expect(page.locator(".painter-type")).to_contain_text("cracked")
