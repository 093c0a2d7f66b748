"""The projects, and the overview of one, in a real browser."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.acceptance.product import detect, host, images
from tests.acceptance.served import ServedDirectory, line, model_status, wait_for
from tests.console.test_looks import findings
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]


@pytest.fixture(scope="module")
def served(empty_server: ServedDirectory) -> ServedDirectory:
    """A server without projects."""
    return empty_server


def test_a_project_is_made_and_found_again(visit: Visit) -> None:
    watched = visit()
    page = watched.open("/")
    expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()
    watched.shoot("projects-empty")
    page.get_by_role("button", name="New project").click()
    page.get_by_label("Name").fill("brackets")
    watched.shoot("projects-new")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="brackets", level=1)).to_be_visible()
    expect(page.locator("#page")).to_contain_text("Begin with")
    watched.shoot("overview-empty")

    page = watched.open("/")
    page.get_by_label("Search").fill("zzz")
    expect(page.get_by_text("No project has that in its name.")).to_be_visible()
    page.get_by_label("Search").fill("RACK")
    expect(page.get_by_role("link", name="brackets")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?q=RACK$"))


def test_the_sensitivity_of_a_project_is_set_and_stays(
    visit: Visit, served: ServedDirectory
) -> None:
    served.client().create_project(ProjectName="gears")
    watched = visit()
    page = watched.open("/projects/gears")
    page.get_by_label("Sensitivity").click()
    page.get_by_role("option", name="Strict: 1% false alarms").click()
    page.get_by_label("Resolution").fill("9999")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_role("alert")).to_contain_text("from 64 to 4,096")
    page.get_by_label("Resolution").fill("512")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("The next model gets these settings.", exact=True)).to_be_visible()

    page = watched.open("/projects/gears")

    expect(page.get_by_label("Sensitivity")).to_have_value("Strict: 1% false alarms")
    expect(page.get_by_label("Resolution")).to_have_value("512")
    watched.shoot("overview-detector", whole=True)


def test_a_name_that_is_not_allowed_is_refused_by_the_api(visit: Visit) -> None:
    watched = visit()
    page = watched.open("/")
    page.get_by_role("button", name="New project").click()
    page.get_by_label("Name").fill("no spaces")
    page.get_by_role("button", name="Create").click()

    problem = "The name of the project has letters, digits, - and _"
    expect(page.get_by_role("alert")).to_contain_text(problem)


def restore_project_and_delete_model(watched: Watched, client: Any) -> None:
    """Take the project out of the trash; move its model there, and delete it for good."""
    page = watched.page
    page.get_by_role("link", name="Trash").click()
    expect(page.get_by_role("row").filter(has_text="Project plates")).to_contain_text("first")
    watched.shoot("trash")
    assert findings(page) == []
    page.get_by_role("button", name="Restore: Project plates").click()
    expect(page.get_by_text("Nothing in the trash")).to_be_visible()
    page.get_by_role("link", name="Projects").first.click()
    page.get_by_role("link", name="plates").click()
    wait_for(model_status(client, "plates", "1"), {"TRAINED"}, while_in={"STOPPING_HOSTING"})
    page = watched.open("/projects/plates/models")
    page.get_by_role("button", name="Delete model 1").click()
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
    page.get_by_label("Type plates 1").fill("plates 1")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("No models yet")).to_be_visible()
    page = watched.open("/trash")
    page.get_by_role("button", name="Delete now: Model 1 of plates").click()
    page.get_by_label("Type plates 1").fill("plates 1")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Nothing in the trash")).to_be_visible()


def test_the_overview_counts_detections_and_the_project_goes_with_all_it_has(
    browser: Browser, trained_server: ServedDirectory
) -> None:
    client = trained_server.client()
    host(client)
    for _, data in images()[-6:]:
        detect(client, data, version="1")
    watched = Watched(browser, trained_server)
    watched.sign_in()
    page = watched.open("/")
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.project-image img')].every(e => e.naturalWidth)"
    )
    watched.shoot("projects")
    page.get_by_role("link", name="plates").click()

    expect(page.get_by_text("Images processed", exact=True).first).to_be_visible()
    totals = page.locator(".totals")
    expect(totals).to_contain_text("6")
    watched.shoot("overview", whole=True)
    page.get_by_role("link", name="24 hours").click()
    expect(page.get_by_role("link", name="24 hours")).to_have_attribute("aria-current", "true")
    expect(totals).to_contain_text("6")

    page.get_by_role("button", name="Delete project").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Training set: 18 entries")
    expect(dialog).to_contain_text("stopped at once: version 1")
    watched.shoot("project-delete")
    expect(dialog.get_by_role("button", name="Delete project")).to_be_disabled()
    dialog.get_by_label("Type plates").fill("plates")
    dialog.get_by_role("button", name="Delete project").click()
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="plates")).to_have_count(0)
    names = [each["ProjectName"] for each in client.list_projects()["Projects"]]
    assert "plates" in names  # for a day, during which programs see what is there

    restore_project_and_delete_model(watched, client)
    assert client.list_models(ProjectName="plates")["Models"] == []
    watched.close()


def test_a_image_with_a_hostile_name_is_a_image(visit: Visit, served: ServedDirectory) -> None:
    client = served.client()
    data = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(data, "PNG")
    url = served.put("<img onerror=alert(1)>.png", data.getvalue())
    source = served.put_manifest("hostile.manifest", [line(url, "normal")])
    client.create_project(ProjectName="hostile")
    client.create_dataset(ProjectName="hostile", DatasetType="train", DatasetSource=source)
    watched = visit(dark=True)
    page = watched.open("/?q=hostile")

    image = page.locator(".project-image img")
    expect(image).to_have_count(1)
    page.wait_for_function("() => document.querySelector('.project-image img').naturalWidth")
    watched.shoot("projects")


def test_what_is_typed_before_a_dialog_is_there_goes_into_its_field(visit: Visit) -> None:
    page = visit().open("/")
    page.get_by_role("button", name="New project").click()
    page.keyboard.type("front-of-line-7", delay=30)

    expect(page.get_by_label("Name")).to_have_value("front-of-line-7")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="front-of-line-7")).to_be_visible()


def test_a_project_that_another_tab_deleted_says_so(visit: Visit, served: ServedDirectory) -> None:
    client = served.client()
    client.create_project(ProjectName="short-lived")
    page = visit().open("/projects/short-lived/models")
    expect(page.get_by_role("heading", name="No models yet")).to_be_visible()

    client.delete_project(ProjectName="short-lived")

    expect(page.get_by_text(re.compile("short-lived (was deleted|does not exist)"))).to_be_visible()
    expect(page.get_by_role("link", name="All projects")).to_be_visible()


def test_a_wrong_name_is_explained_without_a_pattern(visit: Visit) -> None:
    page = visit().open("/")
    page.get_by_role("button", name="New project").click()
    page.get_by_label("Name").fill("line 7")
    page.get_by_role("button", name="Create").click()

    problem = page.get_by_role("alert").filter(has_text="The name of the project has letters")
    expect(problem).to_contain_text("'line 7' is not possible")
