"""Reviews of a line in a real browser: keys, fingers, restarts, two tabs, data sets."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from blemish.line.reviews import LineReviews, ReviewAnswer
from blemish.station.config import ImageRule
from blemish.station.records import Records
from tests.acceptance.product import images
from tests.acceptance.served import ServedDirectory
from tests.console.watched import Watched
from tests.unit.station.captured import DETECTION, RULES, captured, verdict_on

pytestmark = pytest.mark.acceptance

SETTINGS = """
[model]
project = "plates"
version = "1"
[[source]]
type = "browser"
name = "camera"
when_busy = "never-drop"
"""
COUNT = 12


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    """A server with a project, and with a line that is stopped."""
    server = ServedDirectory(tmp_path_factory.mktemp("review") / "data", environment={})
    server.start()
    try:
        server.client().create_project(ProjectName="plates")
    finally:
        server.end()
    line = server.folder / "lines" / "hall"
    line.mkdir(parents=True)
    (line / "line.toml").write_text(SETTINGS)
    (line / "stopped").touch()
    server.start()
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture
def folder(served: ServedDirectory) -> Path:
    """The folder of the line, with twelve more uncertain images."""
    line = served.folder / "lines" / "hall"
    rules = replace(RULES, images=frozenset({ImageRule.ALL}))
    records = Records(line, rules=rules)
    detection = replace(
        DETECTION, anomaly_map=np.ones((8, 8), dtype=np.float32), stored_size=(640, 480)
    )
    start = served.next_number() * 100
    for number in range(start, start + COUNT):
        content = images()[number % len(images())][1] + b"%d" % number
        image = captured(number, content=content, name=f"plate {number}.jpg")
        stored = records.images.store(image, detection)
        records.add(verdict_on(image, score=1.05, time=datetime.now(UTC)), image, stored=stored)
    records.close()
    reviews = LineReviews(line)
    while (old := reviews.next_id("earlier")) and not old.startswith(captured(start).id):
        reviews.answer(old, "earlier", ReviewAnswer.OK, at=datetime.now(UTC))
    reviews.added([image.id for image in reviews.verified()], "train")
    return line


def opened(watched: Watched) -> Page:
    watched.page.goto(f"{watched.root}/line/hall/review")
    expect(watched.page.locator("#photo")).to_be_visible()
    return watched.page


def shown(page: Page) -> str:
    return str(page.evaluate("document.body.dataset.image"))


def press(page: Page, key: str) -> None:
    """Answer by a key, and wait for the next image."""
    before = shown(page)
    page.keyboard.press(key)
    page.wait_for_function("(before) => document.body.dataset.image !== before", arg=before)


def test_three_keys_answer_and_the_menu_counts_what_waits(
    visit: Callable[..., Watched], folder: Path
) -> None:
    watched = visit()
    page = opened(watched)
    expect(page.locator("#waiting")).to_contain_text("12 uncertain images wait")
    first = shown(page)

    press(page, "1")
    press(page, "2")
    press(page, "3")

    expect(page.locator("#waiting")).to_contain_text("10 uncertain images wait")
    verified = {image.id: image.is_anomalous for image in LineReviews(folder).verified()}
    assert verified[first] is False
    assert sorted(verified.values()) == [False, True]
    page.keyboard.press("z")
    page.reload()
    expect(page.locator("#waiting")).to_contain_text("10 uncertain images wait")
    watched.open("/lines")
    expect(watched.page.get_by_role("link", name="Lines (10)")).to_be_visible()


def test_answers_survive_a_kill_and_two_tabs_answer_each_image_once(
    visit: Callable[..., Watched], served: ServedDirectory, folder: Path
) -> None:
    watched = visit()
    page = opened(watched)
    other = watched.context.new_page()
    other.goto(page.url)
    expect(other.locator("#photo")).to_be_visible()
    assert shown(other) == shown(page)

    press(page, "2")
    other.keyboard.press("2")  # the same image, again
    expect(other.locator("#waiting")).to_contain_text("11 uncertain images wait")
    port = int(served.console.rsplit(":", 1)[1])
    served.end(signal.SIGKILL)
    page.keyboard.press("1")
    expect(page.locator("#problems")).to_contain_text("tries again by itself")
    restart(served, port)

    expect(page.locator("#waiting")).to_contain_text("10 uncertain images wait")
    assert len(LineReviews(folder).verified()) == 2
    watched.problems.clear()


def restart(served: ServedDirectory, port: int) -> None:
    served._environment |= {"BLEMISH_CONSOLE_PORT": str(port)}
    served.start()


def test_verified_images_go_to_the_training_set_by_a_click_and_to_the_painter(
    visit: Callable[..., Watched], served: ServedDirectory, folder: Path
) -> None:
    watched = visit()
    page = opened(watched)
    press(page, "1")
    press(page, "2")

    page.get_by_role("button", name="Add to the training set").click()

    expect(page.locator("#verified")).to_contain_text("0 verified images")
    assert labels(served) == ["anomaly", "normal"]
    page.get_by_role("button", name="paint the mask").click()
    page.wait_for_url("**/paint?**")
    expect(page.locator("canvas").first).to_be_visible()
    assert labels(served) == ["anomaly", "anomaly", "normal"]
    assert LineReviews(folder).verified() == []


def labels(served: ServedDirectory) -> list[str]:
    client: Any = served.client()
    entries = client.list_dataset_entries(ProjectName="plates", DatasetType="train")
    return sorted(
        "anomaly" if '"anomaly-label": 1' in entry else "normal"
        for entry in entries["DatasetEntries"]
    )


def test_the_agreement_of_two_reviewers_is_counted(
    visit: Callable[..., Watched], folder: Path
) -> None:
    reviews = LineReviews(folder)
    for row in range(COUNT):
        name = reviews.next_id("anna")
        assert name is not None
        for reviewer, is_wrong in (("anna", row % 2 == 0), ("ben", row % 2 == 0 or row == 1)):
            answer = ReviewAnswer.NOT_OK if is_wrong else ReviewAnswer.OK
            reviews.answer(name, reviewer, answer, at=datetime.now(UTC))

    page = visit().page
    page.goto(f"{visit().root}/line/hall/review")

    expect(page.locator("#agreements")).to_contain_text("anna and ben: the same on 11 of 12")
    expect(page.locator("#agreements")).to_contain_text("Cohen's kappa 0.83")
    expect(page.locator("#verified")).to_contain_text("1 disputed")


@pytest.mark.parametrize("size", [(1280, 800), (768, 1024)])
def test_the_page_is_accessible_and_answers_a_finger(
    visit: Callable[..., Watched], folder: Path, size: tuple[int, int]
) -> None:
    assert folder
    watched = visit(size=size, has_touch=True, dark=size[0] == 768)
    page = opened(watched)
    before = shown(page)

    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.locator("[data-answer=unsure]").tap()

    page.wait_for_function("(before) => document.body.dataset.image !== before", arg=before)
