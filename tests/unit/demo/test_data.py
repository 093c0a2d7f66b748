from __future__ import annotations

import json
from pathlib import Path

import pytest

from blemish.demo.data import DemoDataError, copy_user_data
from blemish.domain.entities import DatasetType


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")


def test_images_are_copied_with_the_label_of_their_folder(tmp_path: Path) -> None:
    folder, bucket = tmp_path / "images", tmp_path / "bucket"
    write(folder / "normal" / "a.JPG")
    write(folder / "anomaly" / "b.png")
    progress: list[tuple[int, int]] = []

    data = copy_user_data(folder, bucket, advance=lambda *done: progress.append(done))

    lines = (bucket / data.manifests[DatasetType.TRAIN]).read_text().splitlines()
    labels = [json.loads(line)["anomaly-label-metadata"]["class-name"] for line in lines]
    assert labels == ["normal", "anomaly"]
    assert (bucket / "images/train/normal/a.JPG").read_bytes() == b"content"
    assert progress == [(1, 2), (2, 2)]
    assert data.notes == ()


def test_files_that_are_not_used_are_named_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    names = ["normal/a.jpg", "normal/._a.jpg", "normal/.DS_Store", "anomaly/Thumbs.db"]
    for name in [*names, *(f"normal/{number}.txt" for number in range(5)), "good/c.png"]:
        write(folder / name)

    data = copy_user_data(folder, tmp_path / "bucket", advance=lambda *_: None)

    assert sorted(data.notes) == [
        "1 file not used, not in a folder normal or anomaly: good/c.png",
        "3 files not used, left by a file manager: anomaly/Thumbs.db, normal/.DS_Store, "
        "normal/._a.jpg",
        "5 files not used, no images: normal/0.txt, normal/1.txt, normal/2.txt, 2 more",
    ]
    assert len(list((tmp_path / "bucket" / "images").rglob("*.jpg"))) == 1


def test_a_folder_with_files_of_file_managers_alone_has_no_images(tmp_path: Path) -> None:
    write(tmp_path / "images" / "normal" / "._a.jpg")

    with pytest.raises(DemoDataError, match="holds no images"):
        copy_user_data(tmp_path / "images", tmp_path / "bucket", advance=lambda *_: None)
