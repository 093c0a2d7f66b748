"""`blemish backbone`: fetched from a hub on loopback, imported from files, and trained with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blemish.engine.backbones.catalogue import CATALOGUE
from tests.acceptance.hub import HubState, running_hub
from tests.acceptance.product import PROJECT, make_dataset, start_training
from tests.acceptance.served import ServedDirectory, model_status, wait_for
from tests.products import write_backbone
from tests.state_dicts import (
    mobilenetv4_weights,
    resnet_weights,
    write_checkpoint,
    write_safetensors,
)

pytestmark = pytest.mark.acceptance

NAME = "mobilenetv4_conv_small"
KNOWN = CATALOGUE[NAME]
PATH = f"/{KNOWN.repository}/resolve/{KNOWN.revision}/{KNOWN.file}"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubState]:
    data = write_safetensors(tmp_path / "weights.safetensors", mobilenetv4_weights()).read_bytes()
    with running_hub(HubState(data=data, path=PATH)) as state:
        yield state


def blemish(
    *arguments: str | Path, folder: Path, hub: HubState | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command over DIR/data, without the proxies of this machine."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith("BLEMISH_")
    }
    if hub:
        inherited["BLEMISH_HUB_ENDPOINT"] = hub.endpoint
    return subprocess.run(
        [sys.executable, "-m", "blemish.cli.main", "backbone", *map(str, arguments)],
        env=inherited | {"BLEMISH_DATA_DIR": str(folder / "data")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def here(folder: Path) -> list[str]:
    """Return what lies in the folder of backbones."""
    root = folder / "data" / "backbones"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


WHOLE = [f"{NAME}/backbone.json", f"{NAME}/{NAME}.onnx"]


def test_a_backbone_is_fetched_by_its_name(hub: HubState, tmp_path: Path) -> None:
    hub.renamed = {PATH: "/timm/renamed/model.safetensors"}
    hub.path = "/timm/renamed/model.safetensors"

    done = blemish("pull", NAME, folder=tmp_path, hub=hub)

    assert done.returncode == 0, done.stderr
    assert f"Added {NAME} (mobilenetv4_conv, Apache-2.0, " in done.stdout
    assert here(tmp_path) == WHOLE
    info = json.loads((tmp_path / "data" / "backbones" / NAME / "backbone.json").read_text())
    assert info["source"] == f"{hub.endpoint}{PATH}"
    listed = blemish("list", folder=tmp_path).stdout.splitlines()
    assert any(NAME in line and "Apache-2.0" in line and "here" in line for line in listed)
    assert any("scattering" in line and "Apache-2.0" in line and "30" in line for line in listed)
    assert any("resnet18" in line and "BSD" in line and "fetched" in line for line in listed)
    again = blemish("pull", NAME, folder=tmp_path, hub=hub)
    assert again.returncode == 2
    assert f"There is a backbone {NAME} already" in again.stderr


@pytest.mark.parametrize("ranges", [True, False])
def test_a_fetch_that_was_cut_off_goes_on(hub: HubState, tmp_path: Path, *, ranges: bool) -> None:
    half = len(hub.data) // 2
    hub.ends_after = half
    cut_off = blemish("pull", NAME, folder=tmp_path, hub=hub)
    left = here(tmp_path)
    hub.ends_after, hub.ranges = None, ranges

    done = blemish("pull", NAME, folder=tmp_path, hub=hub)

    assert cut_off.returncode == 2
    assert f"The connection ended after {half:,} of {len(hub.data):,} bytes" in cut_off.stderr
    assert len(left) == 1
    assert left[0].startswith(".partial/")
    assert done.returncode == 0, done.stderr
    assert here(tmp_path) == WHOLE
    assert hub.asked[-1][2] == f"bytes={half}-"


def test_what_is_damaged_on_its_way_is_deleted(hub: HubState, tmp_path: Path) -> None:
    hub.sends = bytes(len(hub.data))

    refused = blemish("pull", NAME, folder=tmp_path, hub=hub)

    assert refused.returncode == 2
    assert "it must be" in refused.stderr
    assert here(tmp_path) == []


def test_another_file_than_the_known_one_is_not_even_fetched(hub: HubState, tmp_path: Path) -> None:
    known = CATALOGUE["resnet18"]
    hub.path = f"/{known.repository}/resolve/{known.revision}/{known.file}"

    refused = blemish("pull", "resnet18", folder=tmp_path, hub=hub)

    assert refused.returncode == 2
    assert f"it must be {known.sha256}. Nothing was fetched." in refused.stderr
    assert {asked[0] for asked in hub.asked} == {"HEAD"}


def test_what_is_not_there_is_named(hub: HubState, tmp_path: Path) -> None:
    hub.path = "/elsewhere"

    missing = blemish("pull", NAME, folder=tmp_path, hub=hub)
    unknown = blemish("pull", "resnet19", folder=tmp_path, hub=hub)
    nobody = blemish("pull", NAME, folder=tmp_path, BLEMISH_HUB_ENDPOINT="http://127.0.0.1:1")

    assert f"{PATH}: the hub answers 404, it is not there." in missing.stderr
    assert "'resnet19' is no backbone that can be fetched; those are resnet18," in unknown.stderr
    assert "127.0.0.1:1 cannot be reached" in nobody.stderr
    assert {missing.returncode, unknown.returncode, nobody.returncode} == {2}
    assert "Traceback" not in missing.stderr + unknown.stderr + nobody.stderr


def test_a_proxy_is_asked_where_one_is_named(hub: HubState, tmp_path: Path) -> None:
    def pull(folder: Path, no_proxy: str) -> subprocess.CompletedProcess[str]:
        return blemish(
            "pull",
            NAME,
            folder=folder,
            BLEMISH_HUB_ENDPOINT="http://hub.invalid",
            http_proxy=hub.endpoint,
            no_proxy=no_proxy,
        )

    done = pull(tmp_path, "localhost")
    around = pull(tmp_path / "2", "hub.invalid")

    assert done.returncode == 0, done.stderr
    assert hub.asked[0][:2] == ("HEAD", f"http://hub.invalid{PATH}")
    assert "hub.invalid cannot be reached" in around.stderr


def test_an_imported_backbone_is_what_its_project_is_trained_with(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "small.pth", resnet_weights(bottleneck=False))
    plain = write_backbone(tmp_path / "plain.onnx")
    for arguments in (
        (checkpoint, "--name", "small-resnet", "--licence", "ours"),
        (plain,),
    ):
        imported = blemish("import", *arguments, folder=tmp_path)
        assert imported.returncode == 0, imported.stderr
    settings = {
        "BLEMISH_BACKBONE": "plain",
        "BLEMISH_PROJECT_BACKBONES": json.dumps({PROJECT: "small-resnet"}),
    }
    served = ServedDirectory(tmp_path / "data", environment=settings)
    served.start()
    try:
        client = served.client()
        make_dataset(served, client)
        version = start_training(client)
        wait_for(model_status(client, PROJECT, version), {"TRAINED"}, while_in={"TRAINING"})
    finally:
        served.end()
    exported = subprocess.run(
        [sys.executable, "-m", "blemish.cli.main", "export", PROJECT, version, "--to",
         tmp_path / "bundle", "--data-dir", served.folder],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert exported.returncode == 0, exported.stderr
    document = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    info = json.loads((served.folder / "backbones/small-resnet/backbone.json").read_text())
    assert document["history"]["backbone"] == {"name": "small-resnet", "sha256": info["sha256"]}
    assert (info["architecture"], info["licence"]) == ("resnet", "ours")


def test_a_server_does_not_start_on_a_backbone_that_is_not_there_or_is_damaged(
    tmp_path: Path,
) -> None:
    blemish("import", write_backbone(tmp_path / "plain.onnx"), folder=tmp_path)
    network = tmp_path / "data" / "backbones" / "plain" / "plain.onnx"
    network.write_bytes(network.read_bytes()[:-1])

    for value, reason in (
        ("resnet18", "`blemish backbone pull resnet18` fetches it."),
        ("plain", "plain.onnx is damaged"),
        ("gone.onnx", "There is no file"),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "blemish.cli.main", "serve", "--port", "0"],
            env=os.environ
            | {"BLEMISH_BACKBONE": value, "BLEMISH_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 2, ended.stderr
        assert f"blemish: BLEMISH_BACKBONE={value}: " in ended.stderr
        assert reason in ended.stderr


def test_a_file_that_is_no_backbone_is_refused(tmp_path: Path) -> None:
    for name in ("net.onnx", "net.pth", "net.safetensors"):
        path = tmp_path / name
        path.write_bytes(b"no network")

        refused = blemish("import", path, folder=tmp_path)

        assert refused.returncode == 2
        assert str(path) in refused.stderr
        assert "Traceback" not in refused.stderr
    assert here(tmp_path) == []
