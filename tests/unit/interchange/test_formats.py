"""What each format's reader takes of a small folder; files of the tools are in test_tools.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.domain.entities import DatasetType, Label
from blemish.interchange.drafts import draft_entries, read_dataset
from blemish.interchange.files import open_files
from blemish.interchange.labelled import InterchangeError
from blemish.interchange.registry import recognised_formats
from tests.unit.interchange.folders import (
    HEIGHT,
    WIDTH,
    by_path,
    color_mask,
    fill,
    grey_mask,
    masks,
    read,
    rectangle,
)

BOX = rectangle(10, 20, 30, 25)
POINTS = [[10, 20], [30, 20], [30, 25], [10, 25]]
FLAT = [value for point in POINTS for value in point]

COCO = {
    "images": [
        {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT},
        {"id": 2, "file_name": "b.png", "width": WIDTH, "height": HEIGHT},
        {"id": 3, "file_name": "c.png", "width": WIDTH, "height": HEIGHT},
    ],
    "categories": [{"id": 7, "name": "scratch"}, {"id": 8, "name": "ok"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "segmentation": [FLAT]},
        {"id": 2, "image_id": 2, "category_id": 7, "bbox": [10, 20, 20, 5], "segmentation": []},
        {"id": 3, "image_id": 3, "category_id": 8, "bbox": [0, 0, 80, 64]},
    ],
}
CVAT = f"""<annotations><version>1.1</version>
<image id="0" name="a.png" width="{WIDTH}" height="{HEIGHT}">
  <polygon label="scratch" points="10,20;30,20;30,25;10,25" z_order="0"></polygon></image>
<image id="1" name="b.png" width="{WIDTH}" height="{HEIGHT}">
  <mask label="scratch" rle="0, 100" left="10" top="20" width="20" height="5"></mask>
  <points label="scratch" points="1,1"></points></image>
<image id="2" name="c.png" width="{WIDTH}" height="{HEIGHT}"><tag label="ok"></tag></image>
</annotations>"""
YOLO = {
    "data.yaml": "names: [scratch]\ntrain: images\n",
    "images/a.png": None,
    "labels/a.txt": "0 0.125 0.3125 0.375 0.3125 0.375 0.390625 0.125 0.390625\n",
    "images/b.png": None,
    "labels/b.txt": "0 0.25 0.3515625 0.25 0.078125\n",
    "images/c.png": None,
}


def voc(name: str, *objects: str) -> str:
    return (
        f"<annotation><filename>{name}</filename><size><width>{WIDTH}</width>"
        f"<height>{HEIGHT}</height><depth>3</depth></size>{''.join(objects)}</annotation>"
    )


def labelme(name: str, *shapes: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "5.5.0",
        "shapes": list(shapes),
        "imagePath": name,
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }


def task(name: str, *results: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": {"image": f"/data/upload/1/0a1b2c3d-{name}"},
        "annotations": [{"result": list(results)}],
    }


def result(kind: str, **value: Any) -> dict[str, Any]:
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"type": kind, "value": value, **size}


VOC_BOX = (
    "<object><name>scratch</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>30</xmax>"
    "<ymax>25</ymax></bndbox></object>"
)
SHAPE = {"label": "scratch", "points": POINTS, "shape_type": "polygon"}
IMAGES: dict[str, Any] = {"a.png": None, "b.png": None, "c.png": None}

FOLDERS: dict[str, dict[str, Any]] = {
    "coco": IMAGES | {"annotations.json": COCO},
    "cvat": IMAGES | {"annotations.xml": CVAT},
    "voc": IMAGES
    | {"a.xml": voc("a.png", VOC_BOX), "b.xml": voc("b.png", VOC_BOX), "c.xml": voc("c.png")},
    "yolo": YOLO,
    "labelme": IMAGES
    | {
        "a.json": labelme("a.png", SHAPE),
        "b.json": labelme(
            "..\\x\\b.png",
            {"label": "scratch", "points": [[10, 20], [30, 25]], "shape_type": "rectangle"},
            {"label": "scratch", "points": [[1, 1]], "shape_type": "point"},
        ),
        "c.json": labelme("c.png"),
    },
    "label-studio": IMAGES
    | {
        "tasks.json": [
            task(
                "a.png",
                result(
                    "polygonlabels",
                    polygonlabels=["scratch"],
                    points=[[12.5, 31.25], [37.5, 31.25], [37.5, 39.0625], [12.5, 39.0625]],
                ),
            ),
            task(
                "b.png",
                result(
                    "rectanglelabels",
                    rectanglelabels=["scratch"],
                    x=12.5,
                    y=31.25,
                    width=25,
                    height=7.8125,
                    rotation=0,
                ),
            ),
            task("c.png", {"type": "choices", "value": {"choices": ["OK"]}}),
        ]
    },
    "mvtec": {
        "train/good/c.png": None,
        "test/scratch/a.png": None,
        "ground_truth/scratch/a_mask.png": grey_mask(BOX),
        "test/scratch/b.png": None,
        "ground_truth/scratch/b.png": grey_mask(BOX),
    },
    "folders": {
        "good/c.png": None,
        "scratch/a.png": None,
        "scratch/b.png": None,
        "masks/scratch/a.png": grey_mask(BOX),
        "masks/b.png": grey_mask(BOX),
    },
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_recognised_and_its_areas_become_masks(name: str, tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder", FOLDERS[name])

    formats = recognised_formats(open_files(folder))
    drawn = {path[-5:]: types for path, types in masks(folder, tmp_path / "masks").items()}

    assert formats[0].name == name
    assert drawn["c.png"] == {}
    for path in ("a.png", "b.png"):
        assert list(drawn[path]) == ["scratch"]
        np.testing.assert_array_equal(drawn[path]["scratch"], BOX)


@pytest.mark.parametrize("name", FOLDERS)
def test_images_with_areas_are_anomalies_and_the_others_normal(name: str, tmp_path: Path) -> None:
    dataset = read(fill(tmp_path, FOLDERS[name]))

    labels = {path[-5:]: image.label for path, image in by_path(dataset).items()}
    assert labels == {"a.png": Label.ANOMALY, "b.png": Label.ANOMALY, "c.png": Label.NORMAL}


def test_what_is_not_used_is_counted(tmp_path: Path) -> None:
    dataset = read(fill(tmp_path, FOLDERS["labelme"]))

    assert dataset.notes.sentences() == ["Not used: shape of type 'point': 1"]


def test_coco_reads_runs_down_the_columns(tmp_path: Path) -> None:
    counts = [10 * HEIGHT + 20, *[5, 59] * 19, 5]
    counts.append(WIDTH * HEIGHT - sum(counts))
    content = {
        **COCO,
        "images": COCO["images"][:1],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "segmentation": {"counts": counts}}
        ],
    }
    folder = fill(tmp_path / "folder", {"a.png": None, "annotations.json": content})

    drawn = masks(folder, tmp_path / "masks")

    np.testing.assert_array_equal(drawn["a.png"]["scratch"], BOX)


def test_a_label_studio_task_that_nobody_labelled_has_no_label(tmp_path: Path) -> None:
    content = [{"data": {"image": "s3://b/a.png"}, "annotations": [], "predictions": [{}]}]

    dataset = read(fill(tmp_path, {"a.png": None, "tasks.json": content}))

    assert by_path(dataset)["a.png"].label is None
    assert dataset.notes.sentences() == [
        "Tasks that nobody has labelled: 1",
        "Not used: prediction of a model: 1",
    ]


def test_sets_come_from_folders_and_validation_tests_where_nothing_else_does(
    tmp_path: Path,
) -> None:
    files = open_files(fill(tmp_path / "f", {"train/ok/a.png": None, "val/ok/b.png": None}))
    dataset = read_dataset(files)

    entries = draft_entries(files, dataset, folder=tmp_path)

    assert {entry.path: entry.kind for entry in entries} == {
        "train/ok/a.png": DatasetType.TRAIN,
        "val/ok/b.png": DatasetType.TEST,
    }


def test_a_manifest_is_read_with_its_colours(tmp_path: Path) -> None:
    line = {
        "source-ref": "s3://old-bucket/some/a.png",
        "label": 1,
        "label-metadata": {"class-name": "anomaly", "type": "groundtruth/image-classification"},
        "m-ref": "s3://old-bucket/some/m.png",
        "m-ref-metadata": {
            "type": "groundtruth/semantic-segmentation",
            "internal-color-map": {"1": {"class-name": "scratch", "hex-color": "#FEFEFE"}},
        },
    }
    mask = np.where(BOX[..., None], np.uint8(254), np.uint8(255)).repeat(3, axis=2)
    folder = fill(
        tmp_path / "folder",
        {"some/a.png": None, "some/m.png": color_mask(mask), "train.manifest": line},
    )

    drawn = masks(folder, tmp_path / "masks")

    np.testing.assert_array_equal(drawn["some/a.png"]["scratch"], BOX)


def manifest_line(name: str, class_name: str) -> str:
    metadata = {"class-name": class_name, "type": "groundtruth/image-classification"}
    return json.dumps({"source-ref": f"s3://b/{name}", "l": 1, "l-metadata": metadata}) + "\n"


def test_the_later_line_of_a_manifest_counts(tmp_path: Path) -> None:
    text = manifest_line("a.png", "normal") + manifest_line("a.png", "anomaly")

    dataset = read(fill(tmp_path, {"a.png": None, "train.manifest": text}))

    assert [image.label for image in dataset.images] == [Label.ANOMALY]
    assert dataset.notes.sentences() == ["Not used: line of an image that has a later one: 1"]


def test_an_image_that_two_files_describe_is_refused_with_their_names(tmp_path: Path) -> None:
    line = manifest_line("a.png", "normal")
    files = {"a.png": None, "old.manifest": line, "new.manifest": line}

    with pytest.raises(InterchangeError, match=r"described 2 times \(new.manifest, old.manifest\)"):
        read(fill(tmp_path, files))
