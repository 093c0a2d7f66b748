"""Mistakes of a model lead to their cure: from the verdict to another label, the painter, a set."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.product import NORMAL, PROJECT
from tests.acceptance.served import ServedDirectory, dataset_status, line, wait_for
from tests.asgi_client import installed_models
from tests.console.test_looks import findings
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]

TOUCH = {"size": (768, 1024), "has_touch": True}


@pytest.fixture(scope="module")
def served(trained_server: ServedDirectory) -> ServedDirectory:
    """A server of its own: the tests change the project of its model."""
    return trained_server


@pytest.fixture(scope="module")
def client(served: ServedDirectory) -> Any:
    """A client that knows the operations of Blemish's own."""
    return served.client(models=installed_models())


def entries(client: Any, kind: str) -> dict[str, dict[str, Any]]:
    """Return the entries of a data set by the names of their images."""
    answer = client.list_dataset_entries(ProjectName=PROJECT, DatasetType=kind, MaxResults=100)
    parsed = map(json.loads, answer["DatasetEntries"])
    return {entry["source-ref"].rsplit("/", 1)[-1]: entry for entry in parsed}


def enlarged(watched: Watched) -> tuple[Page, str]:
    """Open the first image of the model's page; return its name, too."""
    page = watched.open(f"/projects/{PROJECT}/models/1?order=name")
    page.get_by_role("button", name=re.compile("Look at")).first.click()
    expect(page.locator(".large .acts button").first).to_be_visible()
    return page, page.locator(".large h2").inner_text()


def test_an_image_is_relabelled_left_out_and_taken_back(visit: Visit, client: Any) -> None:
    watched = visit(dark=True)
    page, name = enlarged(watched)
    before = entries(client, "train")[name]
    acts = page.locator(".large .acts")

    label = before["anomaly-label-metadata"]["class-name"]
    other = "It is an anomaly" if label == "normal" else "It is normal"
    acts.get_by_role("button", name=other).click()
    expect(acts).to_contain_text("now. The numbers of this page change with the next training")
    watched.shoot("cures")
    assert findings(page) == []
    assert entries(client, "train")[name]["anomaly-label-metadata"]["class-name"] != label
    acts.get_by_role("button", name="Leave out").click()
    expect(acts).to_contain_text("it has no label")
    assert "anomaly-label" not in entries(client, "train")[name]
    acts.get_by_role("button", name="Take it back").click()
    expect(acts).to_contain_text("In the training set, labelled")
    assert "anomaly-label" in entries(client, "train")[name]
    acts.get_by_role("link", name="Paint").click()

    expect(page).to_have_url(re.compile("/paint.set=train&ref="))


def test_an_image_of_the_test_set_is_moved_to_training_and_back(
    visit: Visit, served: ServedDirectory, client: Any
) -> None:
    page, name = enlarged(visit())
    page.locator(".large").get_by_role("button", name="Close").click()
    entry = entries(client, "train")[name]
    ref = entry["source-ref"]
    client.delete_dataset_entries(ProjectName=PROJECT, DatasetType="train", SourceRefs=[ref])
    source = served.put_manifest("moved.manifest", [line(ref, "normal")])
    client.create_dataset(ProjectName=PROJECT, DatasetType="test", DatasetSource=source)
    wait_for(
        dataset_status(client, PROJECT, "test"),
        {"CREATE_COMPLETE"},
        while_in={"CREATE_IN_PROGRESS"},
    )

    page, name = enlarged(visit(**TOUCH))
    page.get_by_role("button", name="Move to training").tap()
    expect(page.get_by_text("It is in the training set now.")).to_be_visible()
    moved = entries(client, "train")[name], entries(client, "test")
    page.get_by_role("button", name="Take it back").tap()
    expect(page.get_by_text("In the test set, labelled normal")).to_be_visible()

    assert moved[0]["source-ref"] == ref
    assert name not in moved[1]
    assert name in entries(client, "test")
    assert name not in entries(client, "train")
    client.delete_dataset(ProjectName=PROJECT, DatasetType="test")


def test_the_model_in_force_ranks_images_by_what_a_label_would_teach(
    visit: Visit, client: Any
) -> None:
    refs = [f"s3://images/plates/{row}.jpg" for row in (3, 4, NORMAL + 1)]
    before = [entry for entry in entries(client, "train").values() if entry["source-ref"] in refs]
    unlabelled = "".join(json.dumps(line(ref, None)) + "\n" for ref in refs).encode()
    client.update_dataset_entries(ProjectName=PROJECT, DatasetType="train", Changes=unlabelled)
    status = dataset_status(client, PROJECT, "train")
    wait_for(status, {"UPDATE_COMPLETE"}, while_in={"UPDATE_IN_PROGRESS"})
    watched = visit(**TOUCH)
    page = watched.open(f"/projects/{PROJECT}/images")

    page.get_by_label("Sort by").select_option("teaching")
    page.get_by_role("button", name="Let it judge them").tap()
    expect(page.locator(".ranking")).to_have_count(0)
    first = page.locator(".cell.open")
    expect(first).to_have_count(3)
    watched.shoot("gallery-teaching")
    assert findings(page) == []

    positions = [first.nth(row).get_attribute("data-index") for row in range(3)]
    assert positions == ["0", "1", "2"]
    scores = page.locator(".cell .extra").all_inner_texts()
    assert len(scores) == len(entries(client, "train"))
    changes = "".join(json.dumps(entry) + "\n" for entry in before).encode()
    client.update_dataset_entries(ProjectName=PROJECT, DatasetType="train", Changes=changes)
    wait_for(status, {"UPDATE_COMPLETE"}, while_in={"UPDATE_IN_PROGRESS"})


def test_a_trial_on_images_without_a_label_becomes_the_test_set(visit: Visit, client: Any) -> None:
    refs = [f"s3://images/plates/{row}.jpg" for row in (0, NORMAL)]
    before = [entry for entry in entries(client, "train").values() if entry["source-ref"] in refs]
    unlabelled = "".join(json.dumps(line(ref, None)) + "\n" for ref in refs).encode()
    client.update_dataset_entries(ProjectName=PROJECT, DatasetType="train", Changes=unlabelled)
    status = dataset_status(client, PROJECT, "train")
    wait_for(status, {"UPDATE_COMPLETE"}, while_in={"UPDATE_IN_PROGRESS"})
    watched = visit()
    page = watched.open(f"/projects/{PROJECT}/try")

    page.get_by_label("Name of the trial").fill("tuesday")
    page.get_by_role("button", name="Start on those without a label").click()
    expect(page.get_by_text("finished", exact=True)).to_be_visible()
    page.get_by_role("link", name="tuesday").click()
    page.get_by_label("Order").select_option("anomalous")
    expect(page).to_have_url(re.compile("order=anomalous"))
    names = page.locator(".cards .name")
    expect(names).to_have_count(2)
    page.wait_for_function("() => document.querySelector('.cards img.heat')?.naturalWidth")
    watched.shoot("trial-heat")
    assert findings(page) == []
    page.get_by_role("button", name="Look at").first.click()
    expect(page.locator(".large .pane")).to_have_count(2)
    page.get_by_role("button", name="Close").click()
    client.delete_dataset_entries(ProjectName=PROJECT, DatasetType="train", SourceRefs=refs)
    wait_for(status, {"UPDATE_COMPLETE"}, while_in={"UPDATE_IN_PROGRESS"})
    page.get_by_role("button", name="The rest on this page is right").click()
    expect(page.locator("[aria-pressed=true]")).to_have_count(2)
    page.get_by_role("button", name="Add the verified to the test set").click()
    expect(page.get_by_text("The verified images are in the test set now")).to_be_visible()

    assert len(entries(client, "test")) == 2
    client.delete_dataset(ProjectName=PROJECT, DatasetType="test")
    changes = "".join(json.dumps(entry) + "\n" for entry in before).encode()
    client.update_dataset_entries(ProjectName=PROJECT, DatasetType="train", Changes=changes)
