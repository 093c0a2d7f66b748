"""A station process that is killed again and again, while its sinks come and go.

Half of the images are renamed into the folder, the other half is written there slowly. Verdicts go
to a file and to a web server that is away for a third of the time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from blemish.edge.components import ComponentFolder
from blemish.station.config import ImageRule, RecordsConfig
from blemish.station.records import Records
from tests.products import draw, png

COMMAND = (sys.executable, "-m", "blemish.station.commands", "station", "run", "--config")
COMPONENT = "plates"
PATIENCE_S = 90.0
MOST_PER_IMAGE_S = 0.3
"""A slow disk syncs seven times for an image."""

DISTINCT = 20
"""Images that are drawn; each is used several times, under other names."""

BUDGET_BYTES = 1_000_000
RULES = RecordsConfig(
    images=frozenset({ImageRule.NONE}),
    uncertain_band=0.1,
    share_of_rest=0.0,
    image_budget_bytes=BUDGET_BYTES,
    most_verdicts=10**9,
)


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What came out: ids by image name, of all that the sinks got."""

    records: dict[str, set[str]]
    file: dict[str, set[str]]
    server: dict[str, set[str]]
    kills: int
    #: deliveries, repeated ones among them
    file_deliveries: int
    server_deliveries: int
    #: of the stored images and what belongs to them
    stored_bytes: int
    #: whether the folder of stored images has what the records name, and nothing else
    is_folder_right: bool
    duration_s: float


class VerdictServer:
    """A web server that takes verdicts, and goes away for a while."""

    def __init__(self) -> None:
        self.verdicts: list[dict[str, Any]] = []
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        verdicts = self.verdicts

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                verdicts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@dataclass(kw_only=True)
class StationProcess:
    """A station over a folder of a test."""

    folder: Path
    config: str
    process: subprocess.Popen[bytes] | None = None
    logs: int = field(default=0)

    @property
    def log(self) -> Path:
        return self.folder / f"station-{self.logs}.log"

    def start(self) -> None:
        """Start the station; `wait_until_it_runs` says when it judges."""
        self.logs += 1
        file = self.folder / "station.toml"
        file.write_text(self.config)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*COMMAND, str(file)], stdout=output, stderr=subprocess.STDOUT
            )

    def wait_until_it_runs(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while "The station runs" not in self.log.read_text():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the station by a signal; return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@dataclass(frozen=True, kw_only=True)
class StationTrial:
    """Images at a rate, and kills at moments that a seed draws."""

    folder: Path
    archive: Path
    images: int
    rate_per_s: float
    kills: int
    seed: int = 0

    def run(self) -> TrialResult:
        """Write the images, kill and start the station, and wait until the sinks have it all."""
        start_s = time.monotonic()
        generator = random.Random(self.seed)
        server = VerdictServer()
        server.start()
        station = StationProcess(folder=self.folder, config=self._prepare(server.port))
        station.start()
        feeding = threading.Thread(target=self._feed, daemon=True)
        feeding.start()
        absence = threading.Thread(target=self._come_and_go, args=(server, feeding), daemon=True)
        absence.start()
        try:
            self._kill(station, generator)
            feeding.join(PATIENCE_S)
            absence.join(PATIENCE_S)
            self._wait(server)
            assert station.end() == 0, station.log.read_text()
        finally:
            station.end(signal.SIGKILL)
            server.end()
        return self._result(server, duration_s=time.monotonic() - start_s)

    def _prepare(self, port: int) -> str:
        """Install the component; return the configuration."""
        (self.folder / "images").mkdir()
        with self.archive.open("rb") as archive:
            ComponentFolder(self.folder / "components").install(archive, autostart=None)
        return f"""
            directory = "{self.folder}/station"
            [[source]]
            type = "folder"
            name = "line-1"
            when_busy = "never-drop"
            path = "{self.folder}/images"
            settle_s = 0.3
            [model]
            component = "{COMPONENT}"
            components = "{self.folder}/components"
            [records]
            images = ["all"]
            image_budget_mb = 1
            [[sink]]
            type = "json-lines"
            name = "file"
            path = "{self.folder}/verdicts.jsonl"
            [[sink]]
            type = "webhook"
            name = "server"
            url = "http://127.0.0.1:{port}/verdicts"
        """

    def names(self) -> list[str]:
        return [f"{number:05}.png" for number in range(self.images)]

    def _feed(self) -> None:
        files = [png(draw(seed, *["stain"] * (seed % 4 == 0)).pixels) for seed in range(DISTINCT)]
        start_s = time.monotonic()
        for number, name in enumerate(self.names()):
            time.sleep(max(0.0, start_s + number / self.rate_per_s - time.monotonic()))
            write = _rename_into if number % 2 else _write_slowly
            write(self.folder / "images" / name, files[number % DISTINCT])

    def _come_and_go(self, server: VerdictServer, feeding: threading.Thread) -> None:
        while feeding.is_alive():
            feeding.join(0.8)
            server.end()
            feeding.join(0.4)
            server.start()

    def _kill(self, station: StationProcess, generator: random.Random) -> None:
        """Kill the station at moments that are spread over the time of the images."""
        duration_s = self.images / self.rate_per_s
        moments = sorted(generator.uniform(0.3, duration_s + 1.0) for _ in range(self.kills))
        start_s = time.monotonic()
        for moment_s in moments:
            time.sleep(max(0.0, start_s + moment_s - time.monotonic()))
            station.end(signal.SIGKILL)
            station.start()

    def _wait(self, server: VerdictServer) -> None:
        deadline = time.monotonic() + PATIENCE_S + self.images * MOST_PER_IMAGE_S
        file = self.folder / "verdicts.jsonl"
        while True:
            names = {verdict["image_name"] for verdict in _lines(file)}
            arrived = {verdict["image_name"] for verdict in list(server.verdicts)}
            if min(len(names), len(arrived)) == self.images:
                return
            assert time.monotonic() < deadline, (len(names), len(arrived))
            time.sleep(0.1)

    def _result(self, server: VerdictServer, *, duration_s: float) -> TrialResult:
        records = Records(self.folder / "station", rules=RULES)
        verdicts = records.last(self.images * 2)
        records.close()
        recorded = [verdict.to_json() for verdict in verdicts]
        paths = {
            path
            for verdict in verdicts
            for path in (verdict.image_path, verdict.heat_map_path, verdict.mask_path)
            if path
        }
        files = set((self.folder / "station" / "images").iterdir())
        lines = _lines(self.folder / "verdicts.jsonl")
        return TrialResult(
            records=_ids(recorded),
            file=_ids(lines),
            server=_ids(server.verdicts),
            kills=self.kills,
            file_deliveries=len(lines),
            server_deliveries=len(server.verdicts),
            stored_bytes=sum(path.stat().st_size for path in files),
            is_folder_right=files == paths,
            duration_s=duration_s,
        )


def check_trial(trial: StationTrial, result: TrialResult) -> None:
    """Assert that no image and no verdict was lost, and that repeated ones have the same id."""
    assert sorted(result.records) == trial.names()
    assert all(len(ids) == 1 for ids in result.records.values())
    assert result.file == result.records
    assert result.server == result.records
    assert 0 < result.stored_bytes <= BUDGET_BYTES
    assert result.is_folder_right


def _rename_into(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}")
    aside.write_bytes(content)
    aside.rename(path)


def _write_slowly(path: Path, content: bytes) -> None:
    """Write a file in two parts; the next image follows while this one is half there."""
    half = len(content) // 2
    with path.open("wb") as file:
        file.write(content[:half])
        file.flush()
        time.sleep(0.01)
        file.write(content[half:])
        os.fsync(file.fileno())


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    lines = file.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _ids(verdicts: Sequence[dict[str, Any]]) -> dict[str, set[str]]:
    ids: dict[str, set[str]] = {}
    for verdict in verdicts:
        ids.setdefault(verdict["image_name"], set()).add(verdict["id"])
    return ids
