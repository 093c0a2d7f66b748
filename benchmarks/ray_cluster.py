"""What a Ray cluster costs and bears: hosted models, and trainings whose nodes are killed.

    python -m benchmarks.ray_cluster --python PYTHON [--detections 200] [--trainings 8]
        [--images 90] [--only hosting|trainings] [--results FILE.json]

PYTHON has Blemish with the extra `ray`; server and nodes run in it, on this machine. The same work
is done without Ray, with the same cores and the same priority: two processes of one thread each.

- Hosting: a server judges by itself and on a node, in turns, with one and with two clients.
- Trainings: all of the same images, two at a time; then again on two nodes; then again while a node
  is killed, and another one started, in each third training. What a driver and a process on a node
  take is the same for any number of images. The first two start them, those that follow have them:
  the time of those that follow is told apart, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from blemish.runners.training_process import NICENESS
from tests.acceptance.product import (
    PROJECT,
    STEPS,
    detect,
    images,
    start_training,
    train_into,
    wait_for_step,
)
from tests.acceptance.ray_cluster import PATIENCE_S, RayCluster, environment, processes
from tests.acceptance.served import (
    SERVE,
    ServedDirectory,
    dataset_status,
    line,
    model_status,
    wait_for,
)

TURNS = 3
CLIENTS = (1, 2)
AT_ONCE = 2
IMAGE = images()[0][1]

COMPILE = (
    "import compileall, sysconfig; "
    "compileall.compile_dir(sysconfig.get_path('purelib'), quiet=2, workers=0)"
)
"""An environment of the tests has no compiled modules, as every installation by pip has; without
them each driver and each process on a node compiles all of Ray once more."""


@contextmanager
def serving(
    python: Path, folder: Path, *, content: Path | None = None, **settings: str
) -> Iterator[ServedDirectory]:
    """Run a server whose trainings and detections have one thread each."""
    common = {
        "BLEMISH_TRAINING_THREADS": "1",
        "BLEMISH_DETECTION_THREADS": "1",
        "BLEMISH_CONCURRENT_TRAININGS": str(AT_ONCE),
        "BLEMISH_RAY_TRAINING_MEMORY_MIB": "500",
    }
    served = ServedDirectory(
        folder,
        environment=environment() | common | settings,
        content=content,
        command=(python, *SERVE[1:]),
    )
    served.start()
    try:
        yield served
    finally:
        served.end()


@contextmanager
def cluster_of(python: Path, nodes: int) -> Iterator[tuple[RayCluster, list[Popen[bytes]]]]:
    """Run a cluster whose head does no work, with nodes of one CPU."""
    with TemporaryDirectory(prefix="ray") as folder:
        cluster = RayCluster(python, folder)
        try:
            cluster.start_head(cpus=0)
            cluster.wait()
            started = []
            for _ in range(nodes):  # two that start at once may take the same ports
                started.append(cluster.start_node(cpus=1))
                cluster.wait()
            yield cluster, started
        finally:
            cluster.stop()


def send(served: ServedDirectory, detections: int, clients: int) -> tuple[list[float], float]:
    """Detect from several clients; return the milliseconds of each, and those of all together."""
    took: list[float] = []

    def work() -> None:
        client = served.client(read_timeout=120)
        detect(client, IMAGE)
        for _ in range(detections // clients):
            began = time.perf_counter()
            detect(client, IMAGE)
            took.append(1_000 * (time.perf_counter() - began))

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, 1_000 * (time.perf_counter() - began)


def hosting(python: Path, folder: Path, *, detections: int) -> dict[str, float]:
    """Return latencies and throughput of one model, in the server and on a node, in turns."""
    trained = folder / "trained"
    train_into(trained)
    results: dict[str, float] = {}
    with (
        cluster_of(python, AT_ONCE) as (cluster, _),
        serving(python, folder / "local", content=trained) as local,
        serving(
            python,
            folder / "ray",
            content=trained,
            BLEMISH_HOSTING="ray",
            BLEMISH_RAY_ADDRESS=cluster.address,
        ) as ray,
    ):
        servers = {"local": local, "ray": ray}
        for name, served in servers.items():
            client = served.client(read_timeout=120)
            began = time.perf_counter()
            units = {"MinInferenceUnits": AT_ONCE}
            client.start_model(ProjectName=PROJECT, ModelVersion="1", **units)
            status = model_status(client, PROJECT, "1")
            wait_for(status, {"HOSTED"}, while_in={"STARTING_HOSTING"}, patience_s=PATIENCE_S)
            results[f"{name}_start_of_model_s"] = time.perf_counter() - began
        for clients in CLIENTS:
            took: dict[str, list[float]] = {name: [] for name in servers}
            total = dict.fromkeys(servers, 0.0)
            for turn in range(TURNS * len(servers)):
                name = ("local", "ray")[turn % 2]
                each, all_ms = send(servers[name], detections // TURNS, clients)
                took[name] += each
                total[name] += all_ms
            for name, values in took.items():
                key = f"{name}_{clients}_clients"
                results[f"{key}_p50_ms"] = float(np.percentile(values, 50))
                results[f"{key}_p99_ms"] = float(np.percentile(values, 99))
                results[f"{key}_per_s"] = 1_000 * len(values) / total[name]
    return results


def put_images(served: ServedDirectory, count: int) -> dict[str, Any]:
    """Put so many images into the bucket, the same few again; return them as a DatasetSource."""
    product = images()
    lines = []
    for number in range(count):
        label, data = product[number % len(product)]
        lines.append(line(served.put(f"plates/{number}.jpg", data), label))
    return served.put_manifest("plates.manifest", lines)


def train_all(
    served: ServedDirectory,
    *,
    projects: list[str],
    count: int,
    beside: Callable[[], None] = lambda: None,
) -> list[float]:
    """Train projects of the same images at once.

    Returns:
        the seconds until the first one is trained, until the first two are, and so on.

    Args:
        served: the server.
        projects: their names.
        count: of the images of each.
        beside: is run meanwhile.
    """
    client = served.client(read_timeout=120)
    source = put_images(served, count)
    for project in projects:
        client.create_project(ProjectName=project)
        client.create_dataset(ProjectName=project, DatasetType="train", DatasetSource=source)
    for project in projects:
        status = dataset_status(client, project, "train")
        wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})
    began = time.perf_counter()
    for project in projects:
        start_training(client, project)
    thread = threading.Thread(target=beside)
    thread.start()
    seconds = []
    for project in projects:
        wait_for(
            model_status(client, project, "1"),
            {"TRAINED"},
            while_in={"TRAINING"},
            patience_s=PATIENCE_S,
        )
        seconds.append(time.perf_counter() - began)
    thread.join()
    return seconds


def node_of(project: str, nodes: list[Popen[bytes]]) -> Popen[bytes]:
    """Return the node that trains a project: it started the parent of the process that trains."""
    (process,) = processes(f"ray::train_on_node {project} ")
    parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return next(node for node in nodes if node.pid == os.getpgid(parent))


def kill_nodes(
    cluster: RayCluster, nodes: list[Popen[bytes]], served: ServedDirectory, third: list[str]
) -> None:
    """Kill the node of each of some trainings in its midst, and start another one."""
    client = served.client(read_timeout=120)
    for project in third:
        wait_for_step(client, "1", STEPS[1], project)
        node = node_of(project, nodes)
        cluster.kill_node(node)
        nodes.remove(node)
        nodes.append(cluster.start_node(cpus=1))


def wait_for_check(served: ServedDirectory) -> None:
    """Wait until a server has asked each node for its versions, as it does at its start."""
    while '"event": "the Ray cluster can be used"' not in served.log.read_text():
        time.sleep(0.5)


def training_results(name: str, seconds: list[float]) -> dict[str, float]:
    """Return the time of all trainings, of those after the first ones, and the load at the end."""
    return {
        f"{name}_s": seconds[-1],
        f"{name}_later_s": seconds[-1] - seconds[AT_ONCE - 1],
        f"{name}_load": os.getloadavg()[0],
    }


def trainings(python: Path, folder: Path, *, count: int, images_each: int) -> dict[str, float]:
    """Return the seconds of trainings without Ray, with it, and with killed nodes."""
    results: dict[str, float] = {}
    projects = [f"{PROJECT}-{number}" for number in range(count)]

    train = partial(train_all, projects=projects, count=images_each)
    os.environ |= {"RAY_worker_niceness": str(NICENESS)}
    with serving(python, folder / "without") as served:
        results |= training_results("without_ray", train(served))
    with cluster_of(python, AT_ONCE) as (cluster, nodes):
        with serving(python, folder / "with", BLEMISH_RAY_ADDRESS=cluster.address) as served:
            wait_for_check(served)
            results |= training_results("on_ray", train(served))
        with serving(python, folder / "kills", BLEMISH_RAY_ADDRESS=cluster.address) as served:
            wait_for_check(served)
            kill = partial(kill_nodes, cluster, nodes, served, projects[2::3])
            results |= training_results("on_ray_with_kills", train(served, beside=kill))
            text = served.log.read_text()
            results["interrupted_attempts"] = text.count('"event": "a training was interrupted"')
    results["ratio"] = results["on_ray_s"] / results["without_ray_s"]
    results["ratio_later"] = results["on_ray_later_s"] / results["without_ray_later_s"]
    results["ratio_with_kills"] = results["on_ray_with_kills_s"] / results["without_ray_s"]
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--detections", type=int, default=200)
    parser.add_argument("--trainings", type=int, default=8)
    parser.add_argument("--images", type=int, default=90, help="of each training")
    parser.add_argument("--only", choices=("hosting", "trainings"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/ray_cluster.json"))
    arguments = parser.parse_args()
    subprocess.run([arguments.python, "-c", COMPILE], check=True)
    results: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    with TemporaryDirectory() as name:
        if arguments.only != "trainings":
            results |= hosting(arguments.python, Path(name), detections=arguments.detections)
        if arguments.only != "hosting":
            results |= trainings(
                arguments.python,
                Path(name),
                count=arguments.trainings,
                images_each=arguments.images,
            )
    results["load_after"] = os.getloadavg()[0]
    for key, value in results.items():
        print(f"{key:36} {value:10.3f}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
