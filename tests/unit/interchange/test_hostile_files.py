"""Files that are damaged or made to harm: each is refused, and named with the value."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest

from blemish.interchange.drafts import draft_entries, read_dataset
from blemish.interchange.files import open_files
from blemish.interchange.labelled import InterchangeError
from tests.unit.interchange.folders import HEIGHT, WIDTH, fill, png, read
from tests.unit.interchange.test_formats import COCO, FOLDERS, labelme, result, task, voc

BOMB = (
    '<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]>'
    "<annotation><filename>&b;</filename></annotation>"
)


def coco(annotation: dict[str, Any] | None = None, **image: Any) -> dict[str, Any]:
    fields = {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT} | image
    annotations = [{"id": 5, "image_id": 1, "category_id": 7, **annotation}] if annotation else []
    return {**COCO, "images": [fields], "annotations": annotations}


def check(folder: Path, tmp_path: Path) -> None:
    files = open_files(folder)
    draft_entries(files, read_dataset(files), folder=tmp_path)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (
            {"a.json": coco(file_name="../../etc/passwd")},
            r"a.json: there is no image '../../etc/pa",
        ),
        ({"a.json": coco(file_name="/etc/passwd")}, "there is no image '/etc/passwd'"),
        ({"a.json": coco({"segmentation": [[1, 2]]})}, "annotation 5 has 1 points"),
        ({"a.json": coco({"segmentation": [[1, 2, 3, 4, 5, "x"]]})}, "must be pairs of numbers"),
        ({"a.json": coco({"segmentation": [[900, 0, 990, 0, 990, 9]]})}, "x 900 to 990, y 0 to 9"),
        ({"a.json": coco({"segmentation": {"counts": [10**15]}})}, "1,000,000,000,000,000 pixels"),
        (
            {"a.json": coco({"segmentation": {"counts": [5120], "size": [80, 64]}})},
            r"the height and width \[80, 64\], its image \[64, 80\]",
        ),
        (
            {"a.json": coco() | {"images": coco()["images"] * 2}},
            "a.json: an image has the id 1, as another one has",
        ),
        (
            {"a.json": coco() | {"categories": [{"id": 1, "name": "x"}, {"id": 1, "name": "y"}]}},
            "a.json: a category has the id 1, as another one has",
        ),
        ({"a.json": coco({"category_id": 99})}, "annotation 5 has an unlisted category: 99"),
        ({"a.json": coco(width=100)}, "80 x 64 pixels, and 100 x 64 in a.json"),
        ({"a.json": '{"images": [NaN'}, "a.json: it is not JSON"),
        ({"a.json": "[" * 100_000}, "a.json: it is not JSON"),
        ({"a.xml": BOMB}, "a.xml: it declares the document type 'lolz'"),
        ({"a.xml": "<annotation>" + "<x>" * 99}, "more than 64 levels"),
        (
            {"a.xml": "<?xml version='1.0' encoding='nonsense'?><annotation/>"},
            "its encoding is not known",
        ),
        ({"a.xml": voc("gone.png")}, "a.xml: there is no image 'gone.png'"),
        ({"a.json": labelme("gone.png")}, "a.json: there is no image 'gone.png'"),
        (
            {
                "a.json": [
                    task(
                        "a.png",
                        result("brushlabels", brushlabels=["x"], format="rle", rle=[255] * 9),
                    )
                ]
            },
            "its runs have 4,294,967,295 values",
        ),
        (
            {"a.json": [task("gone.png")]},
            "task 1: there is no image '/data/upload/1/0a1b2c3d-gone.p",
        ),
        (
            {"data.yaml": "names: [x]", "images/a.png": None, "labels/a.txt": "3 0.1 0.1 0.2 0.2"},
            "labels/a.txt: line 1: the class 3 has no name; 1 are listed",
        ),
        (
            {
                "data.yaml": "names: [x]",
                "images/a.png": None,
                "labels/a.txt": "0 10 10 20 10 20 20",
            },
            "the position 20 is no share",
        ),
        ({"good/a.png": b"no image"}, "good/a.png: The file is a text"),
    ],
)
def test_it_is_refused_with_file_and_value(
    files: dict[str, Any], text: str, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "folder", {"a.png": None, **files})

    with pytest.raises(InterchangeError, match=text):
        check(folder, tmp_path)


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    names = [f"{index:02}.xml" for index in range(30)]

    with pytest.raises(InterchangeError) as refused:
        read(fill(tmp_path, {name: voc("gone.png") for name in names} | {"a.png": None}))

    assert str(refused.value).splitlines()[0].startswith("00.xml: ")
    assert str(refused.value).splitlines()[-1] == "... and 10 more problems"


def test_an_archive_that_names_a_file_outside_of_itself_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../good/a.png", png())

    with pytest.raises(InterchangeError, match=r"a.zip: '../good/a.png' is outside"):
        open_files(tmp_path / "a.zip")


def test_a_file_that_unpacks_to_more_than_is_allowed_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b'{"images": [' + b" " * 10_000_000)

    files = open_files(tmp_path / "a.zip", max_text_bytes=1_000_000)
    with pytest.raises(InterchangeError, match=r"a.json: it has more than 1,000,000 bytes"):
        read_dataset(files)


def test_a_folder_without_labels_is_refused_with_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(InterchangeError, match=r"none of the known formats \(manifests of"):
        read(fill(tmp_path, {"a.png": None}))


def test_a_folder_without_images_is_refused_with_the_formats_of_images(tmp_path: Path) -> None:
    with pytest.raises(InterchangeError, match=r"no images in it. JPEG, PNG, TIFF, BMP and WebP"):
        read(fill(tmp_path, {"good/a.gif": b"GIF89a"}))


def test_a_pipe_in_a_folder_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder", {"good/a.png": None})
    os.mkfifo(folder / "good/b.png")

    with pytest.raises(InterchangeError, match=r"^good/b.png: it is a pipe, a socket or a device"):
        check(folder, tmp_path)


def test_a_link_to_another_folder_is_refused_instead_of_left_out(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder", {"good/a.png": None})
    (folder / "bad").symlink_to(fill(tmp_path / "other", {"b.png": None}))

    with pytest.raises(InterchangeError, match="bad: it is a link to another folder"):
        check(folder, tmp_path)


def test_images_that_are_not_used_are_counted(tmp_path: Path) -> None:
    files = {"a.png": None, "a.json": coco(), "forgotten.png": None, "phone.HEIC": b"heic"}

    dataset = read(fill(tmp_path, files))

    assert dataset.notes.sentences() == [
        "Not used: file in a format that is not read (heic): 1",
        "Not used: image that no annotation names: 1",
    ]


def test_a_name_is_known_in_both_spellings_of_its_accents(tmp_path: Path) -> None:
    files = {unicodedata.normalize("NFD", "é.png"): None, "a.json": coco(file_name="é.png")}

    assert len(read(fill(tmp_path, files)).images) == 1


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        InterchangeError, match=r"'tfrecord' is no format. The formats are manifest"
    ):
        read(fill(tmp_path, FOLDERS["voc"]), "tfrecord")


def test_lists_of_yaml_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    lists = "".join(f"l{row}: &l{row} [*l{row - 1}, *l{row - 1}]\n" for row in range(1, 40))
    files = {"data.yaml": f"l0: &l0 [x]\n{lists}names: *l39\n", "images/a.png": None}

    with pytest.raises(InterchangeError, match="there is no YAML file with the names"):
        read(fill(tmp_path, files | {"labels/a.txt": ""}), "yolo")
