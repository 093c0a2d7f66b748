"""Training from a page, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.acceptance.product import make_dataset
from tests.acceptance.served import BUCKET, ServedDirectory, dataset_status, wait_for
from tests.acceptance.test_access import Keys
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]

TRAIN = "/projects/trainable/train"


def test_what_is_missing_stands_beside_a_button_that_is_off(
    visit: Visit, served: ServedDirectory
) -> None:
    client = served.client()
    client.create_project(ProjectName="bare")
    watched = visit()
    page = watched.open("/projects/bare/train")
    expect(page.get_by_role("link", name="Add images")).to_be_visible()
    watched.shoot("train-empty")

    client.create_dataset(ProjectName="bare", DatasetType="train")
    page = watched.open("/projects/bare/train")

    expect(page.get_by_role("button", name="Train")).to_be_disabled()
    expect(page.get_by_text("the training dataset has 0 normal images")).to_be_visible()
    watched.shoot("train-missing")


def test_a_training_is_begun_watched_and_cancelled(visit: Visit, served: ServedDirectory) -> None:
    client = served.client()
    make_dataset(served, client, "trainable")
    watched = visit(dark=True)
    page = watched.open(TRAIN)
    page.get_by_label("Description").fill("<img onerror=alert(1)>")
    page.get_by_role("button", name="Train").click()
    expect(page.get_by_text("Description")).to_have_count(2)
    page.get_by_label("Description").fill("the-first")
    page.get_by_label("Tags").fill("line = 3\nshift = early")
    page.get_by_role("button", name="Train").click()
    expect(page.get_by_text("training", exact=True)).to_be_visible()
    expect(page.get_by_text("the-first")).to_be_visible()
    page.reload()
    expect(page.get_by_role("progressbar", name="Model 1")).to_be_visible()
    watched.shoot("train-running")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the training").click()
    expect(page.get_by_text("Cancelled by")).to_be_visible()

    arn = client.describe_model(ProjectName="trainable", ModelVersion="1")["ModelDescription"][
        "ModelArn"
    ]
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == [
        {"Key": "line", "Value": "3"},
        {"Key": "shift", "Value": "early"},
    ]


def test_who_may_only_read_sees_all_and_begins_nothing(
    visit: Visit, served: ServedDirectory
) -> None:
    printed = Keys(served).run("create", "reader", "--policy", "ReadOnly")
    make_dataset(served, served.client(), "seen")
    watched = visit(signed_in=False)
    watched.sign_in(tuple(re.findall(r" = (\S+)", printed)))
    page = watched.open("/projects/seen/train")

    expect(page.get_by_role("heading", name="What will be used")).to_be_visible()
    expect(page.get_by_role("button", name="Train")).to_be_hidden()


def test_images_are_checked_and_those_with_problems_lead_to_the_gallery(
    visit: Visit, served: ServedDirectory
) -> None:
    client = served.client()
    make_dataset(served, client, "checked")
    watched = visit()
    page = watched.open("/projects/checked/train")
    expect(page.get_by_text("All images can be used")).to_be_visible()

    line = client.list_dataset_entries(
        ProjectName="checked", DatasetType="train", Labeled=True, MaxResults=1
    )["DatasetEntries"][0]
    entry = json.loads(line) | {"source-ref": f"s3://{BUCKET}/small.png"}
    Image.new("L", (80, 64)).save(served.bucket / "small.png")
    client.update_dataset_entries(
        ProjectName="checked", DatasetType="train", Changes=json.dumps(entry).encode()
    )
    wait_for(
        dataset_status(client, "checked", "train"),
        {"UPDATE_COMPLETE"},
        while_in={"UPDATE_IN_PROGRESS"},
    )
    page = watched.open("/projects/checked/train")

    expect(page.get_by_text(re.compile("^1 problem in"))).to_be_visible()
    watched.shoot("train-problems")
    page.get_by_role("link", name="small.png").click()
    expect(page).to_have_url(re.compile("q=small.png"))
