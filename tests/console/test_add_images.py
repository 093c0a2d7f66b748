"""A folder of images comes into a project, in a real browser."""

from __future__ import annotations

import base64
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from tests.acceptance.served import BUCKET, ServedDirectory, line
from tests.console.test_looks import findings
from tests.console.test_security import make_key
from tests.console.watched import Watched

pytestmark = pytest.mark.acceptance

Visit = Callable[..., Watched]

ASKS_BEFORE_LEAVING = """() => {
    const leaving = new Event("beforeunload", {cancelable: true});
    window.dispatchEvent(leaving);
    return leaving.defaultPrevented;
}"""

HOSTILE = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture
def project(served: ServedDirectory) -> str:
    name = f"added-{served.next_number()}"
    served.client().create_project(ProjectName=name)
    return name


def image(width: int, height: int) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (width, height), (30, 90, 200)).save(output, "JPEG")
    return output.getvalue()


def some_cookies(cookies: Path, folder: Path, *, count: int) -> Path:
    """Copy a few images of cookies into folders named by their labels."""
    for label in ("normal", "anomaly"):
        (folder / label).mkdir(parents=True)
        for each in sorted((cookies / "test" / label).iterdir())[:count]:
            shutil.copy(each, folder / label / each.name)
    return folder


def stats(served: ServedDirectory, project: str, kind: str) -> tuple[int, int, int]:
    """Return how many images a data set has, and how many of them are normal and anomalous."""
    answer = served.client().describe_dataset(ProjectName=project, DatasetType=kind)
    found = answer["DatasetDescription"]["ImageStats"]
    return found["Total"], found["Normal"], found["Anomaly"]


def test_a_folder_comes_in_with_its_labels_and_what_is_wrong_is_said(
    visit: Visit, served: ServedDirectory, cookies: Path, project: str, tmp_path: Path
) -> None:
    folder = some_cookies(cookies, tmp_path / "line 4", count=4)
    first = min((folder / "normal").iterdir())
    shutil.copy(first, folder / "normal" / "zz again.jpg")
    shutil.move(min((folder / "anomaly").iterdir()), folder / "anomaly" / HOSTILE)
    (folder / "normal" / "notes.txt").write_text("not an image")
    (folder / "normal" / "small.jpg").write_bytes(image(8, 8))
    (folder / "normal" / "other.jpg").write_bytes(image(320, 200))
    (folder / ".DS_Store").write_bytes(b"\0")
    watched = visit()
    page = watched.open(f"/projects/{project}/add")
    watched.shoot("add-empty")

    page.get_by_label("A folder").set_input_files(folder)
    expect(page.get_by_role("heading", name="12 files to add")).to_be_visible()
    expect(page.get_by_text("1 hidden file passed over")).to_be_visible()
    watched.shoot("add-plan")
    assert findings(page) == []
    page.get_by_role("button", name="Add 12 files").click()
    expect(page.get_by_role("heading", name="1 image of another size")).to_be_focused()
    watched.shoot("add-sizes")
    assert findings(page) == []
    page.get_by_role("button", name="Leave these out").click()

    expect(page.get_by_role("heading", name="8 images added")).to_be_visible()
    watched.shoot("add-done", whole=True)
    assert findings(page) == []
    rows = page.locator("details li")
    expect(rows.filter(has_text="notes.txt")).to_contain_text("must be a JPEG, PNG")
    expect(rows.filter(has_text="small.jpg")).to_contain_text("8 x 8")
    expect(rows.filter(has_text="other.jpg")).to_contain_text("320 x 200")
    expect(rows.filter(has_text="is the same image as")).to_have_count(1)
    assert stats(served, project, "train") == (8, 4, 4)
    listed = served.client().list_dataset_entries(ProjectName=project, DatasetType="train")
    assert any(HOSTILE in line for line in listed["DatasetEntries"])

    page.get_by_role("button", name="Add more").click()
    page.get_by_label("A folder").set_input_files(folder / "anomaly")
    page.get_by_role("button", name="Add 4 files").click()
    expect(page.get_by_role("heading", name="0 images added")).to_be_visible()
    expect(page.get_by_text("4 already there")).to_be_visible()
    expect(rows.filter(has_text=HOSTILE)).to_contain_text("already in the training set")


def test_folders_named_train_and_test_are_two_data_sets(
    visit: Visit, served: ServedDirectory, cookies: Path, project: str, tmp_path: Path
) -> None:
    folder = some_cookies(cookies, tmp_path / "both" / "train", count=2)
    shutil.move(folder / "anomaly", tmp_path / "both" / "test" / "anomaly")
    watched = visit(dark=True)
    page = watched.open(f"/projects/{project}/add")

    page.get_by_label("A folder").set_input_files(tmp_path / "both")
    expect(page.get_by_role("radio", name="Train and test")).to_be_checked()
    watched.shoot("add-plan")
    assert findings(page) == []
    page.get_by_role("button", name="Add 4 files").click()

    expect(page.get_by_role("heading", name="4 images added")).to_be_visible()
    watched.shoot("add-done")
    assert stats(served, project, "train") == (2, 2, 0)
    assert stats(served, project, "test") == (2, 0, 2)


def test_folder_names_propose_labels_that_a_click_changes(
    visit: Visit, served: ServedDirectory, project: str, tmp_path: Path
) -> None:
    root = tmp_path / "bottle"
    names = ("train/good", "test/good", "test/broken", "test/other", "ground_truth/broken")
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        (root / name / "0.jpg").write_bytes(image(100, 100) + bytes([number]))
    page = visit().open(f"/projects/{project}/add")

    page.get_by_label("A folder").set_input_files(root)
    expect(page.get_by_role("heading", name="4 files to add")).to_be_visible()  # and no mask
    expect(page.get_by_label("Label of bottle/train/good")).to_have_value("normal")
    expect(page.get_by_label("Label of bottle/test/broken")).to_have_value("anomaly")
    page.get_by_label("Label of bottle/test/other").select_option("no label")
    assert findings(page) == []
    page.get_by_role("button", name="Add 4 files").click()

    expect(page.get_by_role("heading", name="4 images added")).to_be_visible()
    assert stats(served, project, "train") == (1, 1, 0)
    assert stats(served, project, "test") == (3, 1, 1)


def test_dropped_files_come_in_and_leaving_meanwhile_is_warned_of(
    visit: Visit, served: ServedDirectory, project: str
) -> None:
    page = visit().open(f"/projects/{project}/add")
    files = [base64.b64encode(image(100 + number, 100)).decode() for number in range(2)]
    dropped = page.evaluate_handle(
        """files => {
            const transfer = new DataTransfer();
            for (const [number, data] of files.entries()) {
                const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
                transfer.items.add(new File([bytes], `${number}.jpg`));
            }
            return transfer;
        }""",
        files,
    )
    held: list[Route] = []
    through = Event()
    page.route(
        "**/upload/**",
        lambda route: route.continue_() if through.is_set() else held.append(route),
    )

    page.dispatch_event("h1", "drop", {"dataTransfer": dropped})
    page.get_by_role("radio", name="All are normal").check()
    page.get_by_role("button", name="Add 2 files").click()
    expect(page.get_by_text("0 of 2 sent")).to_be_visible()
    assert page.evaluate(ASKS_BEFORE_LEAVING)

    through.set()
    for route in held:
        route.continue_()
    expect(page.get_by_role("heading", name="1 image of another size")).to_be_visible()
    assert page.evaluate(ASKS_BEFORE_LEAVING)
    page.get_by_role("button", name="Allow mixed sizes").click()
    expect(page.get_by_role("heading", name="2 images added")).to_be_visible()
    assert not page.evaluate(ASKS_BEFORE_LEAVING)
    assert stats(served, project, "train") == (2, 2, 0)


def test_images_of_a_bucket_come_in_by_their_folder_and_by_a_manifest(
    visit: Visit, served: ServedDirectory, project: str, tmp_path: Path
) -> None:
    for path in ("train/normal/1.jpg", "train/normal/2.jpg", "test/anomaly/3.JPG", "notes.txt"):
        served.put(f"{project}/{path}", image(640, 480))
    url = served.put(f"{project}/masked/4.jpg", image(640, 480))
    manifest = tmp_path / "more.manifest"
    manifest.write_text(json.dumps(line(url, "anomaly")) + "\n")
    watched = visit()
    page = watched.open(f"/projects/{project}/add")
    bucket = page.get_by_role("region", name="From a bucket")

    bucket.get_by_label("Address").fill(f"s3://{BUCKET}/{project}/train")
    bucket.get_by_role("button", name="Look what is there").click()
    expect(bucket.get_by_role("status")).to_contain_text("2 images: 2 normal")
    bucket.get_by_role("button", name="Add 2 images").click()
    expect(bucket.get_by_role("status")).to_contain_text("2 images added.")

    by_manifest = page.get_by_role("region", name="By a manifest")
    by_manifest.locator("input[type=file]").set_input_files(manifest)
    expect(by_manifest.get_by_role("status")).to_contain_text("what the manifest says")
    assert stats(served, project, "train") == (3, 2, 1)
    watched.shoot("add-bucket", whole=True)

    served.put(f"{project}/broken.manifest", b"{}\n")
    by_manifest.get_by_label("Address").fill(f"s3://{BUCKET}/{project}/broken.manifest")
    by_manifest.get_by_label("Into").click()
    page.get_by_role("option", name="Test set").click()
    by_manifest.get_by_role("button", name="Read it").click()
    expect(page.get_by_text("'source-ref' is missing")).to_be_visible()


def test_a_key_that_may_only_look_adds_nothing(
    visit: Visit, served: ServedDirectory, project: str
) -> None:
    watched = visit(signed_in=False)
    watched.sign_in(make_key(served, f"looker-{project}", "ReadOnly"))
    page = watched.open(f"/projects/{project}/add")

    expect(page.get_by_role("button", name="Choose a folder")).to_be_disabled()
    expect(page.get_by_text("You may look at this project")).to_be_visible()
    request = watched.context.request
    headers = {"origin": served.console}
    url = f"{watched.root}/upload/{project}"
    sent = request.put(f"{url}/train?path=a.jpg", data=image(640, 480), headers=headers)
    added = request.post(
        f"{url}/entries",
        data=[{"path": "a.jpg", "ref": "s3://images/a.jpg", "kind": "train"}],
        headers=headers,
    )
    foreign = request.put(f"{url}/train?path=a.jpg", data=b"", headers={"origin": "http://x.y"})
    assert [sent.status, added.status, foreign.status] == [403, 403, 403]
    assert (
        served.client().describe_project(ProjectName=project)["ProjectDescription"].get("Datasets")
        == []
    )


def labelme_folder(folder: Path) -> Path:
    """Write three images, of which labelme outlined a scratch on one."""
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(image(100, 80) + bytes([number]))
        points = [[10, 10], [40, 10], [40, 30], [10, 30]]
        shape = {"label": "scratch", "points": points, "shape_type": "polygon"}
        content = {
            "shapes": [shape] if number == 0 else [],
            "imagePath": f"{number}.jpg",
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
    (folder / "2.jpg").unlink()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    watched = visit(dark=True)
    page = watched.open(f"/projects/{project}/add")

    page.get_by_label("Files").set_input_files(tmp_path / "all.zip")

    expect(page.get_by_role("alert")).to_have_text("2.json: there is no image '2.jpg'.")
    assert findings(page) == []
    page.get_by_role("button", name="Choose others").click()
    expect(page.get_by_role("region", name="Labels of another tool")).to_have_count(0)
