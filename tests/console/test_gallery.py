"""The gallery in a real browser: finding, labelling, undoing, and thousands of images."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.product import PROJECT, images
from tests.acceptance.served import ServedDirectory, dataset_status, line, wait_for
from tests.console.test_security import make_key
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]

MANY = 5_000
MOST_CELLS = 200
ALL_THE_WAY_PX = 1_000_000
MOST_WEIGHT = 1_500_000
"""Bytes of a page, the framework included and the thumbnails not, as a browser gets them."""


def make(served: ServedDirectory, project: str, lines: list[dict[str, Any]]) -> Any:
    """Make a project with a training set; return a client."""
    client = served.client()
    client.create_project(ProjectName=project)
    source = served.put_manifest(f"{project}.manifest", lines)
    client.create_dataset(ProjectName=project, DatasetType="train", DatasetSource=source)
    status = dataset_status(client, project, "train")
    wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})
    return client


def put_images(served: ServedDirectory, folder: str, count: int) -> list[str]:
    """Put images into the bucket, the same few under many names; return their addresses."""
    first = [served.put(f"{folder}/0.jpg", data) for _, data in images()[:1]]
    for _, data in images()[1:16]:
        first.append(served.put(f"{folder}/{len(first)}.jpg", data))
    for number in range(len(first), count):
        whole = served.bucket / folder / f"{number % 16}.jpg"
        os.link(whole, served.bucket / folder / f"{number}.jpg")
        first.append(f"s3://images/{folder}/{number}.jpg")
    return first[:count]


def cell(page: Page, number: int) -> Locator:
    return page.locator(f"#image-{number}")


def saved(page: Page) -> None:
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()


def labels(client: Any, project: str) -> dict[str, int]:
    answer = client.describe_dataset(ProjectName=project, DatasetType="train")
    return dict(answer["DatasetDescription"]["ImageStats"])


def test_who_labels_sees_it_at_once_and_can_undo_it(visit: Visit, served: ServedDirectory) -> None:
    refs = put_images(served, "label", 30)
    client = make(
        served, "label", [line(ref, "normal" if row < 4 else None) for row, ref in enumerate(refs)]
    )
    watched = visit()
    page = watched.open("/projects/label/images")
    expect(cell(page, 0)).to_have_attribute("aria-label", "0.jpg, normal")
    expect(page.get_by_text("11 more normal in the training set")).to_be_visible()

    cell(page, 4).click()
    page.keyboard.press("n")
    page.keyboard.press("a")  # of the next one: labelling goes on
    expect(cell(page, 4)).to_have_class("cell normal")
    expect(cell(page, 5)).to_have_class("cell anomaly")
    saved(page)
    assert labels(client, "label") == {"Total": 30, "Labeled": 6, "Normal": 5, "Anomaly": 1}

    cell(page, 6).click()
    cell(page, 9).click(modifiers=["Shift"])
    cell(page, 11).click(modifiers=["Control"])
    expect(page.get_by_text("5 selected")).to_be_visible()
    watched.shoot("gallery")
    page.keyboard.press("a")
    page.keyboard.press("Control+z")  # while it is being saved
    expect(cell(page, 6)).to_have_class("cell open selected")
    saved(page)
    page.keyboard.press("Control+z")
    expect(cell(page, 5)).to_have_class("cell open")
    saved(page)
    assert labels(client, "label") == {"Total": 30, "Labeled": 5, "Normal": 5, "Anomaly": 0}


def test_a_label_is_undone_after_a_reload(visit: Visit, served: ServedDirectory) -> None:
    refs = put_images(served, "reload", 6)
    client = make(served, "reload", [line(ref, "normal") for ref in refs])
    page = visit().open("/projects/reload/images")
    for number in (1, 2):
        cell(page, number).click()
        page.keyboard.press("a")
        saved(page)
    assert labels(client, "reload")["Anomaly"] == 2

    page.reload()
    expect(cell(page, 2)).to_have_class(re.compile("cell anomaly"))
    for _ in range(2):
        page.get_by_role("button", name="Undo").click()
        saved(page)

    expect(cell(page, 1)).to_have_class(re.compile("cell normal"))
    assert labels(client, "reload")["Anomaly"] == 0
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_filters_search_and_all_that_they_show(visit: Visit, served: ServedDirectory) -> None:
    refs = put_images(served, "find", 40)
    made = [line(ref, "normal" if row % 2 else None) for row, ref in enumerate(refs)]
    client = make(served, "find", made)
    watched = visit(dark=True)
    page = watched.open("/projects/find/images?filter=unlabelled")
    expect(page.locator(".cell")).to_have_count(20)

    page.get_by_label("Search by name").fill("1")
    expect(page.locator(".cell")).to_have_count(5)
    expect(page).to_have_url(re.compile("filter=unlabelled&q=1"))
    page.reload()
    expect(page.locator(".cell")).to_have_count(5)
    page.get_by_label("Search by name").fill("nothing")
    expect(page.get_by_text("No image is like that")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Unlabelled 20").click()
    page.get_by_role("button", name="Select all 20").click()
    page.get_by_role("button", name="Normal N").click()
    saved(page)
    expect(page.get_by_text("Enough to train")).to_be_visible()
    assert labels(client, "find")["Normal"] == 40

    page.get_by_role("button", name="All 40", exact=True).click()
    expect(cell(page, 3)).to_have_attribute("aria-label", "3.jpg, normal")
    cell(page, 3).click()
    page.keyboard.press("Delete")
    watched.shoot("gallery-remove")
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("button", name="All 39", exact=True)).to_be_visible()
    expect(cell(page, 3)).to_have_attribute("aria-label", "4.jpg, normal")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="All 40", exact=True)).to_be_visible()
    watched.shoot("gallery")


def test_a_reload_comes_back_to_the_same_place(visit: Visit, served: ServedDirectory) -> None:
    refs = put_images(served, "place", 200)
    named = served.put("place/<img src=x onerror=alert(1)>.jpg", images()[0][1])
    make(served, "place", [line(ref, None) for ref in [*refs, named]])
    watched = visit(signed_in=False)
    watched.sign_in(make_key(served, "looker", "ReadOnly"))
    page = watched.open("/projects/place/images")
    expect(page.locator("#image-0 .name")).to_have_text("0.jpg")
    expect(page.get_by_role("button", name="Normal N")).to_have_count(0)
    page.keyboard.press("n")
    page.keyboard.press("End")
    expect(page.locator("#image-200 .name")).to_have_text("<img src=x onerror=alert(1)>.jpg")
    page.reload()
    expect(page.locator("#image-200 .name")).to_have_text("<img src=x onerror=alert(1)>.jpg")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/paint.set=train&ref=s3%3A%2F%2Fimages%2Fplace%2F%3Cimg"))


def test_a_change_that_is_refused_is_taken_back(visit: Visit, served: ServedDirectory) -> None:
    refs = put_images(served, "refused", 16)
    client = make(served, "refused", [line(ref, None) for ref in refs])
    watched = visit()
    page = watched.open("/projects/refused/images")
    cell(page, 0).click()
    client.delete_dataset(ProjectName="refused", DatasetType="train")
    page.keyboard.press("a")
    expect(page.get_by_role("alert")).to_contain_text("Not saved, and taken back")
    expect(cell(page, 0)).not_to_have_class("cell anomaly")
    watched.problems.clear()  # the browser notes each refusal

    page = watched.open("/projects/refused/images")
    expect(page.get_by_text("No images yet")).to_be_visible()
    page = watched.open("/projects/refused/images?set=test")
    expect(page.get_by_text("No test set")).to_be_visible()
    watched.shoot("gallery-empty")


def test_what_a_model_found_most_anomalous_comes_first(visit: Visit) -> None:
    watched = visit()
    page = watched.open(f"/projects/{PROJECT}/images")
    page.get_by_label("Sort by").select_option("score")

    expect(page.locator(".cell .extra").nth(1)).to_be_visible()
    scores = [float(score) for score in page.locator(".cell .extra").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    expect(page).to_have_url(re.compile("sort=score"))


def test_five_thousand_images_scroll_without_a_stutter(
    visit: Visit, served: ServedDirectory
) -> None:
    refs = put_images(served, "many", MANY)
    client = make(served, "many", [line(ref, None) for ref in refs])
    watched = visit()
    weight = weigh(watched)
    page = watched.open("/projects/many/images")
    expect(cell(page, 0)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert 100_000 < sum(weight.values()) < MOST_WEIGHT, weight

    assert longest_frame_ms(watched) < 2 * sorting_ms(watched)
    expect(cell(page, MANY - 1)).to_have_attribute("aria-label", f"{MANY - 1}.jpg, no label")

    page.get_by_role("button", name="Select all 5,000").click()
    page.keyboard.press("n")
    expect(cell(page, MANY - 1)).to_have_class("cell normal selected")
    saved(page)
    assert labels(client, "many")["Normal"] == MANY
    page.keyboard.press("Control+z")
    expect(page.get_by_role("button", name="Unlabelled 5,000")).to_be_visible()
    assert labels(client, "many")["Normal"] == 0


def longest_frame_ms(watched: Watched) -> float:
    """Scroll to the end, a bit in each frame; return what the longest took of the page's thread.

    Its processor time is counted, and the shorter of two passes: what is slow for what the page
    does is so each time, what is slow for what else the machine does is not.
    """
    worked_ms = watched.clock()
    passes: list[list[float]] = []
    for _ in range(2):
        watched.page.evaluate(SCROLL, -ALL_THE_WAY_PX)
        took: list[float] = []
        before = worked_ms()
        for step_px in (*[300] * 30, *[7_000] * 25):
            assert watched.page.evaluate(SCROLL, step_px) < MOST_CELLS
            after = worked_ms()
            took.append(after - before)
            before = after
        passes.append(took)
    return max(min(frame) for frame in zip(passes[0], passes[1], strict=True))


def sorting_ms(watched: Watched) -> float:
    """Return how long the page's thread sorts 100,000 objects: 0.1 to 0.25 s, by processor."""
    worked_ms = watched.clock()
    took: list[float] = []
    for _ in range(3):
        before = worked_ms()
        assert watched.page.evaluate(SORT) == 100_000
        took.append(worked_ms() - before)
    return min(took)


SORT = """() => {
  const things = [];
  for (let number = 0; number < 100_000; number += 1)
    things.push({ name: `${(number * 7919) % 100_003}.jpg`, label: null });
  things.sort((a, b) => (a.name < b.name ? -1 : 1));
  return new Set(things.map((each) => each.name)).size;
}"""

SCROLL = """async (step) => {
  document.querySelector(".gallery-view").scrollTop += step;
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return document.querySelectorAll(".cell").length;
}"""
"""Scrolls by so many pixels; returns how many cells are in the document then."""


def weigh(watched: Watched) -> dict[str, float]:
    """Note what comes over the wire from now on, without a cache: address -> bytes.

    Thumbnails are left out.
    """
    weight: dict[str, float] = {}
    addresses: dict[str, str] = {}
    session = watched.context.new_cdp_session(watched.page)
    session.on(
        "Network.requestWillBeSent",
        lambda event: addresses.update({event["requestId"]: event["request"]["url"]}),
    )

    def ended(event: dict[str, Any]) -> None:
        address = addresses.get(event["requestId"], "")
        if "/thumbnail" not in address:
            weight[address] = event["encodedDataLength"]

    session.on("Network.loadingFinished", ended)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    return weight
