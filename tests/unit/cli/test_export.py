from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from blemish.cli.main import app
from blemish.domain.entities import Model
from blemish.engine.bundle import read_bundle
from tests.unit.house import PROJECT, House
from tests.unit.service.models.test_bundles import BUNDLE


@pytest.fixture
def model(house: House) -> Model:
    house.project()
    house.images(normal=15)
    model = house.trained()
    assert model.bundle is not None
    house.bundles.remove(model.bundle)
    house.bundles.add(model.bundle, BUNDLE, kms_key_id=None)
    return model


def export(house: House, to: Path, *, project: str = PROJECT, version: str = "1") -> Result:
    command = ["export", project, version, "--to", str(to)]
    return CliRunner().invoke(app, [*command, "--data-dir", str(house.directory.root)])


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("version", ["1", "latest"])
def test_a_sealed_bundle_is_written_in_plain(house: House, tmp_path: Path, version: str) -> None:
    to = tmp_path / "new" / "plates-1"

    done = export(house, to, version=version)

    assert (done.exit_code, done.stdout) == (0, f"Wrote {to}\n")
    assert read_bundle(to) == BUNDLE
    assert [path.name for path in to.parent.iterdir()] == ["plates-1"]


@pytest.mark.usefixtures("model")
def test_a_folder_that_is_there_is_left_alone(house: House, tmp_path: Path) -> None:
    refused = export(house, tmp_path)

    assert refused.exit_code == 2
    assert f"{tmp_path} exists already" in refused.stderr


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("project", "version", "reason"),
    [
        (PROJECT, "2", "has no model version 2"),
        (PROJECT, "first", "'first' is no version"),
        ("plates", "1", "plates"),
    ],
)
def test_a_model_that_is_not_there_is_named(
    house: House, tmp_path: Path, project: str, version: str, reason: str
) -> None:
    refused = export(house, tmp_path / "to", project=project, version=version)

    assert refused.exit_code == 2
    assert reason in refused.stderr
    assert not (tmp_path / "to").exists()


def test_a_model_without_a_bundle_is_told_by_its_status(house: House, tmp_path: Path) -> None:
    house.project()
    house.images(normal=15)
    house.model()

    refused = export(house, tmp_path / "to")

    assert refused.exit_code == 2
    assert "is TRAINING" in refused.stderr


@pytest.mark.usefixtures("model")
def test_without_its_key_nothing_is_written(house: House, tmp_path: Path) -> None:
    for path in house.directory.keyring.iterdir():
        path.unlink()

    refused = export(house, tmp_path / "to")

    assert refused.exit_code == 2
    assert "is missing from the keyring" in refused.stderr
    assert list(tmp_path.glob("*to*")) == []


def test_a_folder_that_no_server_was_started_on_is_named(tmp_path: Path) -> None:
    command = ["export", "plates", "1", "--to", str(tmp_path / "to")]

    refused = CliRunner().invoke(app, [*command, "--data-dir", str(tmp_path)])

    assert refused.exit_code == 2
    assert f"There is no database {tmp_path / 'blemish.db'}." in refused.stderr
