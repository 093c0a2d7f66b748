"""How the server bears load: many connections, many rows, and a model that judges meanwhile.

    python -m benchmarks.load [--seconds 15] [--results FILE.json]

Over 1,000 projects with 10,000 models: each Describe and List by itself; a thousand requests at
once; 300 requests a second over 1,000 connections; and detections, one after the other, alone and
during that. Requests are signed before, and sent by a process of its own, so that the clients leave
the cores to the server; how busy the machine was before is told with the numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest

from benchmarks.detection import prepare
from benchmarks.load_clients import Outcome, Plan, Running
from benchmarks.load_rows import ASKED, fill
from benchmarks.surroundings import ROOT, SHARED
from tests.acceptance.served import ServedDirectory
from tests.acceptance.test_journey import PROJECT

CONNECTIONS = 1_000
RATE = 300.0
BURST = 1_000
ALONE = 300
"""Requests of each operation by itself."""

CHANGES_IN = 50
"""One of so many requests changes something, and waits for the disk."""

MODEL = {"ProjectName": ASKED, "ModelVersion": "latest"}
DATASET = {"ProjectName": ASKED, "DatasetType": "train"}
MODEL_ARN = f"arn:aws:lookoutvision:us-east-1:000000000000:model/{ASKED}/10"
READS: dict[str, dict[str, Any]] = {
    "describe_project": {"ProjectName": ASKED},
    "describe_dataset": DATASET,
    "describe_model": MODEL,
    "list_projects": {},
    "list_models": {"ProjectName": ASKED},
    "list_dataset_entries": DATASET,
    "list_tags_for_resource": {"ResourceArn": MODEL_ARN},
    "describe_model_packaging_job": {"ProjectName": ASKED, "JobName": "job-0"},
    "list_model_packaging_jobs": {"ProjectName": ASKED},
}
CHANGE: dict[str, Any] = {"ResourceArn": MODEL_ARN, "Tags": [{"Key": "line", "Value": "5"}]}

GOALS = {
    "slowest_median_ms": 10.0,
    "lost": 0.0,
    "p99_ms": 250.0,
    "burst_s": 5.0,
    "detection_in_load_over_alone": 2.0,
}
"""What each of these numbers is at most, on two cores that nobody else uses."""


class SentError(Exception):
    """Ends a client before it sends what it has signed."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


class Load:
    """A server, and what is asked of it."""

    def __init__(self, served: ServedDirectory, client: Any) -> None:
        self._client = client
        address = urlsplit(served.endpoint)
        assert address.hostname is not None
        assert address.port is not None
        self._host, self._port = address.hostname, address.port

    def signed(self, operation: str, **members: Any) -> bytes:
        """Return the whole HTTP request that the client would send."""

        def keep(request: AWSPreparedRequest, **_: object) -> None:
            raise SentError(request)

        self._client.meta.events.register_first("before-send", keep)
        try:
            getattr(self._client, operation)(**members)
        except SentError as sent:
            return self._written(sent.request)
        finally:
            self._client.meta.events.unregister("before-send", keep)
        raise AssertionError(f"{operation} was not sent")

    def start(self, requests: list[bytes], **options: Any) -> Running:
        """Start clients that send these requests."""
        return Running(Plan(host=self._host, port=self._port, requests=requests, **options))

    def _written(self, request: AWSPreparedRequest) -> bytes:
        url = urlsplit(request.url)
        target = url.path + (f"?{url.query}" if url.query else "")
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        headers |= {"host": f"{self._host}:{self._port}", "content-length": str(len(body))}
        head = [f"{request.method} {target} HTTP/1.1", *map(": ".join, headers.items())]
        return "\r\n".join([*head, "", ""]).encode() + body


def quantile(outcome: Outcome, share: float) -> float:
    """Return the time within which such a share of the answers came, in milliseconds."""
    ordered = sorted(outcome.milliseconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def all_answered(outcome: Outcome, *, what: str) -> Outcome:
    """Return an outcome in which every answer is a good one.

    Raises:
        RuntimeError: one is not.
    """
    if outcome.statuses.keys() != {"200"}:
        raise RuntimeError(f"{what} was answered with {outcome.statuses}")
    return outcome


def control_plane(load: Load) -> dict[str, float]:
    """Return the median milliseconds of each operation that describes or lists, by itself."""
    medians = {}
    for operation, members in READS.items():
        requests = [load.signed(operation, **members)]
        outcome = load.start(requests, connections=1, count=ALONE).outcome()
        medians[operation] = statistics.median(all_answered(outcome, what=operation).milliseconds)
    return medians


def mixed(load: Load) -> list[bytes]:
    """Return reads of every kind in turn, with a change now and then."""
    reads = [load.signed(operation, **members) for operation, members in READS.items()]
    change = load.signed("tag_resource", **CHANGE)
    return [
        change if number % CHANGES_IN == 0 else reads[number % len(reads)]
        for number in range(CHANGES_IN * len(reads))
    ]


def under_load(load: Load, images: list[Path], *, seconds: float) -> dict[str, float]:
    """Return what becomes of requests and detections that come at the same time."""
    judged = [
        load.signed(
            "detect_anomalies",
            ProjectName=PROJECT,
            ModelVersion="1",
            ContentType="image/jpeg",
            Body=path.read_bytes(),
        )
        for path in images
    ]
    requests = mixed(load)
    load.start(judged, connections=1, seconds=1).outcome()  # to warm up
    alone = load.start(judged, connections=1, seconds=seconds / 2).outcome()
    beside = load.start(judged, connections=1, seconds=seconds + 4)
    steady = load.start(requests, connections=CONNECTIONS, rate=RATE, seconds=seconds).outcome()
    during = beside.outcome()
    for what, outcome in {"a detection": alone, "one in load": during, "load": steady}.items():
        all_answered(outcome, what=what)
    burst = load.start(requests, connections=BURST, count=BURST).outcome()
    all_answered(burst, what="a burst")
    return {
        "offered_per_s": RATE,
        "answered": len(steady.milliseconds),
        "lost": steady.lost + burst.lost + during.lost,
        "median_ms": statistics.median(steady.milliseconds),
        "p99_ms": quantile(steady, 0.99),
        "clients_late_ms": steady.late_ms,
        "burst_s": burst.seconds,
        "detection_alone_ms": statistics.median(alone.milliseconds),
        "detection_in_load_ms": statistics.median(during.milliseconds),
        "detection_in_load_over_alone": statistics.median(during.milliseconds)
        / statistics.median(alone.milliseconds),
    }


def measure(*, seconds: float) -> dict[str, Any]:
    """Return every number."""
    with TemporaryDirectory() as folder:
        data = Path(folder, "data")
        fill(data)
        backbone = SHARED / "weights" / "resnet18-layer1-3.onnx"
        served = ServedDirectory(data, environment={"BLEMISH_BACKBONE": str(backbone)})
        served.start()
        try:
            load = Load(served, client := served.client())
            busy_before = os.getloadavg()[0]
            alone = control_plane(load)
            images, _ = prepare(served, client, SHARED / "data" / "cookies")
            loaded = under_load(load, images, seconds=seconds)
        finally:
            served.end()
    return {
        "load_average_before": busy_before,
        **{f"{name}_ms": median for name, median in alone.items()},
        "slowest_median_ms": max(alone.values()),
        **loaded,
    }


def main() -> int:
    """Measure, print, and return how many goals were missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/load.json")
    arguments = parser.parse_args()
    measured = measure(seconds=arguments.seconds)
    for name, value in measured.items():
        goal = f"   at most {GOALS[name]:g}" if name in GOALS else ""
        print(f"{name:32} {value:9.2f}{goal}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2))
    return sum(measured[name] > most for name, most in GOALS.items())


if __name__ == "__main__":
    sys.exit(main())
