"""A model is packaged in a real browser, and its zip is downloaded."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.acceptance.product import PROJECT
from tests.console.test_looks import findings
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance


def test_a_model_is_packaged_and_downloaded(visit: Callable[..., Watched]) -> None:
    watched = visit()
    page = watched.open(f"/projects/{PROJECT}/models/1")
    page.get_by_role("link", name="Package").click()
    expect(page.get_by_role("heading", name="Packages for the edge")).to_be_visible()
    assert findings(page) == []

    page.get_by_label("Name of the component").fill("console-plates")
    page.get_by_role("button", name="Package").click()
    row = page.get_by_role("row").filter(has_text="finished")
    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()

    watched.shoot("packages")
    assert download.value.suggested_filename == "console-plates-1.0.0.zip"
    data = Path(download.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert "manifest.json" in archive.namelist()


def test_what_cannot_be_packaged_says_why(visit: Callable[..., Watched]) -> None:
    page = visit().open(f"/projects/{PROJECT}/packages?version=99")

    page.get_by_label("Name of the component").fill("none")
    page.get_by_role("button", name="Package").click()

    expect(page.get_by_text("has no model version 99")).to_be_visible()
