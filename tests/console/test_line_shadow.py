"""A second model of a line, and its drift, in a real browser over a line that runs."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from blemish.line.history import LineHistory
from blemish.line.shadow_records import ModelPair, ShadowRecords
from tests.acceptance.product import host, images
from tests.acceptance.served import ServedDirectory
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

SETTINGS = """
[model]
project = "plates"
version = "1"
[shadow]
project = "plates"
version = "2"
[records]
images = ["all"]
[[source]]
type = "folder"
name = "camera"
when_busy = "never-drop"
settle_s = 0.05
path = "{path}"
"""
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def incoming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the line watches."""
    return tmp_path_factory.mktemp("incoming")


@pytest.fixture(scope="module")
def served(
    two_models: Path, incoming: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedDirectory]:
    """A server with a line whose two models run."""
    folder = tmp_path_factory.mktemp("shadow") / "data"
    server = ServedDirectory(folder, environment={}, content=two_models)
    line = folder / "lines" / "hall"
    line.mkdir(parents=True)
    (line / "line.toml").write_text(SETTINGS.format(path=incoming))
    server.start()
    try:
        for version in ("1", "2"):
            host(server.client(), version=version)
        yield server
    finally:
        server.end(signal.SIGKILL)


def put(incoming: Path, numbers: range) -> None:
    for number in numbers:
        content = images()[number % len(images())][1] + b"%d" % number
        (incoming / f".{number}").write_bytes(content)
        (incoming / f".{number}").rename(incoming / f"plate {number}.jpg")


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_two_models_are_compared_and_exchanged_without_a_lost_image(
    visit: Callable[..., Watched], served: ServedDirectory, incoming: Path
) -> None:
    line = served.folder / "lines" / "hall"
    history, shadows = LineHistory(line), ShadowRecords(line)
    put(incoming, range(10))
    until(lambda: shadows.table(ModelPair(first="plates 1", second="plates 2")).images > 0)
    watched = visit()
    page = watched.open("/line/hall/compare")
    expect(page.get_by_text("plates 1 judges; plates 2 judges silently.")).to_be_visible()
    expect(page.get_by_text("The same on")).to_be_visible()  # the second is a copy of the first
    assert Axe().run(page).response["violations"] == []

    put(incoming, range(10, 25))
    page.get_by_role("button", name="Let plates 2 judge").click()
    page.get_by_role("dialog").get_by_role("button", name="Exchange").click()
    expect(page.get_by_text("plates 2 judges; plates 1 judges silently.")).to_be_visible()
    put(incoming, range(25, 40))

    until(lambda: len(history.newest(100)) >= 40)
    verdicts = [entry.verdict for entry in reversed(history.newest(100))]
    assert sorted(v.image_name for v in verdicts) == sorted(f"plate {n}.jpg" for n in range(40))
    versions = [v.component_version for v in verdicts]
    assert versions == sorted(versions)
    assert set(versions) == {"1", "2"}
    assert (line / "line.toml").read_text().index('version = "2"') > 0


@pytest.mark.parametrize("size", [(1280, 800), (768, 1024)])
def test_the_page_of_drift_shows_each_measure(
    visit: Callable[..., Watched], served: ServedDirectory, size: tuple[int, int]
) -> None:
    assert served
    page = visit(size=size, has_touch=True).open("/line/hall/drift")

    expect(page.get_by_role("heading", name="Source camera")).to_be_visible()
    expect(page.get_by_role("heading", name="Brightness")).to_be_visible()
    expect(page.get_by_text("Brightness: ")).to_contain_text("normal is")
    expect(page.locator("canvas").first).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
