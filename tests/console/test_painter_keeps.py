"""Nothing painted is lost: relabelling, two people on one image, a restart of the server."""

from __future__ import annotations

import io
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.served import ServedDirectory
from tests.console.test_painter import (
    add_type,
    buffer_of,
    drag,
    entry_of,
    open_painter,
    project_of,
    save,
    stored_mask,
)
from tests.console.test_security import make_key
from tests.console.watched import PATIENCE_MS, Watched
from tests.ports import free_port

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]


DRAFTS = """() => new Promise((resolve) => {
    const opening = indexedDB.open("blemish-drafts first", 1);
    opening.onsuccess = () => {
        const asking = opening.result.transaction("masks").objectStore("masks").count();
        asking.onsuccess = () => resolve(asking.result);
    };
})"""
"""Returns how many drafts the browser has."""


def wait_for_draft(page: Page) -> None:
    """Wait until the browser has a draft: `wait_for_function` takes a promise for a yes."""
    deadline = time.monotonic() + PATIENCE_MS / 1_000
    while not page.evaluate(DRAFTS):
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def grey_image() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (240, 180), "grey").save(data, "PNG")
    return data.getvalue()


def test_a_mask_survives_relabelling_in_the_painter_and_in_the_gallery(
    visit: Visit, served: ServedDirectory
) -> None:
    name, ref = "relabelled", "s3://images/relabelled/1.png"
    client = project_of(served, name, {"1.png": grey_image()})
    watched = visit()
    page = open_painter(watched, name, ref)
    add_type(page, "crack")
    drag(page, (0.4, 0.4), (0.6, 0.6))
    painted = buffer_of(page)
    save(page)

    page.keyboard.press("n")
    save(page)
    expect(page.get_by_text("The mask does not count")).to_be_visible()
    normal = entry_of(client, name, ref)
    page = watched.open(f"/projects/{name}/images")
    expect(page.locator("#image-0")).to_have_class(re.compile("cell normal"))
    expect(page.locator("#image-0 .overlay")).to_have_count(0)
    page.locator("#image-0").click()
    page.keyboard.press("a")
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    overlay = page.locator("#image-0 .overlay")
    expect(overlay).to_be_visible()
    page.wait_for_function("() => document.querySelector('#image-0 .overlay').naturalWidth")
    watched.shoot("gallery-mask")

    assert normal["anomaly-label-metadata"]["class-name"] == "normal"
    assert "anomaly-mask-ref" not in normal
    mask = np.asarray(stored_mask(served, entry_of(client, name, ref)))
    assert np.array_equal(mask[..., 0] < 255, painted == 1)
    page = open_painter(watched, name, ref)
    assert np.array_equal(buffer_of(page), painted)


@pytest.mark.parametrize("choice", ["Save mine", "Take theirs"])
def test_the_second_of_two_people_sees_both_versions_and_decides(
    visit: Visit, served: ServedDirectory, choice: str
) -> None:
    name = f"two-{choice.rsplit(maxsplit=1)[-1]}"
    ref = f"s3://images/{name}/1.png"
    project_of(served, name, {"1.png": grey_image()})
    first, second = visit(), visit()
    page = open_painter(first, name, ref)
    add_type(page, "crack")
    other = open_painter(second, name, ref)
    drag(page, (0.3, 0.3), (0.4, 0.4))
    theirs = buffer_of(page)
    drag(other, (0.6, 0.6), (0.7, 0.7))
    mine = buffer_of(other)
    save(page)

    other.keyboard.press("Control+s")
    expect(other.get_by_role("alertdialog")).to_contain_text("Somebody else changed this image")
    assert np.array_equal(buffer_of(other), mine)
    other.get_by_role("button", name="Show theirs").click()
    assert np.array_equal(buffer_of(other), theirs)
    other.get_by_role("button", name=choice).click()

    expect(other.get_by_role("alertdialog")).to_have_count(0)
    expect(other.locator(".painter [role=status]").first).to_have_text("Saved")
    page = open_painter(first, name, ref)
    assert np.array_equal(buffer_of(page), mine if choice == "Save mine" else theirs)
    second.problems.clear()  # the browser notes the refusal


NO_LATER = """() => {
    const { setTimeout } = window;
    window.setTimeout = (act, ms, ...more) => (ms === 300 ? 1 : setTimeout(act, ms, ...more));
}"""
"""Lets the page be left before the time is over after which a draft is stored."""


def test_another_person_at_the_same_browser_sees_no_draft_and_none_is_lost_by_leaving(
    visit: Visit, served: ServedDirectory
) -> None:
    name, ref = "drafts", "s3://images/drafts/1.png"
    project_of(served, name, {"1.png": grey_image()})
    watched = visit()
    page = open_painter(watched, name, ref)
    add_type(page, "crack")
    drag(page, (0.4, 0.4), (0.6, 0.6))
    wait_for_draft(page)
    page.evaluate(NO_LATER)
    drag(page, (0.2, 0.2), (0.3, 0.3))
    painted = buffer_of(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Name or access key")).to_be_visible()

    watched.sign_in(make_key(served, "another", "FullAccess"))
    others = buffer_of(open_painter(watched, name, ref))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Name or access key")).to_be_visible()
    watched.sign_in()
    open_painter(watched, name, ref)

    assert not others.any()
    expect(page.get_by_text("Restored what was painted here")).to_be_visible()
    assert np.array_equal(buffer_of(page), painted)
    page.evaluate(NO_LATER)
    drag(page, (0.7, 0.7), (0.8, 0.8))
    more = buffer_of(page)
    assert not np.array_equal(more, painted)
    page.reload()
    expect(page.get_by_text("Restored what was painted here")).to_be_visible()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    assert np.array_equal(buffer_of(page), more)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServedDirectory]:
    """A server that keeps its port when it is started again."""
    server = ServedDirectory(tmp_path / "data", environment={}, port=free_port())
    server.start()
    yield server
    server.end()


def test_strokes_survive_a_restart_of_the_server_and_next_goes_on(
    browser: Browser, own_server: ServedDirectory
) -> None:
    name = "restarted"
    images = {f"{number}.png": grey_image() for number in (1, 2)}
    client = project_of(own_server, name, images)
    watched = Watched(browser, own_server)
    watched.sign_in()
    page = open_painter(watched, name, f"s3://images/{name}/1.png")
    add_type(page, "crack")
    drag(page, (0.4, 0.4), (0.6, 0.6))
    painted = buffer_of(page)
    wait_for_draft(page)

    own_server.end(signal.SIGKILL)
    own_server.start()  # the page notices, and loads itself again
    expect(page.get_by_text("Restored what was painted here")).to_be_visible()
    expect(page.locator(".painter-stage.ready")).to_be_visible()
    restored = buffer_of(page)
    page.evaluate("() => window.socket.disconnect()")  # or it would load itself once more
    own_server.end(signal.SIGKILL)
    own_server.start()
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="2.png")).to_be_visible()
    expect(page.locator(".painter-stage.ready")).to_be_visible()

    assert np.array_equal(restored, painted)
    mask = np.asarray(stored_mask(own_server, entry_of(client, name, "/1.png")))
    assert np.array_equal(mask[..., 0] < 255, painted == 1)
    watched.problems.clear()  # what the browser says of a server that was gone
    watched.close()
