from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from blemish.engine.backbones.catalogue import CATALOGUE, known_by_checksum
from blemish.engine.errors import BackboneError
from blemish.service.training import backbones as training_backbones
from blemish.service.training.backbones import BackboneInfo, Backbones, ProjectBackbones
from tests.unit.storage.shared_folders import shared_folders

MODEL = b"a network"
INFO = BackboneInfo(
    name="mine",
    architecture="onnx",
    licence="ours",
    source="/elsewhere/mine.onnx",
    source_sha256="0" * 64,
    sha256=hashlib.sha256(MODEL).hexdigest(),
    size_bytes=len(MODEL),
)


@pytest.fixture
def backbones(tmp_path: Path) -> Backbones:
    backbones = Backbones(tmp_path / "backbones")
    backbones.add(INFO, MODEL)
    return backbones


def test_what_was_added_is_found_under_its_name(backbones: Backbones) -> None:
    assert backbones.names() == ["mine"]
    assert backbones.info("mine") == INFO
    assert backbones.file("mine").name == "mine.onnx"
    assert backbones.file("mine").read_bytes() == MODEL
    assert list(backbones.partial.iterdir()) == []


def test_a_shared_backbone_is_found_by_every_server(tmp_path: Path) -> None:
    first, second = (
        Backbones(tmp_path / name, shared=shared_folders(tmp_path, name, kind="backbones"))
        for name in ("first", "second")
    )

    first.add(INFO, MODEL)

    assert second.names() == ["mine"]
    assert second.info("mine") == INFO
    assert second.file("mine").read_bytes() == MODEL
    with pytest.raises(BackboneError, match="There is no backbone another"):
        second.file("another")


def test_a_folder_that_is_not_there_has_no_backbones(tmp_path: Path) -> None:
    assert Backbones(tmp_path / "gone").names() == []


def test_one_that_is_whole_is_not_replaced(backbones: Backbones) -> None:
    with pytest.raises(BackboneError, match="There is a backbone mine already"):
        backbones.add(INFO, MODEL)


def test_one_that_is_damaged_is_named_and_replaced(backbones: Backbones) -> None:
    backbones.file("mine").write_bytes(b"a netwerk")

    with pytest.raises(BackboneError, match=r"mine\.onnx is damaged: its SHA-256 is"):
        backbones.file("mine")
    backbones.add(INFO, MODEL)

    assert backbones.file("mine").read_bytes() == MODEL


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"name": "mine", "colour": "red"}'])
def test_one_of_which_nothing_is_known_is_damaged(backbones: Backbones, text: str) -> None:
    backbones.file("mine").with_name("backbone.json").write_text(text)

    with pytest.raises(BackboneError, match=r"backbone\.json cannot be read"):
        backbones.file("mine")


@pytest.mark.parametrize(
    "name",
    ["", ".partial", "../mine", "a/b", "net.onnx", "built-in", "joined", "fast", "waves", "drawn"],
)
def test_a_name_that_could_be_something_else_is_refused(backbones: Backbones, name: str) -> None:
    with pytest.raises(BackboneError, match="is no name for a backbone"):
        backbones.add(replace(INFO, name=name), MODEL)


def test_a_project_has_its_own_backbone_or_the_one_for_all(
    backbones: Backbones, tmp_path: Path
) -> None:
    path = tmp_path / "other.onnx"
    path.touch()
    chosen = ProjectBackbones(
        backbones, default="mine", by_project={"plates": str(path), "cookies": "built-in"}
    )

    chosen.check()

    assert chosen.source("castings") == backbones.file("mine")
    assert chosen.source("plates") == path
    assert chosen.source("cookies") is None
    assert ProjectBackbones(backbones, default=None, by_project={}).source("plates") is None


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("scattering", "scattering"),
        ("waves", "scattering"),
        ("fast", "efficientnet_lite0"),
        ("joined", "joined"),
    ],
)
def test_a_packaged_backbone_is_selected_by_each_of_its_names(
    backbones: Backbones, name: str, source: str
) -> None:
    by_settings = ProjectBackbones(backbones, default="mine", by_project={"plates": name})

    by_settings.check()

    assert by_settings.source("plates") == source


def test_without_its_weights_a_backbone_is_an_error_unless_it_is_the_default(
    backbones: Backbones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_backbones, "weights_file", lambda: None)
    named = ProjectBackbones(backbones, default="fast", by_project={})
    unnamed = ProjectBackbones(backbones, default=None, by_project={"plates": "scattering"})

    unnamed.check()

    assert unnamed.without_weights
    assert not ProjectBackbones(backbones, default="mine", by_project={}).without_weights
    with pytest.raises(BackboneError, match=r"^BLEMISH_BACKBONE=fast: The backbone fast needs"):
        named.check()


def test_a_removed_backbone_is_an_error_that_says_what_to_set(backbones: Backbones) -> None:
    by_settings = ProjectBackbones(backbones, default="drawn", by_project={})

    with pytest.raises(
        BackboneError,
        match=r"^BLEMISH_BACKBONE=drawn: The backbone drawn is no longer part .* Set built-in, or",
    ):
        by_settings.check()


@pytest.mark.parametrize(
    ("default", "project", "reason"),
    [
        ("resnet18", "mine", r"^BLEMISH_BACKBONE=resnet18: There is no backbone resnet18 in .*; "
         r"there is mine\. `blemish backbone pull resnet18` fetches it\.$"),
        ("mine", "resnet19", r"^BLEMISH_PROJECT_BACKBONES, plates=resnet19: There is no .* known "
         r"are resnet18, resnet34"),
        ("/gone/net.onnx", "mine", "^BLEMISH_BACKBONE=/gone/net.onnx: There is no file /gone/net"),
        ("net.onnx", "mine", "^BLEMISH_BACKBONE=net.onnx: There is no file /.*/net.onnx"),
    ],
)  # fmt: skip
def test_one_that_is_not_there_is_named_with_its_setting(
    backbones: Backbones, default: str, project: str, reason: str
) -> None:
    chosen = ProjectBackbones(backbones, default=default, by_project={"plates": project})

    with pytest.raises(BackboneError, match=reason):
        chosen.check()


@pytest.mark.parametrize("known", CATALOGUE.values(), ids=lambda known: known.name)
def test_what_can_be_fetched_is_fixed_by_a_commit_or_a_checksum(known: object) -> None:
    entry = CATALOGUE[known.name]  # type: ignore[attr-defined]

    assert re.fullmatch(r"[0-9a-f]{40}", entry.revision) or entry.sha256
    if entry.sha256:
        assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        assert known_by_checksum(entry.sha256) is entry
