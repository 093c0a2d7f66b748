from __future__ import annotations

import pytest

from blemish.console.images.folder_labels import (
    NAMELESS,
    ImportCandidate,
    is_image_name,
    kind_of,
    object_name,
    split_new,
)
from blemish.domain.entities import DatasetType, Label
from blemish.interchange.label_names import label_in_path


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("cookies/normal/1.jpg", Label.NORMAL),
        ("ANOMALY/crack/1.jpg", Label.ANOMALY),
        ("normal/anomaly/1.jpg", Label.ANOMALY),
        ("normal.jpg", None),
        ("abnormal/1.jpg", None),
        ("test-anomaly/1.jpg", None),
        ("good/1.jpg", Label.NORMAL),
        ("line 3/OK /1.jpg", Label.NORMAL),
        ("n.i.o./1.jpg", Label.ANOMALY),
        ("NG/good/1.jpg", Label.NORMAL),
        ("goods/1.jpg", None),
    ],
)
def test_a_folder_names_the_label(path: str, label: Label | None) -> None:
    assert label_in_path(path) == label


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("cookies/Test/normal/1.jpg", DatasetType.TEST),
        ("cookies/train/1.jpg", DatasetType.TRAIN),
        ("testing/1.jpg", DatasetType.TRAIN),
        ("test", DatasetType.TRAIN),
    ],
)
def test_a_folder_names_the_data_set(path: str, kind: DatasetType) -> None:
    assert kind_of(path, otherwise=DatasetType.TRAIN) == kind


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/<img src=x onerror=alert(1)>.jpg", "<img src=x onerror=alert(1)>.jpg"),
        ("a/Teil ö.PNG", "Teil ö.PNG"),
        ("a/..", NAMELESS),
        ("a/", NAMELESS),
        ("a/tab\there.jpg", NAMELESS),
        ("a/" + "x" * 300, NAMELESS),
    ],
)
def test_a_file_keeps_its_name_where_an_object_can_have_it(path: str, name: str) -> None:
    assert object_name(path) == name


def test_what_a_project_has_is_not_added_again_to_either_of_its_sets() -> None:
    candidates = [
        ImportCandidate(path=name, ref=f"s3://images/{name}", kind=DatasetType.TEST, label=None)
        for name in ("a.jpg", "b.jpg", "c.jpg")
    ]
    existing = {DatasetType.TRAIN: ["s3://images/a.jpg"], DatasetType.TEST: ["s3://images/c.jpg"]}

    new, known = split_new(candidates, existing)

    assert [candidate.path for candidate in new] == ["b.jpg"]
    assert known == [
        ("a.jpg", "already in the training set"),
        ("c.jpg", "already in the test set"),
    ]


def test_images_are_told_by_their_endings() -> None:
    assert is_image_name("a/b.JPG")
    assert not is_image_name("a/b.txt")
    assert not is_image_name("a/._b.JPG")
    assert not is_image_name("__MACOSX/a/b.jpg")
