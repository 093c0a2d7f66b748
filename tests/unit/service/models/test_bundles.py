from __future__ import annotations

from pathlib import Path

import pytest

from blemish.engine.bundle import Bundle, BundleInfo, write_bundle
from blemish.engine.errors import BundleError
from blemish.engine.images.sizes import ImageSize
from blemish.service.models.bundles import Bundles
from blemish.storage.errors import KeyUnavailableError, SealBrokenError
from tests.unit.house import House
from tests.unit.storage.sealing import key

BUNDLE = Bundle(
    info=BundleInfo(
        graph_size=(192, 256),
        image_size=ImageSize(stored=(768, 576), upright=(768, 576)),
        threshold=2.5,
        background="#FFFFFF",
        anomaly_types=(),
        history={},
    ),
    model=b"a graph" * 20_000,
)


@pytest.fixture
def bundles(house: House) -> Bundles:
    return house.bundles


def folder(house: House, name: str) -> Path:
    return house.directory.bundles / name


def test_a_bundle_that_was_kept_is_read(house: House, bundles: Bundles) -> None:
    bundles.add("7-1", BUNDLE, kms_key_id=None)

    assert bundles.read("7-1") == BUNDLE
    assert list(house.directory.staging.iterdir()) == []


@pytest.mark.parametrize("sealed", [True, False])
def test_what_a_bundle_says_of_itself_is_read_without_its_graph(
    house: House, bundles: Bundles, sealed: bool
) -> None:
    if sealed:
        bundles.add("7-1", BUNDLE, kms_key_id=None)
    else:
        folder(house, "7-1").mkdir()
        write_bundle(BUNDLE, folder(house, "7-1"))
    for graph in folder(house, "7-1").glob("model.onnx*"):
        graph.unlink()

    assert bundles.info("7-1") == BUNDLE.info


def test_no_file_of_a_kept_bundle_can_be_read(house: House, bundles: Bundles) -> None:
    bundles.add("7-1", BUNDLE, kms_key_id=None)

    files = [path.read_bytes() for path in folder(house, "7-1").iterdir()]

    assert len(files) == 3
    assert [data for data in files if b"a graph" in data or b"threshold" in data] == []


def test_a_bundle_of_an_older_version_is_read_as_it_is(house: House, bundles: Bundles) -> None:
    folder(house, "7-1").mkdir()
    write_bundle(BUNDLE, folder(house, "7-1"))

    assert bundles.read("7-1") == BUNDLE


def test_a_bundle_is_sealed_under_the_key_that_was_named(house: House, bundles: Bundles) -> None:
    line_4 = key(2, alias="line-4")
    house.keyring.add(line_4)
    bundles.add("7-1", BUNDLE, kms_key_id="alias/line-4")

    house.keyring.set_enabled(line_4, enabled=False)

    with pytest.raises(KeyUnavailableError, match="line-4"):
        bundles.read("7-1")
    house.keyring.set_enabled(line_4, enabled=True)
    assert bundles.read("7-1") == BUNDLE


def test_one_models_bundle_cannot_stand_for_anothers(house: House, bundles: Bundles) -> None:
    bundles.add("7-1", BUNDLE, kms_key_id=None)

    folder(house, "7-1").rename(folder(house, "8-1"))

    with pytest.raises(SealBrokenError, match=r"was sealed as .*name 7-1"):
        bundles.read("8-1")


def test_one_file_of_a_bundle_cannot_stand_for_another(house: House, bundles: Bundles) -> None:
    bundles.add("7-1", BUNDLE, kms_key_id=None)
    files = folder(house, "7-1")

    (files / "bundle.json.sealed").rename(files / "model.onnx.sealed")

    with pytest.raises(SealBrokenError, match=r"was sealed as file bundle\.json"):
        bundles.read("7-1")


@pytest.mark.parametrize("file", ["model.onnx", "bundle.json", "SHA256SUMS"])
def test_a_missing_file_is_named(house: House, bundles: Bundles, file: str) -> None:
    bundles.add("7-1", BUNDLE, kms_key_id=None)

    (folder(house, "7-1") / f"{file}.sealed").unlink()

    with pytest.raises(BundleError, match=rf"{file}\.sealed cannot be read: No such file"):
        bundles.read("7-1")


def test_a_bundle_that_cannot_be_sealed_leaves_nothing(house: House, bundles: Bundles) -> None:
    with pytest.raises(KeyUnavailableError):
        bundles.add("7-1", BUNDLE, kms_key_id="alias/unknown")

    assert list(house.directory.bundles.iterdir()) == []
    assert list(house.directory.staging.iterdir()) == []
