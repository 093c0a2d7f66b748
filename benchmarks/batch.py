"""The pace of a batch in one thread and in a thread for each core, and what kills cost.

    python -m benchmarks.batch [--images 1000] [--rounds 2] [--kills 3] [--backbone joined]

Two servers over copies of one data directory judge the same list in turns: one with a single
thread, one with a thread for each core. Then the second server is killed in the middle of a batch,
again and again; the result must name every image once and in order.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.acceptance.product import PROJECT, images, train_into
from tests.acceptance.served import BUCKET, ServedDirectory, line
from tests.asgi_client import installed_models

IN_WORK = {"CREATED", "RUNNING"}
POLL_S = 0.1


def put_list(served: ServedDirectory, count: int) -> dict[str, Any]:
    """Put a list of so many images, which are links to a few files; return it as an ImageSource."""
    files = images()
    for number in range(count):
        path = served.bucket / f"line/{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        if number < len(files):
            path.write_bytes(files[number][1])
        else:
            os.link(served.bucket / f"line/{number % len(files)}.jpg", path)
    lines = [line(f"s3://{BUCKET}/line/{number}.jpg", None) for number in range(count)]
    source = served.put_manifest("line.manifest", lines)
    return {"Manifest": source["GroundTruthManifest"]["S3Object"]}


def start(client: Any, source: dict[str, Any]) -> dict[str, str]:
    """Start a batch; return the members that name it."""
    answer = client.start_batch_detection(
        ProjectName=PROJECT,
        ModelVersion="1",
        ImageSource=source,
        OutputConfig={"S3Location": {"Bucket": BUCKET, "Prefix": "results/"}},
    )
    return {"ProjectName": PROJECT, "BatchName": answer["BatchName"]}


def described(client: Any, batch: dict[str, str]) -> dict[str, Any]:
    """Return the description of a batch."""
    answer: dict[str, Any] = client.describe_batch_detection(**batch)["Batch"]
    return answer


def result_count(description: dict[str, Any]) -> int:
    """Return the number of images that have a result."""
    counts = description.get("ImageStats", {})
    return sum(counts.get(name, 0) for name in ("Normal", "Anomaly", "Failed"))


def images_per_second(client: Any, source: dict[str, Any]) -> float:
    """Return the pace of a whole batch, from its start to its result."""
    began = time.perf_counter()
    batch = start(client, source)
    while (description := described(client, batch))["Status"] in IN_WORK:
        time.sleep(POLL_S)
    assert description["Status"] == "SUCCEEDED", description
    return float(result_count(description) / (time.perf_counter() - began))


def killed(served: ServedDirectory, source: dict[str, Any], *, total: int, kills: int) -> int:
    """Kill the server in the middle of a batch; return the images that were lost or doubled."""
    moments = [total * (number + 1) // (kills + 1) for number in range(kills)]
    client = served.client(models=installed_models())
    batch = start(client, source)
    for moment in moments:
        while result_count(described(client, batch)) < moment:
            time.sleep(POLL_S)
        served.end(signal.SIGKILL)
        served.start_as_it_is()
        client = served.client(models=installed_models())
        print(f"killed behind image {moment}: goes on at {result_count(described(client, batch))}")
    while (description := described(client, batch))["Status"] in IN_WORK:
        time.sleep(POLL_S)
    assert description["Status"] == "SUCCEEDED", description
    lines = (served.bucket / description["ResultManifest"]["Key"]).read_text().splitlines()
    refs = [json.loads(text)["source-ref"] for text in lines]
    wanted = [f"s3://{BUCKET}/line/{number}.jpg" for number in range(total)]
    return len(set(wanted) ^ set(refs)) + abs(len(refs) - len(wanted)) + (refs != wanted)


def main() -> int:
    """Print the paces, their ratio, and what the kills cost."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--images", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--backbone", default="joined")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        trained = Path(folder) / "trained"
        os.environ["BLEMISH_BACKBONE"] = options.backbone
        train_into(trained)
        one, cores = (
            ServedDirectory(Path(folder) / name, environment=environment, content=trained)
            for name, environment in (
                ("one", {"BLEMISH_DETECTION_THREADS": "1"}),
                ("cores", {}),
            )
        )
        paces: dict[str, list[float]] = {"one thread": [], "a thread for each core": []}
        try:
            sources = []
            for served in (one, cores):
                served.start()
                sources.append(put_list(served, options.images))
            for _ in range(options.rounds):
                for name, served, source in zip(paces, (one, cores), sources, strict=True):
                    paces[name].append(
                        images_per_second(served.client(models=installed_models()), source)
                    )
            wrong = killed(cores, sources[1], total=options.images, kills=options.kills)
        finally:
            one.end()
            cores.end()
    for name, values in paces.items():
        print(f"{name}: {statistics.mean(values):.1f} images a second, of {values}")
    single, many = (statistics.mean(values) for values in paces.values())
    print(f"ratio: {many / single:.2f} on {os.cpu_count()} cores")
    print(f"{options.kills} kills: {wrong} images lost, doubled or out of order")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
