"""A line in a real browser: the verdict on a full screen, the history, kills, roles."""

from __future__ import annotations

import csv
import io
import re
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.product import PROJECT, host, images
from tests.acceptance.served import ServedDirectory, model_status
from tests.console.conftest import CHROMIUM, FLAGS
from tests.console.test_looks import ALL_IMAGES, ZOOMED, findings
from tests.console.watched import NARROW, PATIENCE_MS, WIDE, Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]

TABLET = (768, 1024)
SETTINGS = """
[model]
project = "{project}"
version = "1"

[line]
shifts = ["00:00"]

[[source]]
type = "folder"
name = "in"
when_busy = "never-drop"
path = "{folder}"
settle_s = 0.05

[[source]]
type = "browser"
name = "tablet"
when_busy = "never-drop"

[[sink]]
type = "json-lines"
name = "out"
path = "{folder}/verdicts.jsonl"

[records]
images = ["all"]
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the line watches."""
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def served(trained_server: ServedDirectory, parts: Path) -> ServedDirectory:
    """A server with the line `plates-1`, which was there when the server started."""
    trained_server.end(signal.SIGKILL)
    folder = trained_server.folder / "lines" / "plates-1"
    folder.mkdir(parents=True)
    (folder / "line.toml").write_text(SETTINGS.format(project=PROJECT, folder=parts))
    trained_server.start()
    return trained_server


def put(parts: Path, number: int, *, anomalous: bool = False) -> str:
    """Let a part go by; return the name of its image."""
    data = images()[-2 if anomalous else number % 10][1]
    name = f"{number:03}.jpg"
    # a name that begins with a dot is no image yet; no two images have the same bytes
    (parts / f".{name}").write_bytes(data + b"%d" % number)
    (parts / f".{name}").rename(parts / name)
    return name


@pytest.fixture
def judged(served: ServedDirectory, parts: Path) -> str:
    """Have the model run and a part judged; return the name of its image."""
    if model_status(served.client(), PROJECT, "1")() != "HOSTED":
        host(served.client())
    name = put(parts, 100 + served.next_number())
    file, deadline = parts / "verdicts.jsonl", time.monotonic() + PATIENCE_MS / 1000
    while not (file.exists() and name in file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return name


def shown(page: Page, name: str) -> None:
    expect(page.locator("#caption")).to_contain_text(name)


def test_a_line_waits_for_its_model_judges_and_survives_kills(
    visit: Visit, served: ServedDirectory, parts: Path
) -> None:
    first = put(parts, 1)
    watched = visit()
    page = watched.page
    page.goto(f"{watched.root}/line/plates-1")
    expect(page.locator("#problems")).to_contain_text("Model 1 of plates does not run")

    host(served.client())
    shown(page, first)
    expect(page.locator("#problems li")).to_have_count(0)
    expect(page.locator("#photo")).to_be_visible()
    expect(page.locator("#heat-map")).to_be_visible()

    page.locator("#last button").focus()
    bad = put(parts, 2, anomalous=True)
    shown(page, bad)
    expect(page.locator("#last li")).to_have_count(2)
    expect(page.locator("#last button").last).to_be_focused()
    word = "NOT OK" if page.locator("body").get_attribute("data-verdict") == "not-ok" else "OK"
    expect(page.locator("#word")).to_have_text(word)

    page.get_by_role("button", name="Pause").click()
    put(parts, 3)
    expect(page.locator("#problems")).to_contain_text("1 parts since")
    shown(page, bad)
    page.get_by_role("button", name="Back to the newest").click()
    shown(page, "003.jpg")

    served.end(signal.SIGKILL)
    expect(page.locator("#problems")).to_contain_text("No connection to the server")
    put(parts, 4)
    served._port = int(served.endpoint.rsplit(":", 1)[1])
    page.goto("about:blank")  # it tries to connect no more
    watched.problems.clear()  # a socket that is refused is an error of the console


def test_a_part_is_counted_once_after_a_kill(
    visit: Visit, served: ServedDirectory, parts: Path
) -> None:
    served.start()
    watched = visit()
    page = watched.page
    page.goto(f"{watched.root}/line/plates-1")

    shown(page, "004.jpg")
    expect(page.locator("#images")).to_have_text("4")
    expect(page.locator("#last li")).to_have_count(4)
    lines = (parts / "verdicts.jsonl").read_text().splitlines()
    assert len({re.search(r'"id": "(\w+)"', line)[1] for line in lines}) == 4  # type: ignore[index]

    page.get_by_role("button", name="Stop the line").click()
    expect(page.locator("#problems")).to_contain_text("The line is stopped")
    page.get_by_role("button", name="Start the line").click()
    expect(page.locator("#problems li")).to_have_count(0)


def test_the_history_is_selected_and_exported(visit: Visit) -> None:
    watched = visit()
    page = watched.page
    page.goto(f"{watched.root}/line/plates-1/history")
    expect(page.get_by_role("heading", level=1)).to_contain_text("4 parts")

    page.get_by_label("Verdict").select_option("ok")
    page.get_by_role("button", name="Show", exact=True).click()
    ok = page.locator(".parts > .ok").count()
    assert page.locator(".parts > li").count() == ok > 0
    page.locator(".parts button").first.click()
    expect(page.get_by_role("dialog").locator(".photo")).to_be_visible()
    page.get_by_role("button", name="Close").click()

    table = page.request.get(f"{watched.root}/line/plates-1/export.csv?verdict=ok").text()
    rows = list(csv.DictReader(io.StringIO(table)))
    archive = page.request.get(f"{watched.root}/line/plates-1/export.zip?verdict=ok").body()
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        names = opened.namelist()
        assert opened.testzip() is None
    assert len(rows) == ok
    assert sorted(names) == sorted([*(row["file"] for row in rows), "verdicts.csv"])

    page.goto(f"{watched.root}/projects/{PROJECT}?span=24h")
    bar = page.locator(".bar-links a").last
    expect(bar).to_have_attribute("aria-label", re.compile(r": \d images, "))
    bar.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("4 parts")
    page.go_back()
    expect(page.locator(".bars svg")).to_be_visible()
    place = bar.bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + 5)
    expect(page.get_by_role("heading", level=1)).to_contain_text("4 parts")


def test_a_line_is_created_and_deleted_in_the_console(
    visit: Visit, served: ServedDirectory, tmp_path: Path
) -> None:
    watched = visit()
    page = watched.open("/lines/new")
    page.get_by_label("Name").fill("plates-2")
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name="plates 1").click()
    settings = page.get_by_label("Settings (TOML)")
    expect(settings).to_have_value(re.compile('version = "1"'))
    settings.fill(settings.input_value().replace('"/srv/images"', '"images"'))
    page.get_by_role("button", name="Create and start").click()
    expect(page.get_by_text("it must be an absolute path")).to_be_visible()
    settings.fill(settings.input_value().replace('"images"', f'"{tmp_path}/none"'))
    page.get_by_role("button", name="Create and start").click()

    expect(page.get_by_role("heading", name="Line plates-2")).to_be_visible()
    page.goto(f"{watched.root}/line/plates-2")
    expect(page.locator("#problems")).to_contain_text("Source source gives no images")
    (tmp_path / "none").mkdir()
    expect(page.locator("#problems li")).to_have_count(0)

    page = watched.open("/line/plates-2/settings")
    page.get_by_role("button", name="Delete the line").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("heading", name="Lines", exact=True)).to_be_visible()
    assert not (served.folder / "lines" / "plates-2").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("judged")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_bars_people_from_the_pages_of_a_line(visit: Visit, *, dark: bool) -> None:
    watched = visit(dark=dark, has_touch=True)
    page = watched.page
    found: dict[str, list[str]] = {}
    for name, path in {
        "line": "/line/plates-1",
        "line-history": "/line/plates-1/history",
        "lines": "/lines",
        "line-settings": "/line/plates-1/settings",
        "lines-new": "/lines/new",
    }.items():
        page.goto(f"{watched.root}{path}")
        expect(page.locator("h1").first).to_be_visible()
        for size in (NARROW, WIDE, TABLET, ZOOMED):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.wait_for_function(ALL_IMAGES)
            watched.shoot(name, size=size, whole=True)
            across = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            assert across <= 0, f"{name} is {across} pixels wider than a window of {size}"
        if problems := findings(page):
            found[name] = problems

    assert found == {}


@pytest.mark.slow
def test_the_word_is_read_from_five_metres_and_taps_work(visit: Visit, judged: str) -> None:
    watched = visit(size=WIDE, has_touch=True)
    page = watched.page
    page.goto(f"{watched.root}/line/plates-1")
    shown(page, judged)

    # a screen of 24 inches shows 1080 pixels on 30 cm; a letter is read at 1/200 of the distance
    page.evaluate("document.body.dataset.verdict = 'not-ok'")
    page.evaluate("document.getElementById('word').textContent = 'NOT OK'")
    size_px = page.locator("#word").evaluate(
        "element => parseFloat(getComputedStyle(element).fontSize)"
    )
    assert size_px * 0.7 / 1080 * 300 > 5_000 / 200

    page.locator("#last button").last.tap()
    expect(page.locator("body")).to_have_class(re.compile("is-held"))
    page.get_by_role("button", name="Sound off").tap()
    expect(page.get_by_role("button", name="Sound on")).to_be_visible()


@pytest.mark.slow
@pytest.mark.usefixtures("judged")
def test_the_camera_of_a_browser_gives_parts(browser: Browser, served: ServedDirectory) -> None:
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with_camera = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
    watched = Watched(with_camera, served)
    watched.sign_in()
    page = watched.page
    page.goto(f"{watched.root}/line/plates-1/camera")
    page.wait_for_function("() => document.getElementById('video').videoWidth > 0")

    page.get_by_role("button", name="Take an image").click()

    # the image of the camera that Chromium draws has another size than the model was trained on
    expect(page.locator("#problems")).to_contain_text("it must have 384 x 288 pixels")
    with_camera.close()


def kiosk_link(visit: Visit) -> tuple[Watched, str]:
    """Make a kiosk link of the line; return the page that lists the links, and the link."""
    admin = visit()
    page = admin.open("/kiosks")
    page.get_by_role("button", name="New kiosk link").click()
    page.get_by_label("Name of the line").fill("plates-1")
    page.get_by_label("Note").fill("beside the press")
    page.get_by_role("button", name="Create").click()
    address = page.get_by_label("Link", exact=True).input_value()
    page.get_by_role("dialog").last.get_by_role("button").last.click()
    expect(page.get_by_role("row").filter(has_text="beside the press")).to_be_visible()
    return admin, address


@pytest.mark.slow
def test_a_kiosk_shows_the_full_screen_alone_until_it_is_revoked(
    visit: Visit, served: ServedDirectory, parts: Path, judged: str
) -> None:
    admin, link = kiosk_link(visit)
    screen = visit(signed_in=False, size=WIDE)
    page = screen.page

    page.goto(link)
    full_screen = f"{screen.root}/line/plates-1"
    page.wait_for_url(full_screen)
    shown(page, judged)
    expect(page.locator("#photo")).to_be_visible()
    for path in ("/", "/lines", f"/projects/{PROJECT}", "/line/plates-1/history", "/settings"):
        page.goto(f"{screen.root}{path}")
        expect(page).to_have_url(full_screen)
    for path in ("/line/plates-1/export.csv", "/line/plates-1/review"):
        assert page.request.get(f"{screen.root}{path}").status == 403
    shown(page, judged)

    served.end(signal.SIGKILL)
    expect(page.locator("#problems")).to_contain_text("No connection to the server")
    served._port = int(served.endpoint.rsplit(":", 1)[1])
    served.start()
    name = put(parts, 200 + served.next_number())
    shown(page, name)
    expect(page.locator("#problems li")).to_have_count(0)

    page = admin.open("/kiosks")
    page.get_by_role("row").filter(has_text="beside the press").get_by_role("button").click()
    page.get_by_role("button", name="Revoke", exact=True).last.click()
    expect(screen.page.get_by_label("Name or access key")).to_be_visible()
    screen.page.goto(link)
    expect(screen.page.get_by_text("it was revoked")).to_be_visible()
    # browsers say so where a socket or a page is refused, and while there is no server
    screen.problems.clear()
    admin.problems.clear()
