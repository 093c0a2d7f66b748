"""`blemish station sync` against a real server: images go into trials, once."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blemish.edge.components import ComponentFolder
from blemish.engine.bundle import read_bundle
from blemish.station.config import SyncConfig
from blemish.station.config_table import SecretText
from blemish.station.sync import sync as sync_module
from blemish.station.sync.plan import PlanFile
from blemish.station.sync.server_client import Endpoint, ServerClient, ServerError
from blemish.station.sync.signing import ServerKey
from blemish.station.sync.sync import Sync
from blemish.station.verdict import Verdict
from tests.acceptance.product import PROJECT, images
from tests.acceptance.served import BUCKET, ServedDirectory
from tests.asgi_client import installed_models
from tests.edge_agents import component_zip
from tests.edge_bundles import SEGMENTATION
from tests.ports import free_port
from tests.products import draw, png
from tests.unit.station.verdicts import verdict

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
KEYS = (sys.executable, "-m", "blemish.cli.main", "keys")


class SomeRecords:
    """Verdicts with stored images, as the records of a station have them."""

    def __init__(self, folder: Path) -> None:
        self.synced: list[str] = []
        self.verdicts: list[Verdict] = []
        for number, (label, data) in enumerate(images()[-4:]):
            path = folder / f"{number:04}.jpg"
            path.write_bytes(data)
            is_anomalous = label == "anomaly"
            self.verdicts.append(verdict(number, image_path=path, is_anomalous=is_anomalous))

    def unsynced(self, *, limit: int, only_uncertain: bool) -> Sequence[Verdict]:
        assert not only_uncertain
        return [entry for entry in self.verdicts if entry.id not in self.synced][:limit]

    def mark_synced(self, image_ids: Sequence[str]) -> None:
        self.synced += image_ids


class Line:
    """A station's records and what sync needs beside."""

    def __init__(self, served: ServedDirectory, folder: Path) -> None:
        self.served = served
        self.records = SomeRecords(folder)
        self.plans = PlanFile(folder)
        self.texts: list[str] = []
        self.name = f"station-{served.next_number()}"
        self.prefix = f"station/{self.name} 1/"
        self._trials = 0

    def sync(
        self, *, secret: str | None = None, sleep: Callable[[float], None] | None = None
    ) -> int:
        """Run a sync, as a process of its own would; return how many images it sent."""
        client = self.served.client()
        credentials = client._request_signer._credentials
        key = ServerKey(
            key_id=credentials.access_key, secret=SecretText(secret or credentials.secret_key)
        )
        endpoint = Endpoint(url=self.served.endpoint, region="us-east-1", key=key)
        work = Sync(
            config=SyncConfig(
                endpoint=None,
                project=PROJECT,
                model_version="latest",
                bucket=BUCKET,
                prefix=self.prefix,
                only_uncertain=False,
            ),
            records=self.records,
            plans=self.plans,
            server=ServerClient(endpoint, now=lambda: datetime.now(UTC)),
            new_trial_name=self.next_trial,
            say=self.texts.append,
            **({"sleep": sleep} if sleep else {}),
        )
        return work.run()

    def next_trial(self) -> str:
        self._trials += 1
        return f"{self.name}-{self._trials}"

    def refs(self, numbers: Sequence[int]) -> list[str]:
        """Return the addresses of images on the server."""
        return [f"s3://{BUCKET}/{self.prefix}{number:04}.jpg" for number in numbers]

    def judged(self) -> dict[str, list[dict[str, Any]]]:
        """Return the images of each trial, as a client sees them."""
        client = self.served.client(models=installed_models())
        trials = [
            trial
            for trial in client.list_trial_detections(ProjectName=PROJECT)["Trials"]
            if trial["TrialName"].startswith(f"{self.name}-")
        ]
        assert all(trial["Status"] == "SUCCEEDED" for trial in trials)
        return {
            trial["TrialName"]: client.list_trial_images(
                ProjectName=PROJECT, TrialName=trial["TrialName"]
            )["Images"]
            for trial in trials
        }


@pytest.fixture(scope="module")
def server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    """A server with a model, which the tests share: each has trials of its own."""
    folder = tmp_path_factory.mktemp("server") / "data"
    served = ServedDirectory(folder, environment={}, content=trained)
    served.start()
    yield served
    served.end(signal.SIGKILL)


@pytest.fixture
def line(server: ServedDirectory, tmp_path: Path) -> Line:
    return Line(server, tmp_path)


def test_images_go_into_a_trial_once(line: Line) -> None:
    assert line.sync() == 4
    assert line.sync() == 0

    [trial] = line.judged().values()
    assert [image["SourceRef"] for image in trial] == line.refs(range(4))
    assert all("IsAnomalous" in image for image in trial)
    sent = (line.served.bucket / line.prefix / f"{line.name}-1.verdicts.jsonl").read_text()
    assert [json.loads(text)["source-ref"] for text in sent.splitlines()] == line.refs(range(4))
    assert f"Trial {line.name}-1: " in line.texts[-1]
    assert line.plans.read() is None


def test_many_images_go_into_several_trials(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_module, "IMAGES_IN_TRIAL", 3)

    assert line.sync() == 4

    assert sorted(map(len, line.judged().values())) == [1, 3]


class Killed(BaseException):
    """Stands for a kill at this moment."""


@pytest.mark.parametrize("moment", ["put_object", "start_trial", "trial", "mark_synced"])
def test_a_sync_that_was_killed_goes_on_and_sends_nothing_twice(
    line: Line, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = SomeRecords if moment == "mark_synced" else ServerClient
    work = getattr(owner, moment)

    def work_and_die(*arguments: Any, **named: Any) -> None:
        work(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(owner, moment, work_and_die)
        with pytest.raises(Killed):
            line.sync()
    line.sync()

    [trial] = line.judged().values()
    assert [image["SourceRef"] for image in trial] == line.refs(range(4))
    assert line.records.synced[-4:] == [entry.id for entry in line.records.verdicts]


def test_a_server_that_is_away_loses_nothing(line: Line) -> None:
    line.served.end(signal.SIGKILL)

    with pytest.raises(ServerError, match=r"The server 127\.0\.0\.1:\d+ does not answer"):
        line.sync()
    line.served.start()

    assert line.sync() == 4
    assert [len(trial) for trial in line.judged().values()] == [4]


def test_an_image_that_the_records_removed_is_left_out(line: Line) -> None:
    removed = line.records.verdicts[1].image_path
    assert removed is not None
    removed.unlink()

    assert line.sync() == 3

    [trial] = line.judged().values()
    assert [image["SourceRef"] for image in trial] == line.refs([0, 2, 3])
    assert line.texts[0] == "Images that the records removed before they were sent: 1."


def test_a_server_that_refuses_is_quoted(line: Line) -> None:
    with pytest.raises(ServerError, match=r"refuses PUT .* with status 403: .*signature"):
        line.sync(secret="wrong")


CONFIG = """
directory = "{folder}/station"
[[source]]
type = "folder"
name = "line-1"
when_busy = "never-drop"
path = "{folder}/in"
[model]
component = "plates"
components = "{folder}/components"
[[sink]]
type = "json-lines"
name = "verdicts"
path = "{folder}/verdicts.jsonl"
[records]
images = ["all"]
[page]
port = {port}
[sync]
endpoint = "{endpoint}"
project = "{project}"
bucket = "{bucket}"
prefix = "station/whole/"
"""


def station_command(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "blemish.station.commands", "station", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_station_shows_its_images_and_its_command_sends_them(
    server: ServedDirectory, edge_bundles: Path, tmp_path: Path
) -> None:
    archive = component_zip(read_bundle(edge_bundles / SEGMENTATION), name="plates")
    ComponentFolder(tmp_path / "components").install(io.BytesIO(archive), autostart=None)
    images_in = tmp_path / "in"
    images_in.mkdir()
    for number in range(3):
        (images_in / f"{number}.png").write_bytes(png(draw(number, "stain").pixels))
    port = free_port()
    file = tmp_path / "station.toml"
    settings = {"endpoint": server.endpoint, "project": PROJECT, "bucket": BUCKET}
    file.write_text(CONFIG.format(folder=tmp_path, port=port, **settings))
    environment = os.environ | key_of_guide(server, tmp_path)

    running = station_command("run", "--config", str(file), environment=environment)
    try:
        lines = tmp_path / "verdicts.jsonl"
        wait_until(lambda: lines.exists() and len(lines.read_text().splitlines()) == 3)
        state = first_event(f"http://127.0.0.1:{port}/events")
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/images/{state['shown']['id']}/photo"
        ) as photo:
            assert photo.headers["Content-Type"] == "image/jpeg"
        first = station_command("sync", "--config", str(file), environment=environment)
        first_output, first_errors = first.communicate(timeout=PATIENCE_S)
        second = station_command("sync", "--config", str(file), environment=environment)
        second_output, _ = second.communicate(timeout=PATIENCE_S)
    finally:
        running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=PATIENCE_S)

    assert state["detections"] == 3
    assert first.returncode == 0, first_errors
    assert "3 images were sent." in first_output
    assert second_output == "The server has every image.\n"
    assert len(list((server.bucket / "station/whole").glob("*.png"))) == 3
    assert running.returncode == 0, log


def key_of_guide(server: ServedDirectory, folder: Path) -> dict[str, str]:
    """Create a key with the policy in the guide; return it as variables."""
    guide = (ROOT / "docs/guide/station.md").read_text()
    policy = re.findall(r"^```json\n(.*?)^```", guide, flags=re.MULTILINE | re.DOTALL)[-1]
    file = folder / "policy.json"
    file.write_text(
        policy.replace("arn:aws:s3:::factory/station/line-1/", f"arn:aws:s3:::{BUCKET}/")
    )
    created = subprocess.run(
        [*KEYS, "create", "station", "--policy", str(file), "--data-dir", str(server.folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(re.findall(r"^(aws_\w+) = (\S+)$", created.stdout, flags=re.MULTILINE))
    return {name.upper(): value for name, value in found.items()}


def first_event(url: str) -> dict[str, Any]:
    """Return the first state that the page sends."""
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as events:
        state: dict[str, Any] = json.loads(events.readline().removeprefix(b"data: "))
        return state


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
