"""The page of a station in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from blemish.station.config import PageConfig
from blemish.station.config_table import SecretText
from blemish.station.page.server import StationPage
from blemish.station.page.shown_image import ShownImage
from blemish.station.status import StationStatus
from blemish.station.verdict import Verdict
from tests.products import draw, png
from tests.unit.station.statuses import station_status
from tests.unit.station.verdicts import verdict

pytestmark = pytest.mark.acceptance

SIZE = (640, 480)


@dataclass
class Line:
    """A station whose state the test sets."""

    status: StationStatus = field(default_factory=station_status)
    shown: ShownImage | None = None

    def show(self, shown_verdict: Verdict) -> None:
        """Judge an image."""
        heat = np.zeros((24, 32), dtype=np.float32)
        heat[8:14, 10:18] = 3 if shown_verdict.is_anomalous else 0
        content = png(draw(1, "stain", size=SIZE).pixels)
        self.shown = ShownImage(verdict=shown_verdict, content=content, anomaly_map=heat)
        self.status = replace(self.status, last=(shown_verdict, *self.status.last[:19]))


@pytest.fixture
def line() -> Line:
    return Line()


def served(line: Line, token: SecretText | None = None) -> Iterator[StationPage]:
    config = PageConfig(host="127.0.0.1", port=0, token=token)
    page = StationPage(config, status=lambda: line.status, shown=lambda: line.shown)
    page.start()
    yield page
    page.close()


@pytest.fixture
def station_page(line: Line) -> Iterator[StationPage]:
    yield from served(line)


@pytest.fixture
def sign_in_page(line: Line) -> Iterator[StationPage]:
    yield from served(line, SecretText("t-123"))


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def page(browser: Browser, problems: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    tab = context.new_page()
    tab.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    yield tab
    context.close()


def test_a_person_reads_the_verdict_the_image_and_the_connections(
    station_page: StationPage, line: Line, page: Page, problems: list[str]
) -> None:
    page.goto(station_page.address)
    expect(page.locator("#word")).to_have_text("OK")
    expect(page.locator("#photo")).to_be_hidden()

    line.show(verdict(21, image_name="<b onclick=alert()>plate</b>.png"))
    expect(page.locator("#word")).to_have_text("NOT OK")
    expect(page.locator("#caption")).to_contain_text("<b onclick=alert()>plate</b>.png")
    expect(page.locator("g.not-ok")).to_be_visible()
    expect(page.locator("g.ok")).to_be_hidden()
    expect(page.locator("#photo")).to_be_visible()
    expect(page.locator("#heat-map")).to_be_visible()
    expect(page.locator("#last li")).to_have_count(20)
    expect(page.locator("#last li").first).to_contain_text("NOT OK")
    expect(page.locator("#detections")).to_have_text("12,345")
    expect(page.locator("#latency")).to_have_text("42 ms")
    expect(page.locator("#sinks li").nth(1)).to_contain_text("away")
    expect(page.locator("#sinks li").nth(1)).to_contain_text("45 waiting")

    line.show(verdict(22, is_anomalous=False, anomalies=(), score=0.5))
    expect(page.locator("#word")).to_have_text("OK")
    expect(page.locator("g.ok")).to_be_visible()

    assert problems == []


def test_the_word_is_read_from_three_metres(
    station_page: StationPage, line: Line, page: Page
) -> None:
    line.show(verdict(21))
    page.goto(station_page.address)
    expect(page.locator("#word")).to_have_text("NOT OK")

    # a screen of 24 inches shows 1080 pixels on 30 cm; a letter is read at 1/200 of the distance
    height = page.locator("#word").bounding_box()
    assert height is not None
    assert height["height"] * 0.7 / 1080 * 300 > 3_000 / 200
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1920
    found = Axe().run(page)
    assert found.response["violations"] == []


def test_a_station_that_goes_away_is_said(
    station_page: StationPage, line: Line, page: Page
) -> None:
    line.show(verdict(21))
    page.goto(station_page.address)
    expect(page.locator("#alarm")).to_be_hidden()

    station_page.close()

    expect(page.locator("#alarm")).to_contain_text("No connection to the station")


def test_a_token_opens_the_page(sign_in_page: StationPage, page: Page) -> None:
    page.goto(sign_in_page.address)
    page.get_by_label("Token of the station").fill("t-123")
    page.get_by_role("button", name="Sign in").click()

    expect(page.locator("#word")).to_have_text("OK")
