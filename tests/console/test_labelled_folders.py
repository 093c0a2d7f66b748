"""Folders and archives with labels of other tools come in with their masks, in a real browser."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.acceptance.served import ServedDirectory
from tests.console.test_looks import findings
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]


@pytest.fixture
def project(served: ServedDirectory) -> str:
    name = f"labelled-{served.next_number()}"
    served.client().create_project(ProjectName=name)
    return name


def image(shade: int) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (100, 80), (shade, 90, 200)).save(output, "PNG")
    return output.getvalue()


def labelme_folder(folder: Path) -> Path:
    """Write three images, of which labelme outlined a scratch on one."""
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(image(number))
        points = [[10, 10], [40, 10], [40, 30], [10, 30]]
        shape = {"label": "scratch", "points": points, "shape_type": "polygon"}
        content = {
            "shapes": [shape] if number == 0 else [],
            "imagePath": f"{number}.png",
            "imageWidth": 100,
            "imageHeight": 80,
        }
        (folder / f"{number}.json").write_text(json.dumps(content))
    return folder


def test_a_labelled_folder_comes_in_and_goes_out_as_an_archive(
    visit: Visit, served: ServedDirectory, project: str, tmp_path: Path
) -> None:
    watched = visit()
    page = watched.open(f"/projects/{project}/add")

    page.get_by_label("A folder").set_input_files(labelme_folder(tmp_path / "line 4"))
    page.get_by_role("button", name="Read labels and masks").click()
    expect(page.get_by_text("LabelMe JSON: 2 normal")).to_be_visible()
    expect(page.get_by_text("1 with a mask.")).to_be_visible()
    watched.shoot("add-labels")
    assert findings(page) == []
    page.get_by_role("button", name="Add 3 images").click()
    expect(page.get_by_role("heading", name="3 images added")).to_be_visible()

    answer = served.client().list_dataset_entries(ProjectName=project, DatasetType="train")
    assert sum("anomaly-mask-ref" in line for line in answer["DatasetEntries"]) == 1
    page.locator("a.solid", has_text="Show the images").click()
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_text("YOLO polygons").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert "data.yaml" in archive.namelist()


def test_an_archive_with_a_mistake_says_file_and_value(
    visit: Visit, project: str, tmp_path: Path
) -> None:
    folder = labelme_folder(tmp_path / "folder")
    (folder / "2.png").unlink()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    watched = visit(dark=True)
    page = watched.open(f"/projects/{project}/add")

    page.get_by_label("Files").set_input_files(tmp_path / "all.zip")

    expect(page.get_by_role("alert")).to_have_text("2.json: there is no image '2.png'.")
    assert findings(page) == []
    page.get_by_role("button", name="Choose others").click()
    expect(page.get_by_role("region", name="Labels of another tool")).to_have_count(0)
