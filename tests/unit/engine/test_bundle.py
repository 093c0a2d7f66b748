import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.engine.bundle import (
    AnomalyType,
    Bundle,
    BundleInfo,
    MeasuredScores,
    read_bundle,
    write_bundle,
)
from blemish.engine.errors import BundleError
from blemish.engine.images.sizes import ImageSize
from blemish.engine.normal_images import MeasuredRange, NormalImages
from blemish.engine.runtime import Detector

INFO = BundleInfo(
    graph_size=(192, 256),
    image_size=ImageSize(stored=(768, 576), upright=(576, 768)),
    threshold=2.5,
    background="#FFFFFF",
    anomaly_types=(AnomalyType(name="Riß, tief", color="#23A436"),),
    history={"seed": 0, "notes": ["one"]},
    decoded_at_least=(384, 512),
)
FILES = ("model.onnx", "bundle.json", "SHA256SUMS")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(Bundle(info=INFO, model=b"a graph"), tmp_path)
    return tmp_path


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Replace a file and its checksum, as someone would who edits a bundle."""
    old = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / name).write_bytes(data)
    sums = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(sums.replace(old, hashlib.sha256(data).hexdigest()))


def test_what_was_written_is_read(folder: Path) -> None:
    assert read_bundle(folder) == Bundle(info=INFO, model=b"a graph")


def test_the_look_of_normal_images_is_kept(tmp_path: Path) -> None:
    look = NormalImages(
        count=12,
        layout=np.arange(64 * 64, dtype=np.uint16).astype(np.uint8).reshape(64, 64),
        ranges={"brightness": MeasuredRange(low=0.2, middle=0.25, high=0.5)},
    )

    write_bundle(Bundle(info=replace(INFO, normal_images=look), model=b"a graph"), tmp_path)

    kept = read_bundle(tmp_path).info.normal_images
    assert kept is not None
    assert (kept.count, kept.ranges) == (12, look.ranges)
    assert (kept.layout == look.layout).all()


def test_a_bundle_of_deep_images_says_how_they_become_8_bits(tmp_path: Path) -> None:
    info = replace(INFO, sample_bits=12)

    write_bundle(Bundle(info=info, model=b"a graph"), tmp_path)

    assert read_bundle(tmp_path).info == info
    graph = json.loads((tmp_path / "bundle.json").read_text())["graph"]
    assert graph["sample_bits"] == 12
    assert "graph.sample_bits - 8" in graph["resize"]


@pytest.mark.parametrize("bits", [7, 17, "many"])
def test_a_bundle_with_an_impossible_range_is_refused(tmp_path: Path, bits: int | str) -> None:
    write_bundle(Bundle(info=replace(INFO, sample_bits=12), model=b"a graph"), tmp_path)
    document = json.loads((tmp_path / "bundle.json").read_text())
    document["graph"]["sample_bits"] = bits
    rewrite(tmp_path, "bundle.json", json.dumps(document).encode())

    with pytest.raises(BundleError, match="not as format 1"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("moved_from", [None, 7.25])
def test_a_moved_threshold_and_the_scores_of_the_test_images_are_kept(
    tmp_path: Path, moved_from: float | None
) -> None:
    scores = MeasuredScores(normal=(0.1, 2.0), anomaly=())
    info = replace(INFO, moved_from=moved_from, test_scores=scores)

    write_bundle(Bundle(info=info, model=b"a graph"), tmp_path)

    assert read_bundle(tmp_path).info == info
    document = json.loads((tmp_path / "bundle.json").read_text())
    assert (document["threshold"], document["trained_threshold"]) == (2.5, moved_from or 2.5)


def test_a_bundle_of_before_thresholds_could_be_moved_has_the_trained_one(folder: Path) -> None:
    document = json.loads((folder / "bundle.json").read_text())
    del document["trained_threshold"]
    rewrite(folder, "bundle.json", json.dumps(document).encode())

    info = read_bundle(folder).info

    assert (info.trained_threshold, info.moved_from, info.test_scores) == (2.5, None, None)


def test_a_bundle_of_before_jpegs_were_reduced_says_so_when_it_is_written_again(
    folder: Path, tmp_path: Path
) -> None:
    rule = json.loads((folder / "bundle.json").read_text())["graph"]["resize"]
    document = json.loads((folder / "bundle.json").read_text())
    del document["graph"]["decoded_at_least"]
    rewrite(folder, "bundle.json", json.dumps(document).encode())

    old = read_bundle(folder)
    write_bundle(old, tmp_path)

    assert old.info.decoded_at_least is None
    graph = json.loads((tmp_path / "bundle.json").read_text())["graph"]
    assert "decoded_at_least" not in graph
    assert "JPEG" in rule
    assert "JPEG" not in graph["resize"]


@pytest.mark.parametrize(
    ("recorded", "name"), [("waves", "scattering"), ("drawn", "drawn"), ("resnet18", "resnet18")]
)
def test_an_older_bundle_names_its_backbone_as_it_is_called_today(recorded: str, name: str) -> None:
    info = replace(INFO, history={"backbone": {"name": recorded}})

    assert info.backbone == name


def test_a_bundle_is_three_files_that_sha256sum_can_check(folder: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )

    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert checked.stdout.splitlines() == ["model.onnx: OK", "bundle.json: OK"]


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json"])
def test_a_changed_byte_is_found(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))

    with pytest.raises(BundleError, match=f"damaged: the SHA-256 checksum of {name} is"):
        read_bundle(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(BundleError, match=rf"{name} cannot be read: No such file"):
        read_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"something else\n"])
def test_checksums_that_name_no_file_are_damage(folder: Path, content: bytes) -> None:
    (folder / "SHA256SUMS").write_bytes(content)

    with pytest.raises(BundleError, match=r"SHA256SUMS lacks bundle\.json and model\.onnx"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"graph": None},
        {"graph": {}},
        {"pictures": {"stored_size": [1], "upright_size": [1, 2]}},
        {"threshold": "high"},
        {"anomaly_types": [{"name": "stain"}]},
    ],
)
def test_a_form_that_is_not_known_is_refused(folder: Path, change: dict[str, Any]) -> None:
    document = json.loads((folder / "bundle.json").read_text())
    rewrite(folder, "bundle.json", json.dumps(document | change).encode())

    with pytest.raises(BundleError, match=r"bundle\.json is not as format 1 wants it"):
        read_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{"])
def test_a_description_that_is_no_object_is_refused(folder: Path, content: bytes) -> None:
    rewrite(folder, "bundle.json", content)

    with pytest.raises(BundleError, match=r"bundle\.json is not as format 1 wants it"):
        read_bundle(folder)


def test_a_graph_that_does_not_load_is_a_bundle_error(folder: Path) -> None:
    with pytest.raises(BundleError, match="cannot be loaded: ONNX Runtime says"):
        Detector.load(read_bundle(folder), threads=1)
