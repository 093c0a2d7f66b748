"""The time of work on a large dataset: importing it, paging through it, changing it, one label.

    python -m benchmarks.datasets [--entries 16000] [--results FILE.json] [--labels-only]

A real server over a folder, a manifest whose lines are as long as they may be, boto3 over HTTP. The
memory of the server is its peak over all of it.

One label is what the gallery saves: a line of a known image, applied within the request. It is
measured without HTTP, at 16,000 and at 100,000 entries, a third of which have masks and a third of
which have an older label that is not used. The goal is 50 ms at the median.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.surroundings import ROOT
from blemish.domain.entities import DatasetStatus, DatasetType
from blemish.domain.limits import MAX_LINE_LENGTH, OURS
from blemish.domain.manifest import parse_line
from blemish.service.datasets.datasets import DatasetService
from blemish.service.datasets.line_checks import LineChecks
from blemish.storage.database.database import Database
from blemish.storage.objects.store import ObjectStore
from blemish.storage.stored_files import StoredFiles
from tests.acceptance.served import BUCKET, ServedDirectory, dataset_status, line, wait_for
from tests.unit.manifests import label_fields, mask_fields

DATASET = {"ProjectName": "large", "DatasetType": "train"}
CHANGES_BYTES = 10 * 1024 * 1024
LABELS = ("normal", "anomaly", None)
LABELLED_ENTRIES = (16_000, 100_000)
LABELS_GIVEN = 100

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


def label_times(entries: int) -> Iterator[dict[str, float]]:
    """Yield the milliseconds of one label in a dataset of so many entries."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        buckets = root / "buckets"
        images = buckets / BUCKET / "images"
        images.mkdir(parents=True)
        (images / "mask.png").touch()
        for number in range(entries):
            (images / f"{number:06}.png").touch()
        database = Database.open(root / "blemish.db")
        try:
            datasets = _filled_service(database, buckets, entries=entries)
            times = []
            for number in range(LABELS_GIVEN):
                changes = json.dumps(_labelled(number * (entries // LABELS_GIVEN), "anomaly"))
                call = partial(
                    datasets.update_now, "large", DatasetType.TRAIN, changes=changes.encode()
                )
                times.append(1_000 * seconds(call))
        finally:
            database.close()
    name = f"label_ms_at_{entries}"
    yield {name: statistics.median(times), f"{name}_most": max(times)}


def _filled_service(database: Database, buckets: Path, *, entries: int) -> DatasetService:
    """Return a service over a project with a full dataset."""
    now = partial(datetime.now, UTC)
    with database.writing() as rows:
        project = rows.projects.add("large", created_at=now())
        dataset = rows.datasets.add(
            project.id,
            DatasetType.TRAIN,
            status=DatasetStatus.CREATE_COMPLETE,
            status_message="",
            manifest=None,
            now=now(),
        )
        lines = (json.dumps(_varied(number)) for number in range(entries))
        rows.entries.put(dataset.id, map(parse_line, lines), now=now())
        rows.datasets.set_image_bucket(dataset.id, BUCKET)
    return DatasetService(
        database,
        stored_files=StoredFiles(buckets, staging=buckets, encryption=None),
        checks=LineChecks(objects=ObjectStore(buckets), limits=OURS),
        now=now,
        new_name=str,
        wake=lambda: None,
    )


def _labelled(number: int, label: str | None) -> dict[str, Any]:
    return line(f"s3://{BUCKET}/images/{number:06}.png", label)


def _varied(number: int) -> dict[str, Any]:
    """Return a line with a label alone, with a mask, or with two labels."""
    fields = _labelled(number, LABELS[number % 2])
    match number % 3:
        case 1:
            return fields | mask_fields(f"s3://{BUCKET}/images/mask.png", {"dent": "#23A436"})
        case 2:
            return fields | label_fields("normal", attribute="second")
    return fields


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=16_000)
    parser.add_argument("--labels-only", action="store_true")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/datasets.json")
    arguments = parser.parse_args()
    measured: dict[str, float] = {}
    parts = chain.from_iterable(label_times(entries) for entries in LABELLED_ENTRIES)
    if not arguments.labels_only:
        parts = chain(measure(arguments.entries), parts)
    for part in parts:
        measured |= part
        for name, value in part.items():
            print(f"{name:30} {value:10.2f}", flush=True)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
