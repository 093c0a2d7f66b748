from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.loaders import Loader
from botocore.regions import EndpointResolver
from botocore.utils import deep_merge
from typer.testing import CliRunner

from blemish.cli.main import app
from blemish.cli.sdk_model import install_model


def loaded(folder: Path, kind: str) -> Any:
    """Return what botocore finds when it looks into one folder alone."""
    loader = Loader(extra_search_paths=[str(folder)], include_default_search_paths=False)
    assert loader.list_available_services("service-2") == ["lookoutvision"]
    return loader.load_service_model("lookoutvision", kind)


def shipped(kind: str) -> Any:
    return json.loads((files("blemish.api") / f"{kind}.json").read_text())


def test_botocore_merges_what_is_ours_into_the_model(tmp_path: Path) -> None:
    model = shipped("service-2")
    deep_merge(model, shipped("service-2.sdk-extras")["merge"])

    install_model(tmp_path)

    assert loaded(tmp_path, "service-2") == model


@pytest.mark.parametrize("kind", ["service-2.sdk-extras", "paginators-1", "endpoint-rule-set-1"])
def test_botocore_finds_what_was_installed(tmp_path: Path, kind: str) -> None:
    ours = shipped(kind)

    install_model(tmp_path / "new" / "models")

    found = loaded(tmp_path / "new" / "models", kind)
    assert {name: found[name] for name in ours} == ours


def test_an_older_model_is_replaced_and_others_are_left(tmp_path: Path) -> None:
    other = tmp_path / "custom" / "2020-01-01" / "service-2.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    older = install_model(tmp_path) / "service-2.json"
    current = older.read_bytes()
    older.write_text("{}")

    install_model(tmp_path)

    assert older.read_bytes() == current
    assert other.read_text() == "{}"


def test_the_command_names_the_folder_to_look_in(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["sdk-model", "install", "--to", str(tmp_path)])

    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        f"Installed {tmp_path}/lookoutvision/2020-11-20",
        f"export AWS_DATA_PATH={tmp_path}",
    ]


def test_without_a_folder_it_goes_where_botocore_looks_anyway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    told = CliRunner().invoke(app, ["sdk-model", "install"])

    assert told.stdout == f"Installed {tmp_path}/.aws/models/lookoutvision/2020-11-20\n"
    assert loaded(tmp_path / ".aws" / "models", "service-2")["metadata"]["serviceId"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    told = CliRunner().invoke(app, ["sdk-model", "install", "--to", str(tmp_path / "file")])

    assert told.exit_code == 2
    assert told.stderr.startswith(f"blemish: {tmp_path / 'file'}")
    assert "Traceback" not in told.output


def test_a_boto3_that_reads_no_endpoint_rules_looks_for_no_host_of_amazon(tmp_path: Path) -> None:
    install_model(tmp_path)
    prefix = loaded(tmp_path, "service-2")["metadata"]["endpointPrefix"]
    resolver = EndpointResolver(Loader().load_data("endpoints"))

    # as botocore before 1.28 makes an address of what it knows
    endpoint = resolver.construct_endpoint(prefix, "eu-west-1")

    assert urlsplit(f"https://{endpoint['hostname']}/").hostname == (
        "boto3-before-1-28-needs-endpoint-url.invalid"
    )
