"""How long a large dataset takes: imported, paged through by every filter, changed.

    python -m benchmarks.datasets [--entries 16000] [--results FILE.json]

A real server over a folder, a manifest whose lines are as long as they may be, boto3 over HTTP. The
server's memory is its peak over all of it.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.surroundings import ROOT
from blemish.domain.limits import MAX_LINE_LENGTH
from tests.acceptance.served import BUCKET, ServedDirectory, dataset_status, line, wait_for

DATASET = {"ProjectName": "large", "DatasetType": "train"}
CHANGES_BYTES = 10 * 1024 * 1024
LABELS = ("normal", "anomaly", None)

FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "labeled": {"Labeled": True},
    "unlabeled": {"Labeled": False},
    "anomaly": {"AnomalyClass": "anomaly"},
    "before": {"BeforeCreationDate": datetime(2025, 1, 1, tzinfo=UTC)},
    "after": {"AfterCreationDate": datetime(2023, 1, 1, tzinfo=UTC)},
    "contains": {"SourceRefContains": "7.png"},
    "contains_nothing": {"SourceRefContains": "no such image"},
    "together": {
        "Labeled": True,
        "AnomalyClass": "anomaly",
        "AfterCreationDate": datetime(2023, 1, 1, tzinfo=UTC),
        "BeforeCreationDate": datetime(2025, 1, 1, tzinfo=UTC),
        "SourceRefContains": "7.png",
    },
}


def long_lines(served: ServedDirectory, entries: int) -> list[dict[str, Any]]:
    """Put so many images; return their manifest lines, each as long as a line may be."""
    lines = []
    for number in range(entries):
        url = served.put(f"images/{number:06}.png", b"image")
        found = line(url, LABELS[number % len(LABELS)]) | {"note": ""}
        found["note"] = "x" * (MAX_LINE_LENGTH - len(json.dumps(found)))
        lines.append(found)
    return lines


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def pages(client: Any, wanted: dict[str, Any]) -> Iterator[float]:
    """Yield the milliseconds of each page of the entries that pass a filter."""
    token: dict[str, str] = {}
    while True:
        began = time.perf_counter()
        answer = client.list_dataset_entries(**DATASET, **wanted, **token)
        yield 1_000 * (time.perf_counter() - began)
        if "NextToken" not in answer:
            return
        token = {"NextToken": answer["NextToken"]}


def settle(client: Any, target: str, busy: str) -> None:
    """Wait until the dataset is through."""
    wait_for(dataset_status(client, "large", "train"), {target}, while_in={busy})


def peak_memory_mib(served: ServedDirectory) -> float:
    """Return the most memory that the server ever had."""
    assert served.process is not None
    status = Path(f"/proc/{served.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1_024


def measure(entries: int) -> Iterator[dict[str, float]]:
    """Yield what was measured, part by part."""
    with TemporaryDirectory() as folder:
        served = ServedDirectory(Path(folder, "data"), environment={})
        served.start()
        try:
            client = served.client()
            client.create_project(ProjectName="large")
            lines = long_lines(served, entries)
            source = served.put_manifest("large.manifest", lines)

            def create() -> None:
                client.create_dataset(**DATASET, DatasetSource=source)
                settle(client, "CREATE_COMPLETE", "CREATE_IN_PROGRESS")

            yield {"import_s": seconds(create)}
            for name, wanted in FILTERS.items():
                times = list(pages(client, wanted))
                median, most = statistics.median(times), max(times)
                yield {f"page_ms_{name}": median, f"page_ms_{name}_most": most}
            text = "\n".join(json.dumps(found) for found in lines)[:CHANGES_BYTES]
            changes = text[: text.rindex("\n")]

            def update() -> None:
                client.update_dataset_entries(**DATASET, Changes=changes)
                settle(client, "UPDATE_COMPLETE", "UPDATE_IN_PROGRESS")

            yield {"update_of_10_mib_s": seconds(update)}
            output = {"S3Location": {"Bucket": BUCKET}}
            freeze = seconds(lambda: client.create_model(ProjectName="large", OutputConfig=output))
            yield {"create_model_s": freeze, "peak_memory_mib": peak_memory_mib(served)}
        finally:
            served.end()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=16_000)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/datasets.json")
    arguments = parser.parse_args()
    measured: dict[str, float] = {}
    for part in measure(arguments.entries):
        measured |= part
        for name, value in part.items():
            print(f"{name:30} {value:10.2f}", flush=True)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
