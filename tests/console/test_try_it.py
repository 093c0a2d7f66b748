"""Trying a model in a real browser: drop, see, correct, add; trials; the code to paste."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from blemish.cli.sdk_model import install_model
from blemish.console.models.code_snippets import SnippetTarget, snippets
from tests.acceptance.product import NORMAL, PROJECT, host, images
from tests.acceptance.served import ServedDirectory
from tests.acceptance.test_access import Keys
from tests.console.watched import Watched, key_of

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]

TRY = f"/projects/{PROJECT}/try"


@pytest.fixture(scope="module")
def served(trained_server: ServedDirectory) -> ServedDirectory:
    """A server of its own: the tests change the project of its model."""
    return trained_server


@pytest.fixture(scope="module")
def hosting(served: ServedDirectory) -> ServedDirectory:
    """A server with a model that is hosted."""
    host(served.client())
    return served


def uploads(*rows: int) -> list[FilePayload]:
    """Return images of the product that nobody has labelled, as a browser chooses them."""
    return [
        {
            "name": f"<img onerror=alert({row})>.jpg",
            "mimeType": "image/jpeg",
            "buffer": images()[row][1] + bytes(row + 1),
        }
        for row in rows
    ]


def choose(page: Page, label: str, *rows: int) -> None:
    """Choose images."""
    page.get_by_label(label).set_input_files(uploads(*rows))


def test_images_are_judged_corrected_and_added(visit: Visit, hosting: ServedDirectory) -> None:
    client = hosting.client()
    watched = visit()
    page = watched.open(TRY)
    cards = page.get_by_role("list", name="Tried images").get_by_role("listitem")
    choose(page, "Images to try", 0, NORMAL, NORMAL + 1)
    expect(cards).to_have_count(3)
    expect(page.get_by_text("sure")).to_have_count(3)
    expect(page.get_by_role("button", name="Look at").first).to_be_visible()
    expect(page.locator("img.seen")).to_have_count(3)
    page.get_by_role("button", name="Right").first.click()
    page.get_by_role("button", name="It is").nth(1).click()
    watched.shoot("try", whole=True)
    page.get_by_role("button", name="Add the verified").click()
    expect(page.get_by_text("In the training set as")).to_have_count(2)

    stats = client.describe_dataset(ProjectName=PROJECT, DatasetType="train")
    assert stats["DatasetDescription"]["ImageStats"]["Total"] == len(images()) + 2

    page.get_by_role("button", name="Look at").first.click()
    watched.shoot("try-large", whole=True)
    page.reload()
    expect(cards).to_have_count(3)
    expect(page.get_by_text("In the training set as")).to_have_count(2)
    expect(page.locator("img.seen")).to_have_count(3)


def test_a_image_of_the_test_set_is_refused_for_the_training_set(
    visit: Visit, hosting: ServedDirectory
) -> None:
    client = hosting.client()
    watched = visit()
    page = watched.open(TRY)
    choose(page, "Images to try", 3)
    page.get_by_role("button", name="Right").click()
    page.get_by_role("button", name="Add the verified").click()
    expect(page.get_by_text("In the training set as")).to_be_visible()
    entries = client.list_dataset_entries(ProjectName=PROJECT, DatasetType="train")
    last = entries["DatasetEntries"][-1]
    source = hosting.put_manifest("test.manifest", [])
    (hosting.bucket / "test.manifest").write_text(last + "\n")
    client.create_dataset(ProjectName=PROJECT, DatasetType="test", DatasetSource=source)

    page.get_by_role("button", name="Clear all").click()
    choose(page, "Images to try", 3)
    page.get_by_role("button", name="Right").click()
    page.get_by_role("button", name="Add the verified").click()

    expect(page.get_by_text("What a model was trained on cannot test it")).to_be_visible()
    client.delete_dataset(ProjectName=PROJECT, DatasetType="test")


def test_a_batch_is_judged_verified_and_added(visit: Visit, hosting: ServedDirectory) -> None:
    client = hosting.client()
    watched = visit(dark=True)
    page = watched.open(TRY)
    page.get_by_label("Name of the trial").fill("monday")
    choose(page, "Images of the batch", 1, 2, NORMAL + 2)
    expect(page.get_by_text("finished", exact=True)).to_be_visible()
    watched.shoot("try-trials", whole=True)
    page.get_by_role("link", name="monday").click()
    page.get_by_role("button", name="It is").first.click()
    page.get_by_role("button", name="The rest on this page is right").click()
    expect(page.locator("[aria-pressed=true]")).to_have_count(3)
    watched.shoot("trial")
    page.reload()
    expect(page.locator("[aria-pressed=true]")).to_have_count(3)
    page.get_by_role("button", name="Add the verified to the training set").click()
    expect(page.get_by_text("The verified images are in the training set now")).to_be_visible()
    found = client.list_dataset_entries(
        ProjectName=PROJECT, DatasetType="train", SourceRefContains="plates/"
    )
    assert len(found["DatasetEntries"]) >= 3


def test_the_code_to_paste_works(visit: Visit, hosting: ServedDirectory, tmp_path: Path) -> None:
    watched = visit(permissions=["clipboard-write"])  # who has a window is not asked for it
    page = watched.open(TRY)
    page.get_by_role("button", name="Copy: Python (boto3)").click()
    expect(page.get_by_role("button", name="Copy: Python (boto3)")).to_have_text("Copied")
    shown = page.get_by_label("Python (boto3): Detect anomalies", exact=True).inner_text()
    target = SnippetTarget(
        endpoint=hosting.endpoint, region="us-east-1", project=PROJECT, version="1"
    )
    tools = snippets(target)
    (boto3,) = tools["Python (boto3)"]
    assert shown.strip() == boto3.code.strip()
    (tmp_path / "image.jpg").write_bytes(images()[0][1])
    key_id, secret = key_of(hosting)
    environment = os.environ | {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}

    def output(*command: str) -> str:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert output(sys.executable, "-c", boto3.code).split()[0] in {"normal", "anomaly"}
    if shutil.which("curl"):
        (curl,) = tools["curl"]
        assert '"IsAnomalous"' in output("sh", "-c", curl.code)
    if shutil.which("aws"):
        _, judge, _ = tools["AWS CLI"]
        install_model(tmp_path / "models")
        environment["AWS_DATA_PATH"] = str(tmp_path / "models")
        assert '"IsAnomalous"' in output("sh", "-c", judge.code)


def test_who_may_only_read_starts_and_adds_nothing(visit: Visit, hosting: ServedDirectory) -> None:
    printed = Keys(hosting).run("create", "reader", "--policy", "ReadOnly")
    key_id, secret = re.findall(r" = (\S+)", printed)
    watched = visit(signed_in=False)
    watched.sign_in((key_id, secret))
    page = watched.open(TRY)

    expect(page.get_by_role("heading", name="A whole batch")).to_be_visible()
    expect(page.get_by_label("Images of the batch")).to_be_hidden()
    expect(page.get_by_role("button", name="Stop the model")).to_be_hidden()


@pytest.mark.usefixtures("hosting")
def test_a_model_is_stopped_and_started(visit: Visit) -> None:
    watched = visit()
    page = watched.open(TRY)
    page.get_by_role("button", name="Stop the model").click()
    expect(page.get_by_text("Start the model to try images with it")).to_be_visible()
    watched.shoot("try-stopped")
    expect(page.get_by_label("Images to try")).to_be_disabled()
    page.get_by_role("button", name="Start the model").click()
    expect(page.get_by_label("Images to try")).to_be_enabled()
    page.get_by_label("Images to try").set_input_files(
        FilePayload(name="notes.jpg", mimeType="image/jpeg", buffer=b"no image")
    )
    expect(page.locator(".cards .problem")).to_be_visible()
