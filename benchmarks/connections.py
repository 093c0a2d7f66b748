"""Detections beside thousands of connections, slow and fast, and without them.

    python -m benchmarks.connections [--connections 10000] [--rate 20] [--seconds 30] [--rounds 2]
        [--backbone joined] [--warm-up 90]

20 detections a second go to one hosted model, by turns alone and beside the crowd: four tenths of
the connections send nothing, three tenths a byte of a head every two seconds, two tenths a byte of
a body, and one tenth whole requests, 50 a second together. What the server closes is opened again.
The crowd stays for a while before anything is measured: longer than the server waits for any of it,
so that connections come and go evenly.

Where the server needs most of the machine for the detections alone (`busy_alone`), whatever comes
beside them makes a queue that grows: then the ratio of the p99 tells how long it was measured. A
smaller rate, or a quicker backbone, tells what the crowd costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from benchmarks.connection_clients import Crowd, crowded
from benchmarks.load import Load, quantile
from benchmarks.load_clients import Outcome
from benchmarks.surroundings import ROOT
from tests.acceptance.product import PROJECT, host, images, make_dataset, start_training
from tests.acceptance.served import ServedDirectory

DETECTIONS_PER_S = 20.0
REQUESTS_PER_S = 50.0
DETECTING_CONNECTIONS = 8
BODY_BYTES = 60_000

GOALS = {"p99_beside_over_alone": 2.0, "lost": 0.0}
"""What these numbers are at most."""


def crowd_of(load: Load, served: ServedDirectory, connections: int) -> Crowd:
    """Return so many connections to a server."""
    address = urlsplit(served.endpoint)
    assert address.hostname is not None
    assert address.port is not None
    head, _, _ = load.signed("create_project", ProjectName="slow").partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
    long_head = b"\r\n".join([*lines, b"content-length: %d" % BODY_BYTES, b"", b""])
    return Crowd(
        host=address.hostname,
        port=address.port,
        silent=connections * 4 // 10,
        slow_heads=connections * 3 // 10,
        slow_bodies=connections * 2 // 10,
        fast=connections // 10,
        head=long_head.decode(),
        request=load.signed("list_projects").decode(),
        requests_per_s=REQUESTS_PER_S,
    )


def memory_mib(process_id: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def processor_s(process_id: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    *, connections: int, rate: float, seconds: float, rounds: int, warm_up_s: float
) -> dict[str, Any]:
    """Return every number."""
    busy = {"alone": 0.0, "beside": 0.0}
    alone: list[float] = []
    beside: list[float] = []
    lost = 0
    with TemporaryDirectory() as folder:
        served = ServedDirectory(Path(folder, "data"), environment={})
        served.start()
        try:
            load = Load(served, client := served.client())
            make_dataset(served, client)
            host(client, start_training(client))
            requests = [_detection(load, data) for _, data in images()]

            def detect(seconds: float) -> Outcome:
                return load.start(
                    requests,
                    connections=DETECTING_CONNECTIONS,
                    rate=rate,
                    seconds=seconds,
                ).outcome()

            detect(3)
            assert served.process is not None
            process_id = served.process.pid
            memory_before = memory_mib(process_id)

            def watched(place: str) -> Outcome:
                began, taken_s = time.monotonic(), processor_s(process_id)
                outcome = detect(seconds)
                taken_s = processor_s(process_id) - taken_s
                cores = len(os.sched_getaffinity(0))
                busy[place] += taken_s / (time.monotonic() - began) / cores / rounds
                return outcome

            for _ in range(rounds):
                outcome = watched("alone")
                alone += outcome.milliseconds
                lost += outcome.lost
                with crowded(crowd_of(load, served, connections)) as clients:
                    time.sleep(warm_up_s)
                    requests_before, began = clients.requests, time.monotonic()
                    outcome = watched("beside")
                    sent = clients.requests - requests_before
                    sent_per_s = sent / (time.monotonic() - began)
                    memory_beside = memory_mib(process_id)
                beside += outcome.milliseconds
                lost += outcome.lost
        finally:
            served.end()
    return {
        "connections": connections,
        "detections_per_s": rate,
        "busy_alone": busy["alone"],
        "busy_beside": busy["beside"],
        "requests_beside_per_s": sent_per_s,
        "load_average": os.getloadavg()[0],
        "detections_alone": len(alone),
        "detections_beside": len(beside),
        "lost": lost,
        "median_alone_ms": statistics.median(alone),
        "median_beside_ms": statistics.median(beside),
        "p99_alone_ms": quantile(Outcome(milliseconds=alone), 0.99),
        "p99_beside_ms": quantile(Outcome(milliseconds=beside), 0.99),
        "p99_beside_over_alone": quantile(Outcome(milliseconds=beside), 0.99)
        / quantile(Outcome(milliseconds=alone), 0.99),
        "memory_before_mib": memory_before,
        "memory_beside_mib": memory_beside,
    }


def _detection(load: Load, data: bytes) -> bytes:
    return load.signed(
        "detect_anomalies",
        ProjectName=PROJECT,
        ModelVersion="1",
        ContentType="image/jpeg",
        Body=data,
    )


def main() -> int:
    """Measure, print, and return how many goals were missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=DETECTIONS_PER_S)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--backbone", default="joined")
    parser.add_argument("--warm-up", type=float, default=90.0, help="seconds of the crowd")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "benchmarks/results/connections.json"
    )
    arguments = parser.parse_args()
    os.environ["BLEMISH_BACKBONE"] = arguments.backbone  # servers inherit it
    measured = measure(
        connections=arguments.connections,
        rate=arguments.rate,
        seconds=arguments.seconds,
        rounds=arguments.rounds,
        warm_up_s=arguments.warm_up,
    )
    for name, value in measured.items():
        goal = f"   at most {GOALS[name]:g}" if name in GOALS else ""
        print(f"{name:24} {value:9.2f}{goal}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2))
    return sum(measured[name] > most for name, most in GOALS.items())


if __name__ == "__main__":
    sys.exit(main())
