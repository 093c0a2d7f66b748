"""Two servers on one PostgreSQL and one S3: kills amid work, and detections through a balancer."""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.acceptance.balancer import Stream, balanced
from tests.acceptance.cluster import Cluster
from tests.acceptance.cluster_work import TRAINED, Amount, kill_amid_work, prepare_work
from tests.acceptance.served import ServedDirectory, model_status, wait_for
from tests.postgresql_server import postgresql_server
from tests.products import draw, png

THREADS = 4
STREAM_S = 20.0
RETRIES = {"mode": "standard", "max_attempts": 5}


def main() -> None:
    """Run both parts, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=int, default=30)
    parser.add_argument("--imports", type=int, default=50)
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--restarts", type=int, default=10)
    options = parser.parse_args()
    amount = Amount(trainings=options.trainings, imports=options.imports, batches=options.batches)
    print(f"load at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with postgresql_server() as server, TemporaryDirectory(prefix="blemish-servers-") as name:
        cluster = Cluster(Path(name), server.new_database("servers"))
        try:
            cluster.start_s3()
            first, second = cluster.start("first"), cluster.start("second")
            prepare_work(cluster, cluster.client(first))
            if amount.trainings:
                kill(cluster, first, second, amount)
            if options.restarts:
                balance(cluster, first, second, options.restarts)
        finally:
            cluster.end()


def kill(cluster: Cluster, first: ServedDirectory, second: ServedDirectory, amount: Amount) -> None:
    """Kill a server amid work."""
    report = kill_amid_work(cluster, first, second, amount)
    print(
        f"{amount.trainings} trainings, {amount.imports} imports, {amount.batches} batches: all "
        f"done once in {report.took_s:.0f} s; the killed server held {report.held}, which were "
        f"free after {report.freed_after_s:.1f} s; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    first.start_as_it_is()


def balance(
    cluster: Cluster, first: ServedDirectory, second: ServedDirectory, restarts: int
) -> None:
    """Detect through a balancer, alone and while a server is killed and started."""
    client = cluster.client(second)
    client.start_model(ProjectName=TRAINED, ModelVersion="1", MinInferenceUnits=1)
    status = model_status(client, TRAINED, "1")
    wait_for(status, {"HOSTED"}, while_in={"STARTING_HOSTING"})
    print_stream("one server", streamed(cluster, second.endpoint))
    with balanced([first, second], cluster.folder) as url:
        print_stream("two servers", streamed(cluster, url))
        stream = stream_of(cluster, url)
        with stream.running():
            for _ in range(restarts):
                first.end(signal.SIGKILL)
                time.sleep(1)
                first.start_as_it_is()
                time.sleep(1)
        print_stream(f"two servers, one killed {restarts} times", stream)


def stream_of(cluster: Cluster, url: str) -> Stream:
    """Return a stream of detections."""
    image = png(draw(0).pixels)

    def detect(client: Any) -> None:
        client.detect_anomalies(
            ProjectName=TRAINED, ModelVersion="1", ContentType="image/png", Body=image
        )

    clients = [cluster.client_at(url, retries=RETRIES) for _ in range(THREADS)]
    return Stream(detect, clients)


def streamed(cluster: Cluster, url: str) -> Stream:
    """Detect for a while."""
    stream = stream_of(cluster, url)
    with stream.running():
        time.sleep(STREAM_S)
    return stream


def print_stream(what: str, stream: Stream) -> None:
    """Print the figures of a stream."""
    print(
        f"{what}: {len(stream.took_s)} detections, {len(stream.errors)} lost "
        f"{sorted(set(stream.errors))[:3]}, p50 {stream.quantile_ms(0.5):.0f} ms, "
        f"p99 {stream.quantile_ms(0.99):.0f} ms; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
