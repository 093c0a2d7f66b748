"""How 2,000 hosted models answer from a budget of memory, and what one model costs as before.

    python -m benchmarks.hosting [--models 2000] [--memory-mib 1024] [--requests 3000]
        [--beside OLDER/src] [--results FILE.json]

One small model is trained, and its row copied, so that all models have the same bundle. Two clients
send signed requests over HTTP for models that a Zipf distribution draws. With `--beside`, servers
of this and of an older version take turns with the one model: start, memory and latency.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import numpy as np

from tests.acceptance.product import PROJECT, detect, host, images, train_into
from tests.acceptance.served import ServedDirectory

SKEW = 1.1
"""Exponent of the distribution: the most used of 2,000 models gets every sixth request."""

CLIENTS = 2
TURNS = 5
DETECTIONS = 100
IMAGE = images()[0][1]


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[ServedDirectory]:
    """Run a server over a data directory."""
    served = ServedDirectory(folder, environment=environment)
    served.start()
    try:
        yield served
    finally:
        served.end()


def memory_mb(served: ServedDirectory, field: str = "VmRSS") -> float:
    """Return the memory of a server, now or at most (VmHWM)."""
    assert served.process is not None
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    match = re.search(rf"{field}:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) / 1000


def copy_rows(folder: Path, models: int) -> None:
    """Copy the row of the one model, which is hosted."""
    with closing(sqlite3.connect(folder / "blemish.db")) as database, database:
        names = [row[1] for row in database.execute("PRAGMA table_info(models)")]
        columns = ", ".join(name for name in names if name not in {"id", "version"})
        for version in range(2, models + 1):
            database.execute(
                f"INSERT INTO models (version, {columns}) "  # noqa: S608 - names of columns
                f"SELECT ?, {columns} FROM models WHERE version = 1",
                [version],
            )


def metric(served: ServedDirectory, name: str) -> float:
    """Return a number of the server."""
    text = urlopen(f"{served.endpoint}/metrics").read().decode()  # noqa: S310 - our own server
    match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert match is not None
    return float(match[1])


def draw(models: int, requests: int) -> list[int]:
    """Return the versions that requests are for."""
    weights = 1 / np.arange(1, models + 1) ** SKEW
    generator = np.random.default_rng(0)
    versions = generator.permutation(models) + 1
    return list(generator.choice(versions, size=requests, p=weights / weights.sum()))


def send(served: ServedDirectory, versions: list[int]) -> list[float]:
    """Send requests from several clients; return how long each took, in milliseconds."""
    waiting, took = iter(versions), []
    lock = threading.Lock()

    def work() -> None:
        client = served.client(read_timeout=60)
        while True:
            with lock:
                version = next(waiting, None)
            if version is None:
                return
            began = time.perf_counter()
            detect(client, IMAGE, version=str(version))
            took.append(1000 * (time.perf_counter() - began))

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def percentile(values: list[float], percent: float) -> float:
    """Return a percentile."""
    return float(np.percentile(values, percent))


def many(folder: Path, *, models: int, memory_mib: int, requests: int) -> dict[str, float]:
    """Return how many models answer within a budget of memory."""
    with serving(folder) as served:
        host(served.client())
        empty_mb = memory_mb(served)
    copy_rows(folder, models)
    began = time.perf_counter()
    with serving(folder, BLEMISH_MODEL_MEMORY_MIB=str(memory_mib)) as served:
        start_s = time.perf_counter() - began
        while metric(served, 'blemish_models{status="SYSTEM_UPDATING"}'):
            time.sleep(0.2)
        loaded_s = time.perf_counter() - began
        at_start = metric(served, "blemish_models_loaded")
        loads = metric(served, "blemish_model_loads_total")
        took = send(served, draw(models, requests))
        loads = metric(served, "blemish_model_loads_total") - loads
        return {
            "models": models,
            "memory_budget_mib": memory_mib,
            "start_s": start_s,
            "all_that_fit_loaded_s": loaded_s,
            "loaded_at_start": at_start,
            "loaded_at_end": metric(served, "blemish_models_loaded"),
            "hit_rate": 1 - loads / requests,
            "p50_ms": percentile(took, 50),
            "p90_ms": percentile(took, 90),
            "p99_ms": percentile(took, 99),
            "memory_of_one_model_server_mb": empty_mb,
            "memory_at_end_mb": memory_mb(served),
            "memory_at_most_mb": memory_mb(served, "VmHWM"),
            "load_average": os.getloadavg()[0],
        }


def one(folder: Path, sources: str) -> dict[str, list[float]]:
    """Return start, memory and latencies of a server with one model."""
    began = time.perf_counter()
    with serving(folder, PYTHONPATH=sources) as served:
        start_s = time.perf_counter() - began
        while metric(served, 'blemish_models{status="SYSTEM_UPDATING"}'):
            time.sleep(0.2)
        memory_idle = memory_mb(served)
        client = served.client()
        detect(client, IMAGE)
        took = []
        for _ in range(DETECTIONS):
            began = time.perf_counter()
            detect(client, IMAGE)
            took.append(1000 * (time.perf_counter() - began))
        return {
            "start_s": [start_s],
            "memory_at_start_mb": [memory_idle],
            "memory_after_detections_mb": [memory_mb(served)],
            "detection_ms": took,
        }


def side_by_side(folder: Path, older: str) -> dict[str, float]:
    """Return the figures of this version and of an older one, which take turns."""
    measured: dict[str, dict[str, list[float]]] = {"now": {}, "before": {}}
    for turn in range(TURNS * 2):
        name = ("before", "now")[turn % 2]
        copy = folder.with_name(f"{folder.name}-{name}")
        if not copy.exists():
            shutil.copytree(folder, copy)
        sources = older if name == "before" else os.environ["PYTHONPATH"]
        for figure, values in one(copy, sources).items():
            measured[name].setdefault(figure, []).extend(values)
    results: dict[str, float] = {}
    for name, figures in measured.items():
        took = figures.pop("detection_ms")
        results |= {f"{name}_{key}": statistics.median(values) for key, values in figures.items()}
        for percent in (1, 50, 99):
            results[f"{name}_p{percent}_ms"] = percentile(took, percent)
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=2_000)
    parser.add_argument("--memory-mib", type=int, default=1_024)
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--beside", help="folder of an older version's sources")
    parser.add_argument("--trained", type=Path, help="data directory of a trained model")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/hosting.json"))
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    with TemporaryDirectory() as name:
        folder = Path(name, "data")
        if arguments.trained:
            shutil.copytree(arguments.trained, folder)
        elif arguments.beside:
            train_into(folder, PYTHONPATH=arguments.beside)  # it does not open a newer one's
        else:
            train_into(folder)
        if arguments.beside:
            with serving(folder, PYTHONPATH=arguments.beside) as served:
                host(served.client())
            results |= side_by_side(folder, arguments.beside)
            with serving(folder) as served:
                served.client().stop_model(ProjectName=PROJECT, ModelVersion="1")
                time.sleep(2)
        results |= many(
            folder,
            models=arguments.models,
            memory_mib=arguments.memory_mib,
            requests=arguments.requests,
        )
    for key, value in results.items():
        print(f"{key:36} {value:10.3f}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
