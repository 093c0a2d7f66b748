"""The images of the console in the documentation: `python -m documentation.console_images`.

A browser does what a user does with the sample product: it adds a folder, trains a model, looks
at its results and tries it. The folder has one mistake: an image with a chip lies among the normal
images of the test.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

from blemish.demo.data import BUCKET, write_sample_data
from blemish.demo.sample_product import COLORS
from blemish.domain.palette import BACKGROUND
from documentation.animation import Scene, write_animation
from tests.acceptance.served import ServedDirectory, dataset_status, wait_for
from tests.console.conftest import CHROMIUM, FLAGS
from tests.console.watched import Watched

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (1280, 800)
PROJECT = "plates"
MISTAKE = "plate-417.jpg"
"""Shows a chip, and is labelled as normal."""

TRAINING_PATIENCE_MS = 600_000
LINE = """
[model]
project = "plates"
version = "1"

[[source]]
type = "folder"
name = "camera"
when_busy = "never-drop"
path = "{folder}"

[records]
images = ["all"]
"""


class Tour:
    """A browser on its way through the console, and the scenes that it has passed."""

    def __init__(self, watched: Watched, folder: Path) -> None:
        self._watched = watched
        self._folder = folder
        self.scenes: list[Scene] = []
        self.screenshots: dict[str, bytes] = {}

    def add_images(self) -> None:
        """Create a project and add a folder of images."""
        page = self._watched.open("/")
        page.get_by_role("button", name="New project").first.click()
        page.get_by_label("Name").fill(PROJECT)
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name=PROJECT, level=1)).to_be_visible()
        page = self._watched.open(f"/projects/{PROJECT}/add")
        self._scene(page, "1. Bring images", 1.5)
        page.get_by_label("A folder").set_input_files(self._folder)
        add = page.get_by_role("button", name="Add 72 files")
        expect(add).to_be_visible()
        self._scene(page, "1. Bring images: folder names become labels", 2.5)
        add.click()
        expect(page.get_by_role("heading", name="72 images added")).to_be_visible(timeout=60_000)
        self._open_images()
        self._shoot(page, "console-images")
        self._scene(page, "1. Bring images: normal ones, and some with defects", 2.5)

    def train(self) -> None:
        """Train a model to the end."""
        page = self._watched.open(f"/projects/{PROJECT}/train")
        train = page.get_by_role("button", name="Train")
        expect(train).to_be_enabled(timeout=60_000)
        self._scene(page, "2. Train", 1.5)
        train.click()
        progress = page.get_by_role("progressbar", name="Model 1")
        expect(progress).to_be_visible()
        expect(page.get_by_text("% of all done").first).to_be_visible(timeout=TRAINING_PATIENCE_MS)
        self._scene(page, "2. Train: about a minute on an ordinary processor", 2)
        done = page.get_by_role("link", name="See what it learned")
        expect(done).to_be_visible(timeout=TRAINING_PATIENCE_MS)
        done.click()
        expect(page.get_by_role("heading", name="Model 1", exact=True)).to_be_visible()
        expect(page.locator(".judged figure").first).to_be_visible()
        _wait_for_images(page)
        self._shoot(page, "console-model")
        self._scene(page, "3. Find: 1 of 24 test images is not as labelled", 3)
        alarms = page.get_by_role("button", name="false alarm")
        alarms.first.click()
        expect(page.get_by_text("Show all")).to_be_visible()
        expect(page.locator(".judged figure")).to_have_count(1)
        page.get_by_label("Heat map").first.fill("40")
        self._shoot_at(page, page.locator(".judged figure").first, "console-mistake")
        self._scene(page, "3. Find: the model is right, the label is wrong", 3)

    def find(self) -> None:
        """Start the model and try it on new images."""
        page = self._watched.open(f"/projects/{PROJECT}/try")
        page.get_by_role("button", name="Start the model").click()
        images = page.get_by_label("Images to try")
        expect(images).to_be_enabled(timeout=60_000)
        images.set_input_files(sorted((self._folder / "test" / "anomaly").iterdir())[::5])
        expect(page.get_by_text("sure")).to_have_count(3, timeout=60_000)
        expect(page.locator("img.seen")).to_have_count(3)
        self._shoot_at(page, page.locator("img.seen").first, "console-try")
        self._scene(page, "3. Find: the verdict on a new image, and the place", 4)

    def paint(self, url: str) -> None:
        """Open an image and its mask in the painter."""
        page = self._watched.open(f"/projects/{PROJECT}/paint?set=train&ref={url}")
        expect(page.locator(".painter-stage.ready")).to_be_visible()
        self._shoot(page, "console-paint")

    def watch_line(self, watched_folder: Path, images: list[Path]) -> None:
        """Create a line, let parts go by, and look at the last one and at the history."""
        page = self._watched.open("/lines/new")
        page.get_by_label("Name").fill("hall-2")
        page.get_by_label("Settings (TOML)").fill(LINE.format(folder=watched_folder))
        page.get_by_role("button", name="Create and start").click()
        expect(page.get_by_role("heading", name="Line hall-2")).to_be_visible()
        page.goto(f"{self._watched.root}/line/hall-2")
        for number, image in enumerate(images, start=1):
            shutil.copy(image, watched_folder / f"plate-{number}{image.suffix}")
            expect(page.locator("#caption")).to_contain_text(f"plate-{number}.", timeout=60_000)
        expect(page.locator("#last img[src]")).to_have_count(min(len(images), 10))
        expect(page.locator("#heat-map")).to_be_visible()
        _wait_for_images(page)
        self._shoot(page, "console-line")
        page.goto(f"{self._watched.root}/line/hall-2/history")
        _wait_for_images(page)
        self._shoot(page, "console-line-history")

    def _open_images(self) -> None:
        page = self._watched.open(f"/projects/{PROJECT}/images?set=train")
        expect(page.locator(".cell img").first).to_be_visible()
        _wait_for_images(page)

    def _shoot_at(self, page: Page, target: Locator, name: str) -> None:
        target.evaluate("element => element.scrollIntoView({block: 'center'})")
        _wait_for_images(page)
        self._shoot(page, name)

    def _shoot(self, page: Page, name: str) -> None:
        self.screenshots[name] = page.screenshot()

    def _scene(self, page: Page, caption: str, duration_s: float) -> None:
        scene = Scene(screenshot=page.screenshot(), caption=caption, duration_s=duration_s)
        self.scenes.append(scene)


def take_images(target: Path) -> None:
    """Write the images of all pages, and the animation of the README."""
    with TemporaryDirectory() as name, _server(Path(name) / "data") as server:
        folder = Path(name) / "plates"
        masks = _write_folder(folder, Path(name) / "drawn")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            watched = Watched(browser, server, size=SIZE)
            watched.sign_in()
            tour = Tour(watched, folder)
            tour.add_images()
            tour.train()
            tour.find()
            parts = Path(name) / "parts"
            parts.mkdir()
            tour.watch_line(parts, _parts(folder))
            tour.paint(_add_mask(server, masks))
            watched.close()
            browser.close()
    for image, screenshot in tour.screenshots.items():
        _write_small(target / f"{image}.png", screenshot)
    write_animation(target / "bring-train-find.webp", tour.scenes)


@contextmanager
def _server(folder: Path) -> Iterator[ServedDirectory]:
    server = ServedDirectory(folder, environment={})
    server.start()
    try:
        yield server
    finally:
        server.end()


def _write_folder(folder: Path, drawn: Path) -> Path:
    """Write the sample product as a user's folders; return the folder of its masks."""
    write_sample_data(drawn, advance=lambda *_: None)
    for kind in ("train", "test"):
        lines = (drawn / "manifests" / f"{kind}.manifest").read_text().splitlines()
        for line in map(json.loads, lines):
            label = line["anomaly-label-metadata"]["class-name"]
            image = drawn / line["source-ref"].removeprefix(f"s3://{BUCKET}/")
            (folder / kind / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(image, folder / kind / label)
    chip = next((folder / "test" / "anomaly").glob("chip*"))
    chip.rename(folder / "test" / "normal" / MISTAKE)
    return drawn / "masks" / "train"


def _parts(folder: Path) -> list[Path]:
    """Return images of parts that go by; the last one has a defect."""
    normal = sorted((folder / "test" / "normal").iterdir())
    anomalous = sorted((folder / "test" / "anomaly").iterdir())
    return [*normal[:5], anomalous[0], *normal[5:8], anomalous[-1]]


def _add_mask(server: ServedDirectory, masks: Path) -> str:
    """Give the first stain of the training its mask; return the image's address."""
    client = server.client()
    dataset = {"ProjectName": PROJECT, "DatasetType": "train"}
    entries = client.list_dataset_entries(**dataset, SourceRefContains="stain")["DatasetEntries"]
    entry = json.loads(entries[0])
    name = Path(entry["source-ref"]).stem
    mask = next(path for path in masks.glob("stain*.png") if path.stem in name)
    bucket = entry["source-ref"].split("/")[2]
    shutil.copy(mask, server.folder / "buckets" / bucket)
    entry["anomaly-mask-ref"] = f"s3://{bucket}/{mask.name}"
    entry["anomaly-mask-ref-metadata"] = {
        "internal-color-map": {
            "0": {"class-name": "BACKGROUND", "hex-color": BACKGROUND},
            "1": {"class-name": "stain", "hex-color": COLORS["stain"]},
        },
        "type": "groundtruth/semantic-segmentation",
        "human-annotated": "yes",
    }
    client.update_dataset_entries(**dataset, Changes=json.dumps(entry).encode())
    status = dataset_status(client, PROJECT, "train")
    wait_for(status, {"UPDATE_COMPLETE"}, while_in={"UPDATE_IN_PROGRESS"})
    return str(entry["source-ref"])


def _wait_for_images(page: Page) -> None:
    page.wait_for_function("() => [...document.images].every((image) => image.complete)")


def _write_small(path: Path, screenshot: bytes) -> None:
    with Image.open(io.BytesIO(screenshot)) as image:
        image.convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    take_images(folder)
