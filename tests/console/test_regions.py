"""Regions, painted with a real mouse, of a project and of a model."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.product import PROJECT, start_training
from tests.acceptance.served import ServedDirectory, model_status, wait_for
from tests.console.conftest import running
from tests.console.test_looks import findings
from tests.console.test_painter import buffer_of, drag, project_of
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]


def saved(page: Page) -> None:
    """Save by the key, and wait for it."""
    page.keyboard.press("Control+s")
    expect(page.locator(".painter [role=status]").first).to_have_text("Saved")


def part(kind: str, page: Page) -> None:
    """Say what the paint means."""
    page.locator(".painter-type").filter(has_text=kind).click()


def test_regions_are_painted_from_the_overview_shown_there_and_cleared(
    visit: Visit, served: ServedDirectory, cookies: Path
) -> None:
    name = "masked"
    folder = cookies / "training-images"
    images = {f"{row}.jpg": (folder / f"normal-{row}.jpg").read_bytes() for row in (1, 2)}
    project_of(served, name, images)
    watched = visit()
    page = watched.open(f"/projects/{name}")
    expect(page.get_by_text("No regions: the whole image counts.")).to_be_visible()

    page.get_by_role("link", name="Paint on an image").click()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    page.keyboard.press("p")
    for x, y in ((0.3, 0.05), (0.7, 0.05), (0.6, 0.25), (0.4, 0.25)):
        drag(page, (x, y))
    page.keyboard.press("Enter")
    ignored = buffer_of(page)
    page.keyboard.press("PageDown")
    expect(page.get_by_text("on 2.jpg")).to_be_visible()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    on_another_image = buffer_of(page)
    watched.shoot("regions")
    assert findings(page) == []
    saved(page)
    part("alone counts", page)
    inverse = buffer_of(page)
    page.keyboard.press("Control+z")
    page.get_by_role("link", name="Overview").last.click()

    assert set(np.unique(ignored)) == {0, 1}
    assert np.array_equal(on_another_image, ignored)
    assert np.array_equal(inverse, 2 * ignored)
    expect(page.get_by_text("What is painted is ignored.")).to_be_visible()
    page.wait_for_function("() => document.querySelector('.region-image .overlay')?.naturalWidth")
    page.locator("section.detector").scroll_into_view_if_needed()
    watched.shoot("regions-overview")
    assert findings(page) == []
    (mask,) = (served.folder / "buckets" / "images" / name).glob("regions.mask-*.png")
    painted = np.asarray(Image.open(io.BytesIO(mask.read_bytes())).convert("L")) < 255
    assert np.array_equal(painted, ignored > 0)
    page.get_by_role("button", name="Clear the regions").click()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_text("No regions: the whole image counts.")).to_be_visible()


@pytest.fixture
def own_server(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedDirectory]:
    """A server with a project that is ready for a training."""
    yield from running(trained, tmp_path_factory)


@pytest.mark.slow
def test_the_regions_of_a_model_are_moved_and_its_page_says_that_its_numbers_are_older(
    browser: Browser, own_server: ServedDirectory
) -> None:
    client = own_server.client()
    watched = Watched(browser, own_server)
    watched.sign_in()
    page = watched.open(f"/projects/{PROJECT}/regions")
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    page.keyboard.press("p")
    for x, y in ((0, 0.25), (0.09, 0.25), (0.09, 0.75), (0, 0.75)):  # a clamp at the left
        drag(page, (x, y))
    page.keyboard.press("Enter")
    page.keyboard.press("b")
    watched.shoot("regions-painted")
    saved(page)
    version = start_training(client)
    wait_for(model_status(client, PROJECT, version), {"TRAINED"}, while_in={"TRAINING"})

    page = watched.open(f"/projects/{PROJECT}/models/{version}")
    expect(page.get_by_role("heading", name="Regions")).to_be_visible()
    expect(page.get_by_text("The regions were changed after the training")).to_have_count(0)
    page.get_by_role("link", name="Paint on an image").click()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    page.get_by_role("button", name="Erase the mask").click()
    expect(page.get_by_text("so it needs some")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    drag(page, (0.4, 0.9), (0.6, 0.9))
    saved(page)
    page.get_by_role("link", name="The model").click()

    expect(page).to_have_url(re.compile(f"/models/{version}$"))
    expect(page.get_by_text("The regions were changed after the training")).to_be_visible()
    watched.shoot("regions-model", whole=True)
    assert findings(page) == []
    watched.close()
