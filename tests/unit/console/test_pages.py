"""Every page is built for people who may do everything, and for those who may only look."""

from __future__ import annotations

import pytest

from tests.unit.console.images.added import add_images
from tests.unit.console.in_process import Browser, InProcessConsole


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "Projects"),
        ("/projects/{project}", "have no label yet"),
        ("/projects/{project}/add", "From a bucket"),
        ("/projects/{project}/images", "Training set"),
        ("/projects/{project}/images?set=test", "No test set"),
        ("/projects/{project}/paint", "painter"),
        ("/projects/{project}/train", "What will be used"),
        ("/projects/{project}/models", "No models yet"),
        ("/projects/{project}/compare", "There are not two models yet"),
        ("/projects/{project}/try", "No model to try yet"),
        ("/settings", "Access keys"),
        ("/trash", "Nothing in the trash"),
    ],
)
@pytest.mark.parametrize("key", ["owner", "looker"])
def test_a_page_is_built(
    console: InProcessConsole, browser: Browser, project: str, path: str, text: str, key: str
) -> None:
    add_images(browser, project, "normal", None)

    answer = console.browser(key).ask("GET", path.format(project=project))

    assert answer.status_code == 200
    assert text in answer.text
    assert "This page cannot be shown" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/projects/none",
        "/projects/none/images",
        "/projects/none/models/1",
        "/projects/none/try/trials/none",
        "/projects/{project}/models/7",
        "/projects/{project}/paint?ref=s3://images/none.jpg",
        "/projects/{project}/paint?set=third",
        "/projects/{project}/images?filter=<b>",
    ],
)
def test_what_is_not_there_is_said_on_the_page(browser: Browser, project: str, path: str) -> None:
    add_images(browser, project, "normal")

    answer = browser.ask("GET", path.format(project=project))

    assert answer.status_code == 200
    assert "<b>" not in answer.text


def test_people_without_a_session_are_shown_the_form(console: InProcessConsole) -> None:
    stranger = console.browser(None)

    page = stranger.ask("GET", "/settings", headers={"accept": "text/html"})
    script = stranger.ask("GET", "/settings", headers={"accept": "image/png"})

    assert (page.status_code, page.headers["location"]) == (
        303,
        "/console/sign-in?next=/console/settings",
    )
    assert script.status_code == 401
