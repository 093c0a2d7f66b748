from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.unit.console.in_process import Browser, InProcessConsole
from tests.unit.interchange.folders import fill
from tests.unit.interchange.test_formats import FOLDERS


def send(browser: Browser, project: str, files: dict[str, bytes]) -> str:
    """Send files as the page does; return where the upload is."""
    name = browser.post(f"/labelled/{project}", {}).json()["upload"]
    for path, data in files.items():
        answer = browser.ask("PUT", f"/labelled/{project}/{name}?path={path}", content=data)
        assert answer.json() == {"bytes": len(data)}
    return f"/labelled/{project}/{name}"


def folder_files(folder: Path) -> dict[str, bytes]:
    return {
        f"my folder/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def archive_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return stream.getvalue()


def add(browser: Browser, upload: str) -> list[dict[str, Any]]:
    answer = browser.post(f"{upload}/add", {})
    return [json.loads(line) for line in answer.text.splitlines()]


def entries(console: InProcessConsole, project: str, kind: str = "train") -> list[dict[str, Any]]:
    answer = console.api.list_dataset_entries(ProjectName=project, DatasetType=kind)
    return [json.loads(line) for line in answer["DatasetEntries"]]


def sample(tmp_path: Path, name: str) -> dict[str, bytes]:
    """Return the files of a folder whose images differ, as no two objects are the same image."""
    files = folder_files(fill(tmp_path / name, FOLDERS[name]))
    for number, path in enumerate(
        path for path in files if path[-5:] in {"a.png", "b.png", "c.png"}
    ):
        if "mask" not in path and "ground_truth" not in path:
            stream = io.BytesIO()
            Image.new("RGB", (80, 64), (number, 90, 90)).save(stream, "PNG")
            files[path] = stream.getvalue()
    return files


@pytest.mark.parametrize("name", ["mvtec", "labelme", "coco", "label-studio"])
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_folder_with_masks_comes_in(
    name: str, form: str, console: InProcessConsole, browser: Browser, project: str, tmp_path: Path
) -> None:
    files = sample(tmp_path, name)
    upload = send(browser, project, files if form == "folder" else {"all.zip": archive_of(files)})

    summary = browser.post(f"{upload}/read", {}).json()
    states = add(browser, upload)

    assert summary["format"] == name
    assert (summary["images"], summary["masks"], summary["types"]) == (3, 2, ["scratch"])
    assert states == [{"done": 3, "total": 3}, {"added": 3, "known": []}]
    lines = entries(console, project) + (
        entries(console, project, "test") if name == "mvtec" else []
    )
    masked = [line for line in lines if "anomaly-mask-ref" in line]
    assert len(masked) == 2
    bucket, _, key = masked[0]["anomaly-mask-ref"].removeprefix("s3://").partition("/")
    with Image.open(console.buckets / bucket / key) as mask:
        painted = np.asarray(mask.convert("RGB")) != 255
    assert painted.any(axis=2).sum() == 100
    assert not list((console.buckets.parent / "staging").glob("labelled-*"))


def test_problems_are_said_before_anything_is_stored(
    browser: Browser, project: str, console: InProcessConsole, tmp_path: Path
) -> None:
    files = sample(tmp_path, "coco")
    del files["my folder/b.png"]

    upload = send(browser, project, files)
    answer = browser.post(f"{upload}/read", {})

    assert answer.json() == {"problem": "my folder/annotations.json: there is no image 'b.png'"}
    assert browser.ask("DELETE", upload).status_code == 200
    assert not list((console.buckets.parent / "staging").glob("labelled-*"))


def test_an_image_that_the_project_has_gets_its_mask(
    browser: Browser, project: str, console: InProcessConsole, tmp_path: Path
) -> None:
    files = sample(tmp_path, "coco")
    for path, data in files.items():
        if path.endswith(".png"):
            ref = browser.ask("PUT", f"/upload/{project}/train?path={path}", content=data).json()[
                "ref"
            ]
            entry = {"path": path, "ref": ref, "kind": "train", "label": None}
            browser.post(f"/upload/{project}/entries", [entry])

    upload = send(browser, project, files)
    browser.post(f"{upload}/read", {})
    add(browser, upload)

    lines = entries(console, project)
    assert len(lines) == 3
    assert sum("anomaly-mask-ref" in line for line in lines) == 2


def test_an_upload_is_of_one_session_and_one_project(
    browser: Browser, project: str, console: InProcessConsole
) -> None:
    upload = send(browser, project, {})

    other = console.browser().post(f"{upload}/read", {})
    looker = console.browser("looker").post(f"/labelled/{project}", {})

    assert (other.status_code, other.text) == (
        400,
        "This upload is over. Choose the folder again.",
    )
    assert looker.status_code == 403


def test_the_project_goes_out_as_an_archive(browser: Browser, project: str, tmp_path: Path) -> None:
    upload = send(browser, project, sample(tmp_path, "yolo"))
    browser.post(f"{upload}/read", {})
    add(browser, upload)

    answer = browser.get(f"/export/{project}", format="coco")
    unknown = browser.get(f"/export/{project}", format="tfrecord")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        content = json.loads(archive.read("annotations/instances_train.json"))
    assert answer.headers["content-disposition"].endswith(f"{project}-coco.zip")
    assert len(content["images"]) == 3
    assert [annotation["area"] for annotation in content["annotations"]] == [100, 100]
    assert (unknown.status_code, unknown.text[:21]) == (400, "'tfrecord' must be on")
