from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from blemish.engine.bundle import parse_bundle
from blemish.runners.child_process import HEARTBEAT_S, Message
from blemish.runners.cluster.node_training import (
    backbone_file,
    node_document,
    train_on_node,
    unreachable_folder,
)
from tests.products import write_backbone
from tests.unit.runners.test_training_process import Workplace
from tests.unit.storage.sealing import new_encryption, new_keyring


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    (tmp_path / "staging").mkdir()
    backbone = write_backbone(tmp_path / "tiny.onnx")
    return Workplace(tmp_path, backbone, new_encryption(new_keyring(tmp_path)))


def ended(place: Workplace, lines: tuple[str, ...]) -> list[Message]:
    """Train as a node does, in this process; return its messages."""
    job = place.job([])
    return list(train_on_node(node_document(job), lines, backbone_file(job)))


def frozen(entries: list[str]) -> tuple[str, ...]:
    """Return the lines of frozen entries, as the driver opens them."""
    return tuple(json.dumps({"dataset": "train", "entry": entry}) for entry in entries)


def test_a_node_gets_neither_keys_nor_paths_of_the_server(place: Workplace) -> None:
    job = place.job([])

    document = node_document(job)

    assert document["encryption_connection"] == {}
    assert str(place.folder / "entries.jsonl") not in str(document)
    assert document["backbone"] is None
    assert backbone_file(job) == place.backbone.read_bytes()
    assert backbone_file(replace(job, backbone="joined")) == "joined"


def test_a_node_returns_progress_and_last_the_bundle_and_the_files(place: Workplace) -> None:
    entries = place.images(15) + place.images(4, "stain", first=100)

    began = time.monotonic()
    *progress, last = ended(place, frozen(entries))
    beats = (time.monotonic() - began) / HEARTBEAT_S

    assert 1 <= len(progress) <= beats + 1
    assert all(message.keys() == {"progress"} for message in progress)
    files, bundle = last["files"], last["bundle"]
    assert files.keys() == last["trained"]["files"].keys()
    assert b"anomaly-label-detected" in files["manifest"]
    assert parse_bundle(lambda name: bundle[name], name="7-1").info.test_scores
    assert list(place.attempt.iterdir()) == []


def test_what_is_wrong_with_the_images_comes_back_as_the_reason(place: Workplace) -> None:
    (last,) = [
        message for message in ended(place, frozen(place.images(1))) if "progress" not in message
    ]

    assert "at least 2 are needed" in last["failed"]


def test_a_node_that_does_not_see_the_buckets_says_what_to_do() -> None:
    reason = unreachable_folder({"folder": "/no/such/folder"})

    assert reason is not None
    assert "/no/such/folder" in reason
    assert "BLEMISH_S3_ENDPOINT" in reason
    assert unreachable_folder({"endpoint": "http://127.0.0.1:9000"}) is None


def test_a_driver_loads_nothing_that_trains() -> None:
    program = f"import sys, {train_on_node.__module__}; print({{'numpy'}} & set(sys.modules))"

    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "set()"
