"""Training from a page, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.acceptance.product import make_dataset
from tests.acceptance.served import ServedDirectory
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

    expect(page.get_by_role("button", name="Train")).to_be_disabled()
    expect(page.get_by_text("not authorized to perform")).to_be_visible()
