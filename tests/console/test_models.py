"""The models of a project, one of them, and two compared, in a real browser."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.acceptance.product import PROJECT
from tests.acceptance.served import ServedDirectory
from tests.console.test_looks import findings
from tests.console.test_settings import create_key
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

DRAWN = (
    "() => [...document.querySelectorAll('{block} img.heat')].some((image) => image.naturalWidth)"
)
"""A heat map is there."""

Visit = Callable[..., Watched]


def model_page(visit: Visit, *, query: str = "", **settings: object) -> Watched:
    watched = visit(**settings)
    watched.open(f"/projects/{PROJECT}/models/1{query}")
    return watched


def test_a_project_without_models_tells_the_next_step(
    visit: Visit, served: ServedDirectory
) -> None:
    served.client().create_project(ProjectName="untrained")
    page = visit().open("/projects/untrained/models")

    expect(page.get_by_role("heading", name="No models yet")).to_be_visible()


def test_a_model_is_started_and_stopped_in_the_list(visit: Visit) -> None:
    watched = visit()
    page = watched.open(f"/projects/{PROJECT}/models")
    watched.shoot("models")
    assert findings(page) == []
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Model 2"))

    row.get_by_role("button", name="Start model 2").click()
    expect(row).to_contain_text("running")
    row.get_by_role("button", name="Stop model 2").click()
    expect(row.get_by_role("button", name="Start model 2")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_a_model_shows_how_good_it_is(visit: Visit, dark: bool) -> None:
    watched = model_page(visit, dark=dark)
    page = watched.page

    expect(page.get_by_role("heading", name="Model 1", exact=True)).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("ROC curve"))).to_be_visible()
    expect(page.get_by_text("stay those of the training")).to_be_visible()
    expect(page.get_by_text("Chosen:")).to_be_visible()
    page.wait_for_function(DRAWN.format(block=".judged"))
    watched.shoot("model")
    assert findings(page) == []
    watched.shoot("model-whole", whole=True)


def test_a_cell_of_the_confusion_matrix_opens_its_images(visit: Visit) -> None:
    page = model_page(visit).page
    cell = page.get_by_role("button", name="normal passed")
    count = int(cell.locator("b").inner_text())

    cell.focus()
    page.keyboard.press("Enter")

    expect(cell).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".judged figure")).to_have_count(count)
    expect(page).to_have_url(re.compile("cell=passed"))
    page.reload()
    expect(cell).to_have_attribute("aria-pressed", "true")


def test_an_image_is_looked_at_large_beside_its_label(visit: Visit) -> None:
    watched = model_page(visit)
    page = watched.page

    page.get_by_role("button", name=re.compile("Look at")).first.click()

    large = page.locator(".large")
    expect(large.locator(".pane")).to_have_count(2)
    page.wait_for_function("() => document.querySelector('.large img.heat')?.naturalWidth")
    expect(large.locator(".verdict .pill").first).to_be_visible()
    watched.shoot("model-large")
    assert findings(page) == []
    large.get_by_label("Heat map").fill("20")
    opacity = "() => getComputedStyle(document.querySelector('.large img.heat')).opacity"
    assert page.evaluate(opacity) == "0.2"
    first = large.locator("h2").inner_text()
    page.keyboard.press("+")
    expect(large.get_by_text("150 %")).to_be_visible()
    large.get_by_role("button", name="Next").click()
    expect(large.locator("h2")).not_to_have_text(first)
    expect(large.get_by_text("100 %")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(large.locator("h2")).to_have_text(first)
    large.get_by_role("button", name="Close").click()
    expect(large).to_have_count(0)
    expect(page.get_by_label("Heat map")).to_have_value("20")


def test_the_threshold_is_moved_by_the_keyboard_and_taken_back(
    visit: Visit, served: ServedDirectory
) -> None:
    watched = model_page(visit)
    page = watched.page
    slider = page.get_by_label("Threshold", exact=True)
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    watched.shoot("threshold")
    wanted = float(slider.get_attribute("aria-valuetext") or 0)
    page.keyboard.press("End")
    expect(page.locator(".effect")).to_contain_text("0 of")
    page.keyboard.press("Home")
    expect(page.locator(".effect")).to_contain_text("Missed0")
    page.get_by_role("button", name="Back to that in force").click()
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")

    page.get_by_role("button", name="Use this threshold").click()

    expect(page.get_by_text("the training chose")).to_be_visible()
    told = served.client().describe_model(ProjectName=PROJECT, ModelVersion="1")
    assert told["ModelDescription"]["Status"] == "TRAINED"
    expect(page.get_by_text(f"In force is {wanted:.4g}")).to_be_visible()
    page.get_by_role("button", name="Use the trained one").click()
    expect(page.get_by_text("the training chose")).to_have_count(0)


def test_every_number_follows_the_threshold_in_force(visit: Visit, served: ServedDirectory) -> None:
    client = served.client()
    names = {"ProjectName": PROJECT, "ModelVersion": "1"}
    manifest = client.describe_model(**names)["ModelDescription"]["EvaluationManifest"]
    path = served.folder / "buckets" / manifest["Bucket"] / manifest["Key"]
    truths = [
        json.loads(line)["anomaly-label-metadata"]["class-name"]
        for line in path.read_text().splitlines()
    ]
    normal, anomaly = truths.count("normal"), truths.count("anomaly")
    page = model_page(visit).page
    page.get_by_label("Threshold", exact=True).focus()
    page.keyboard.press("Home")  # below every score: all images are anomalies
    page.get_by_role("button", name="Use this threshold").click()
    expect(page.get_by_text("the training chose")).to_be_visible()

    results = page.get_by_role("region", name="Results")
    expect(results).to_contain_text(f"Anomalies found{anomaly} of {anomaly}")
    expect(results).to_contain_text(f"False alarms{normal} of {normal}")
    expect(results).to_contain_text("likely")
    expect(results.get_by_text("As trained:")).to_have_count(4)
    expect(page.get_by_role("button", name="normal passed").locator("b")).to_have_text("0")
    expect(page.get_by_role("button", name="false alarms").locator("b")).to_have_text(f"{normal}")
    expect(page.locator(".judged .pill.warning")).to_have_count(normal)
    page.get_by_role("button", name="Use the trained one").click()
    expect(page.get_by_text("the training chose")).to_have_count(0)


def test_tags_are_added_and_removed(visit: Visit) -> None:
    page = model_page(visit).page
    page.get_by_label("Key", exact=True).fill("line")
    page.get_by_label("Value", exact=True).fill("3")
    page.get_by_role("button", name="Add the tag").click()

    expect(page.get_by_text("line: 3")).to_be_visible()
    page.get_by_role("button", name="Remove the tag line").click()
    expect(page.get_by_text("line: 3")).to_have_count(0)


def test_heat_maps_and_the_bundle_are_sent_to_who_may_have_them(visit: Visit) -> None:
    watched = visit()
    asked: dict[str, str | float | bool] = {
        "project": PROJECT,
        "version": "1",
        "ref": "s3://images/plates/0.jpg",
    }
    request = watched.context.request

    heat_map = request.get(f"{watched.root}/heat-map", params=asked)
    mask = request.get(f"{watched.root}/mask", params=asked)
    none = request.get(f"{watched.root}/heat-map", params=asked | {"version": "9"})
    bundle = request.get(f"{watched.root}/bundle", params=asked)
    stranger = visit(signed_in=False).context.request
    refused = stranger.get(f"{watched.root}/bundle", params=asked, max_redirects=0)

    assert Image.open(io.BytesIO(heat_map.body())).format == "PNG"
    assert mask.status == 404
    assert none.status == 404
    names = zipfile.ZipFile(io.BytesIO(bundle.body())).namelist()
    assert {"model.onnx", "bundle.json"} <= set(names)
    assert refused.status in {303, 401}


def test_who_may_only_read_sees_no_control_that_they_may_not_use(visit: Visit) -> None:
    key = create_key(visit().open("/settings"), "model-viewer", "ReadOnly")
    watched = visit(signed_in=False)
    watched.sign_in(key)
    page = watched.open(f"/projects/{PROJECT}/models/1")

    expect(page.get_by_role("img", name=re.compile("ROC curve"))).to_be_visible()
    for name in ("Start model 1", "Delete model 1", "Add the tag", "Use this threshold"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    watched.shoot("model-read-only")
    asked: dict[str, str | float | bool] = {"project": PROJECT, "version": "1"}
    refused = watched.context.request.get(f"{watched.root}/bundle", params=asked)
    assert refused.status == 403


@pytest.mark.parametrize("dark", [False, True])
def test_two_models_are_compared(visit: Visit, dark: bool) -> None:
    watched = visit(dark=dark)
    page = watched.open(f"/projects/{PROJECT}/compare?a=1&b=2")

    expect(page.get_by_role("heading", name="Image by image")).to_be_visible()
    expect(page.locator(".pair").first).to_be_visible()
    page.wait_for_function(DRAWN.format(block=".pair"))
    watched.shoot("compare")
    assert findings(page) == []


def test_two_models_judge_the_same_images_now(visit: Visit) -> None:
    watched = visit()
    page = watched.open(f"/projects/{PROJECT}/compare?a=1&b=2")

    page.get_by_role("button", name=re.compile("Let both judge 18 images")).click()

    expect(page.get_by_text("which both judged at the thresholds in force")).to_be_visible()
    expect(page.get_by_text("18 images that both judged; verdicts differ at 0.")).to_be_visible()
    expect(page.get_by_text("which the models may have learned")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Let both judge"))).to_have_count(0)
    watched.shoot("compare-now")
    assert findings(page) == []
