"""Every page, in both themes and at both sizes: what bars people from it, and images of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.acceptance.product import PROJECT, host
from tests.acceptance.served import ServedDirectory, model_status, wait_for
from tests.console.watched import NARROW, WIDE, Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]

PAGES = {
    "projects": "/",
    "overview": f"/projects/{PROJECT}",
    "add": f"/projects/{PROJECT}/add",
    "images": f"/projects/{PROJECT}/images?set=train",
    "paint": f"/projects/{PROJECT}/paint?set=train&ref=s3%3A%2F%2Fimages%2Fplates%2F16.jpg",
    "train": f"/projects/{PROJECT}/train",
    "models": f"/projects/{PROJECT}/models",
    "model": f"/projects/{PROJECT}/models/1",
    "compare": f"/projects/{PROJECT}/compare?a=1&b=1",
    "try": f"/projects/{PROJECT}/try",
    "settings": "/settings",
    "kiosks": "/kiosks",
}
LAST_DRAWN = {"images": ".cell img", "paint": ".painter-stage.ready", "model": ".judged figure"}
"""What a page draws last, after it asked the server for more."""

ALL_IMAGES = "() => [...document.images].every((image) => image.complete)"
"""No image is still on its way."""

ZOOMED = (640, 400)
"""The window of 1280 x 800 at a zoom of 200 %."""

IMAGES_IN_SIGHT = ALL_IMAGES.replace("image.complete", "image.complete || image.loading === 'lazy'")
"""A long page loads the images below only when somebody scrolls to them."""

SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def product(served: ServedDirectory) -> Iterator[ServedDirectory]:
    """The server, with a model that runs as long as these tests do."""
    client = served.client()
    host(client)
    yield served
    client.stop_model(ProjectName=PROJECT, ModelVersion="1")
    status = model_status(client, PROJECT, "1")
    wait_for(status, {"TRAINED"}, while_in={"STOPPING_HOSTING"})


def findings(page: Page) -> list[str]:
    """Return what axe-core finds serious on a page: the rule, and where it is broken."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_bars_people_from_a_page(visit: Visit, *, dark: bool) -> None:
    watched = visit(dark=dark)
    found: dict[str, list[str]] = {}
    for name, path in PAGES.items():
        page = watched.open(path)
        expect(page.locator(LAST_DRAWN.get(name, "h1")).first).to_be_visible()
        page.wait_for_function(ALL_IMAGES)
        watched.shoot(name, whole=True)
        watched.shoot(name, size=WIDE)
        if problems := findings(page):
            found[name] = problems
        across = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert across <= 0, f"{name} is {across} pixels wider than the window"

    assert found == {}


@pytest.mark.slow
@pytest.mark.usefixtures("product")
def test_nothing_bars_people_from_a_page_at_a_zoom_of_200_percent(visit: Visit) -> None:
    watched = visit(size=ZOOMED)
    found: dict[str, list[str]] = {}
    for name, path in PAGES.items():
        page = watched.open(path)
        expect(page.locator(LAST_DRAWN.get(name, "h1")).first).to_be_visible()
        page.wait_for_function(IMAGES_IN_SIGHT)
        watched.shoot(name)
        problems = findings(page)
        across = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        if across > 0:
            problems.append(f"{across} pixels wider than the window")
        if problems:
            found[name] = problems

    assert found == {}


def test_who_is_signed_out_can_read_the_form(visit: Visit) -> None:
    for dark in (False, True):
        watched = visit(signed_in=False, dark=dark, size=NARROW)
        watched.page.goto(f"{watched.root}/sign-in")

        assert findings(watched.page) == []
