from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from blemish.edge import components
from blemish.edge.components import ComponentFolder, verify_component
from blemish.edge.errors import EdgeError
from blemish.engine.bundle import Bundle, BundleInfo, read_bundle
from blemish.engine.errors import BundleError
from blemish.engine.images.sizes import ImageSize
from tests.edge_agents import ARN, component_zip

BUNDLE = Bundle(
    info=BundleInfo(
        graph_size=(192, 256),
        image_size=ImageSize(stored=(768, 576), upright=(768, 576)),
        threshold=2.5,
        background="#FFFFFF",
        anomaly_types=(),
        history={},
    ),
    model=b"a graph",
)


@pytest.fixture
def folder(tmp_path: Path) -> ComponentFolder:
    return ComponentFolder(tmp_path / "components")


def install(
    folder: ComponentFolder,
    *,
    autostart: bool | None = None,
    name: str = "plates",
    version: str = "1.0.0",
) -> None:
    archive = component_zip(BUNDLE, name=name, version=version)
    folder.install(io.BytesIO(archive), autostart=autostart)


def test_an_installed_component_is_a_bundle_with_what_its_manifest_says(
    folder: ComponentFolder,
) -> None:
    install(folder, version="2.0.1")

    component = folder.require("plates")
    assert (component.name, component.version, component.autostart) == ("plates", "2.0.1", False)
    assert component.info is not None
    assert component.info.model_arn == ARN
    assert read_bundle(component.folder) == BUNDLE
    verify_component(component)


def test_a_folder_that_is_not_there_has_no_components(folder: ComponentFolder) -> None:
    assert folder.components() == {}


@pytest.mark.parametrize(("setting", "expected"), [(None, True), (False, False)])
def test_a_new_version_replaces_the_old_and_keeps_autostart_unless_it_is_set(
    folder: ComponentFolder, setting: bool | None, expected: bool
) -> None:
    install(folder, autostart=True)
    old = folder.require("plates")

    install(folder, version="1.0.1", autostart=setting)

    component = folder.require("plates")
    assert (component.version, component.autostart) == ("1.0.1", expected)
    assert component != old
    assert not old.folder.exists()


def test_the_same_version_can_be_installed_again(folder: ComponentFolder) -> None:
    install(folder)

    install(folder)

    assert list(folder.components()) == ["plates"]


def test_another_process_sees_what_was_installed_and_removed(
    folder: ComponentFolder, tmp_path: Path
) -> None:
    other = ComponentFolder(tmp_path / "components")
    install(folder)
    install(folder, name="bolts")
    assert list(other.components()) == ["bolts", "plates"]

    folder.remove("plates")

    assert list(other.components()) == ["bolts"]
    with pytest.raises(EdgeError, match="No component plates is installed"):
        other.remove("plates")


@pytest.mark.parametrize("name", ["../up", ".", "..", ".hidden", "a/b", "", "a b"])
def test_a_name_that_no_folder_can_have_is_refused(
    folder: ComponentFolder, tmp_path: Path, name: str
) -> None:
    with pytest.raises(EdgeError, match="has the name"):
        install(folder, name=name)

    assert not (tmp_path / "components").exists()


def rewritten(archive: bytes, **changes: bytes | None) -> bytes:
    """Return a zip with other files; None leaves one out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data = changes.get(name.replace(".", "_"), old.read(name))
            if data is not None:
                new.writestr(name, data)
    return buffer.getvalue()


def torn(archive: bytes) -> bytes:
    """Return a zip whose first file does not begin as compressed data does."""
    start = 30 + len("model.onnx")
    return archive[:start] + b"\xff" * 8 + archive[start + 8 :]


def compressed(archive: bytes, method: int) -> bytes:
    """Return a zip of the same files, compressed in another way."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"no zip", "cannot be unpacked"),
        (component_zip(BUNDLE, name="plates")[:-30], "cannot be unpacked"),
        (rewritten(component_zip(BUNDLE, name="plates"), model_onnx=None), "is no component"),
        (rewritten(component_zip(BUNDLE, name="plates"), model_onnx=b"x"), "is damaged"),
        (rewritten(component_zip(BUNDLE, name="plates"), SHA256SUMS=b""), "is damaged"),
        (torn(component_zip(BUNDLE, name="plates")), "cannot be unpacked"),
        (compressed(component_zip(BUNDLE, name="plates"), zipfile.ZIP_LZMA), "by deflate"),
        (component_zip(BUNDLE, name="plates", version="1.0"), "not three numbers"),
    ],
)
def test_what_is_no_component_is_not_installed(
    folder: ComponentFolder, archive: bytes, reason: str
) -> None:
    with pytest.raises(EdgeError, match=reason):
        folder.install(io.BytesIO(archive), autostart=None)

    assert folder.components() == {}


def test_a_damaged_file_is_named(folder: ComponentFolder) -> None:
    install(folder)
    component = folder.require("plates")
    (component.folder / "model.onnx").write_bytes(b"damaged")

    with pytest.raises(BundleError, match=r"checksum of model\.onnx"):
        verify_component(component)


def test_a_component_whose_files_would_fill_the_memory_is_refused(
    folder: ComponentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components, "MOST_BYTES", 1_000)

    with pytest.raises(EdgeError, match="1,000 are allowed"):
        install(folder)

    assert folder.components() == {}


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (json.dumps({"blemish": {"format": 99}}), "format 99 is unknown"),
        ("[" * 100_000, "Recursion"),
    ],
)
def test_a_component_whose_manifest_cannot_be_read_says_why(
    folder: ComponentFolder, manifest: str, reason: str
) -> None:
    install(folder)
    path = folder.require("plates").folder / "manifest.json"
    path.write_text(manifest)

    component = ComponentFolder(path.parents[2]).require("plates")

    assert component.info is None
    assert component.problem is not None
    assert reason in component.problem
