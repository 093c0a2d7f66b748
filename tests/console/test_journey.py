"""The whole way of somebody who never writes a program, on real images of cookies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.served import ServedDirectory
from tests.console.watched import Watched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

Visit = Callable[..., Watched]

PROJECT = "cookies"
NORMAL, ANOMALY = 20, 6
TRAINED_IN_MS = 600_000


@pytest.fixture(scope="module")
def served(empty_server: ServedDirectory) -> ServedDirectory:
    """A server without projects."""
    return empty_server


@pytest.fixture
def folder(cookies: Path, tmp_path: Path) -> Path:
    """A folder as people have it: the good ones sorted out, the others not."""
    for name, label, count in (("normal", "normal", NORMAL), ("unsorted", "anomaly", ANOMALY)):
        target = tmp_path / "line 3" / name
        target.mkdir(parents=True)
        for path in sorted((cookies / "training-images").glob(f"{label}-*"))[:count]:
            shutil.copy(path, target / path.name)
    return tmp_path / "line 3"


def test_from_a_folder_to_a_model_that_is_trusted_and_away(
    visit: Visit, folder: Path, cookies: Path
) -> None:
    watched = visit()
    page = watched.page

    make_project(page)
    add_images(watched, folder)
    label(watched)
    train(watched)
    look(watched)
    paint(watched)
    try_out(watched, next(iter(sorted((cookies / "test" / "normal").iterdir()))))
    delete(watched)

    page = watched.open("/trash")
    row = page.get_by_role("cell", name=f"Project {PROJECT}", exact=True)
    expect(row).to_be_visible()  # for a day


def make_project(page: Page) -> None:
    page.get_by_role("button", name="New project").first.click()
    page.get_by_label("Name").fill(PROJECT)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name=PROJECT, level=1)).to_be_visible()


def add_images(watched: Watched, folder: Path) -> None:
    page = watched.open(f"/projects/{PROJECT}/add")
    page.get_by_label("A folder").set_input_files(folder)
    page.get_by_role("button", name=f"Add {NORMAL + ANOMALY} files").click()
    expect(page.get_by_role("heading", name=f"{NORMAL + ANOMALY} images added")).to_be_visible()


def label(watched: Watched) -> None:
    page = watched.open(f"/projects/{PROJECT}/images?set=train")
    page.get_by_role("button", name=f"Unlabelled {ANOMALY}").click()
    page.get_by_role("button", name=f"Select all {ANOMALY}").click()
    page.get_by_role("button", name="Anomaly A").click()
    expect(page.get_by_role("button", name=f"Anomaly {ANOMALY}", exact=True)).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    watched.shoot("journey-labelled")


def paint(watched: Watched) -> None:
    page = watched.open(f"/projects/{PROJECT}/images?set=train")
    page.get_by_role("button", name=f"Anomaly {ANOMALY}", exact=True).click()
    page.locator(".cell").first.dblclick()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    page.get_by_label("Name of a new anomaly type").fill("cracked")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".painter-type.selected")).to_contain_text("cracked")
    box = page.locator(".painter-stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.45)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.6, steps=8)
    page.mouse.up()
    expect(page.locator(".painter [role=status]")).to_have_text("Not saved yet")
    page.keyboard.press("Control+s")
    expect(page.locator(".painter [role=status]")).to_have_text("Saved")
    watched.shoot("journey-painted")
    page = watched.open(f"/projects/{PROJECT}/train")
    expect(page.get_by_text("cracked", exact=True)).to_be_visible()
    expect(page.get_by_text("Needs 5 masks to be learned: cracked.")).to_be_visible()


def train(watched: Watched) -> None:
    page = watched.open(f"/projects/{PROJECT}/train")
    page.get_by_role("button", name="Train").click()
    expect(page.get_by_role("progressbar", name="Model 1")).to_be_visible()
    page.reload()
    expect(page.get_by_text("% of all done").first).to_be_visible()
    page.get_by_text("Log").first.click()
    done = page.get_by_role("link", name="See what it learned")
    expect(done).to_be_visible(timeout=TRAINED_IN_MS)
    watched.shoot("journey-trained")
    done.click()


def look(watched: Watched) -> None:
    page = watched.page
    expect(page.get_by_role("heading", name="Model 1", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="anomalies found")).to_be_visible()
    slider = page.get_by_label("Threshold", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator(".effect")).to_contain_text("Missed0")
    watched.shoot("journey-threshold")
    page.get_by_role("button", name="Use this threshold").click()
    expect(page.get_by_text("the training chose")).to_be_visible()


def try_out(watched: Watched, image: Path) -> None:
    page = watched.open(f"/projects/{PROJECT}/try")
    page.get_by_role("button", name="Start the model").click()
    expect(page.get_by_label("Images to try")).to_be_enabled()
    page.get_by_label("Images to try").set_input_files(image)
    expect(page.get_by_text("sure")).to_be_visible()
    # with the lowest threshold all images are anomalies, and this one is none
    page.get_by_role("button", name="It is normal").click()
    page.get_by_role("button", name="Add the verified").click()
    expect(page.get_by_text("In the training set as")).to_be_visible()
    watched.shoot("journey-tried")
    watched.open(f"/projects/{PROJECT}/images?set=train")
    expect(page.get_by_role("button", name=f"Normal {NORMAL + 1}", exact=True)).to_be_visible()


def delete(watched: Watched) -> None:
    page = watched.open(f"/projects/{PROJECT}")
    page.get_by_role("button", name="Delete project").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(f"Type {PROJECT}").fill(PROJECT)
    dialog.get_by_role("button", name="Delete project").click()
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible()
    expect(page.get_by_role("link", name=PROJECT)).to_have_count(0)
