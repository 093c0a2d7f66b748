"""The images of a detection job on a Ray cluster: a driver that hands shards to the nodes.

The server writes to standard input: a JSON line with the task, the files of the bundle, and a line
for each image. This process sends the results of each shard in order. Ray tries a shard again when
a node is lost; a cluster that is gone ends this process and not the server.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from blemish.runners.child_process import Message, start_reporting
from blemish.runners.cluster.check_process import NO_RAY
from blemish.runners.cluster.unavailable import ClusterUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

SHARD_IMAGES = 32
"""Images of one call of a node, which are done again if the node is lost."""

SHARD_RETRIES = 5

SHARDS_PER_SLOT = 2
"""Shards that are in work or wait at a node, for each that it can take at once."""


LINES_PER_WRITE = 1_000


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What the server wrote."""

    #: a `DetectionTask` as JSON
    task: Mapping[str, Any]
    #: of `Detector.load` on the nodes
    options: Mapping[str, Any]
    #: of the bundle, by name
    files: Mapping[str, bytes]
    #: buckets and keys
    images: list[tuple[str, str]]


def read_request(stream: IO[bytes]) -> JobRequest:
    """Read what `write_request` wrote."""
    header = json.loads(stream.readline())
    files = {name: stream.read(size) for name, size in header.pop("files").items()}
    images = []
    while (line := stream.readline()) != b"\n":
        bucket, key = json.loads(line)
        images.append((bucket, key))
    return JobRequest(files=files, images=images, **header)


def write_request(
    write: Callable[[bytes], None],
    *,
    task: Mapping[str, Any],
    options: Mapping[str, Any],
    files: Mapping[str, bytes],
    images: Iterable[tuple[str, str]],
) -> None:
    """Write a request; errors of `write` pass through."""
    sizes = {name: len(data) for name, data in files.items()}
    write(json.dumps({"task": task, "options": options, "files": sizes}).encode() + b"\n")
    for data in files.values():
        write(data)
    lines = (json.dumps(image).encode() + b"\n" for image in images)
    while block := b"".join(islice(lines, LINES_PER_WRITE)):
        write(block)
    write(b"\n")


def shard_results(
    request: JobRequest, *, resources: Mapping[str, Any], send: Callable[[Message], None]
) -> Message:
    """Have all shards done by the nodes; send their results in order; return the last message.

    This process must be connected to a cluster.
    """
    import ray
    from ray.exceptions import OutOfMemoryError, RayError, WorkerCrashedError

    from blemish.runners.cluster.connection import loss, on_node
    from blemish.runners.cluster.node_images import detect_on_node

    files = ray.put(request.files)
    digest = hashlib.sha256(b"".join(request.files.values())).hexdigest()
    detect = on_node(detect_on_node, resources=resources, max_retries=SHARD_RETRIES)
    pending: deque[tuple[int, Any]] = deque()
    shards = enumerate(_shards(request.images), start=1)
    while True:
        wanted = SHARDS_PER_SLOT * max(1, _slots(ray, resources))
        for number, shard in islice(shards, max(0, wanted - len(pending))):  # nodes may be lost
            call = detect(request.task, shard, digest, files, request.options)
            pending.append((number, call))
        if not pending:
            return {"done": True}
        number, call = pending.popleft()
        try:
            message: Message = ray.get(call)
        except (OutOfMemoryError, WorkerCrashedError) as error:
            first = (number - 1) * SHARD_IMAGES + 1
            last = min(number * SHARD_IMAGES, len(request.images))
            return {
                "failed": f"the process on a node ended {SHARD_RETRIES + 1} times at images "
                f"{first} to {last} of this attempt: {str(error).strip().splitlines()[0]}"
            }
        except RayError as error:
            return {"interrupted": loss(error)}
        if "results" not in message:
            return message
        send(message)


def _shards(images: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    for first in range(0, len(images), SHARD_IMAGES):
        yield images[first : first + SHARD_IMAGES]


def _slots(ray: Any, resources: Mapping[str, Any]) -> int:
    """Return how many shards the nodes take at once."""
    cluster = ray.cluster_resources()
    slots = [cluster.get("CPU", 0) / resources["num_cpus"]]
    if resources["num_gpus"]:
        slots.append(cluster.get("GPU", 0) / resources["num_gpus"])
    return int(min(slots))


def drive_job() -> None:
    """Do the job that standard input describes on the cluster that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("address")
    parser.add_argument("--cpus", type=int, required=True)
    parser.add_argument("--gpus", type=float, required=True)
    options = parser.parse_args()
    request = read_request(sys.stdin.buffer)
    reporter = start_reporting()
    reporter.note("a node of the Ray cluster")
    try:
        from blemish.runners.cluster.connection import connect

        connect(options.address)
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        reporter.send({"interrupted": NO_RAY})
        return
    except ClusterUnavailableError as error:
        reporter.send({"interrupted": str(error)})
        return
    resources = {"num_cpus": options.cpus, "num_gpus": options.gpus}
    reporter.send(shard_results(request, resources=resources, send=reporter.send))


if __name__ == "__main__":
    drive_job()
