"""How long training and detection take, and where anomalib is installed, beside its PatchCore.

    python -m benchmarks.speed [FOLDER] [--backbone NAME|FILE.onnx ...] [--threads 2]
        [--rounds 10] [--peer PYTHON] [--results FILE.json]

At most 80 normal images are trained on, each training in a process of its own. `one scorer` is the
work that PatchCore does: decode, features, coreset. Detections alternate with the bare backbone and
the peer, image by image, so that the ratios hold where the machine's speed drifts. Other work on
the machine lengthens what the clock shows, processor time hardly: both are measured. The peer has
ResNet-18's weights, 256 x 256 pixels and a coreset of 2 %.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.banks import bank_candidates
from benchmarks.folders import read_folder
from benchmarks.surroundings import (
    LIMITS,
    PEER_PYTHON,
    PRETRAINED,
    ROOT,
    SHARED,
    THREADS,
    backbone_source,
    training_options,
)
from blemish.domain.entities import Label
from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.backbones.catalogue import SCATTERING
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.backbones.installed_weights import default_backbone
from blemish.engine.bundle import Bundle
from blemish.engine.graph.sessions import open_session
from blemish.engine.images.decode import decode
from blemish.engine.images.resize import graph_size, least_decoded, resize
from blemish.engine.runtime import Detector
from blemish.engine.scorers.coreset import select_coreset
from blemish.engine.scorers.memory_bank import (
    BANK_ROWS,
    MEMORY_BANK,
    PRINCIPAL_WIDTH,
    PROJECTED_WIDTH,
    bank_projections,
)
from blemish.engine.scorers.moments import principal_directions
from blemish.engine.training.train import train

IMAGES, TESTED = 80, 12
PEER = "anomalib PatchCore"

Result = TypeVar("Result")
Measured = dict[str, float]
Source = Path | str
"""A backbone: a file, or the name of a packaged one."""


def one_scorer(files: Sequence[Path], backbone: Source, threads: int) -> Measured:
    """Do what PatchCore does to learn: features, and a coreset of them."""
    start, generator = time.perf_counter(), np.random.default_rng(0)
    with threadpool_limits(1):
        width, height = graph_size(*decode(files[0].read_bytes(), limits=LIMITS).upright_size)
        embedder = Embedder(load_backbone(backbone), width=width, height=height, threads=threads)
        projections = bank_projections(
            embedder.channels, seed=0, alternatives=False, networks=embedder.networks
        )
        projection = projections[MEMORY_BANK.name]
        at_least = least_decoded(width, height)

        def embedded(file: Path) -> NDArray[np.float32]:
            pixels = decode(file.read_bytes(), limits=LIMITS, at_least=at_least).pixels
            return embedder.embed(resize(pixels, width=width, height=height))

        candidates = bank_candidates(
            map(embedded, files), len(files), projection, generator=generator
        )
        for start_column in range(0, candidates.shape[1], PROJECTED_WIDTH):  # of each network
            rows = candidates[:, start_column : start_column + PROJECTED_WIDTH]
            _, directions = principal_directions(np.cov(rows.T, dtype=np.float64))
            principal = rows @ directions[:, :PRINCIPAL_WIDTH].astype(np.float32)
            select_coreset(principal, min(BANK_ROWS, len(rows)), generator=generator)
    return _learned_since(start)


def full_training(folder: Path, backbone: Source, threads: int) -> tuple[Measured, Bundle]:
    """Train as the server does, on normal images alone."""
    options = replace(training_options(backbone, seed=0), threads=threads)
    images = [image for image in read_folder(folder)[0] if image.label is Label.NORMAL]
    start = time.perf_counter()
    with threadpool_limits(threads):
        bundle = train(images[:IMAGES], options=options, progress=lambda _: None).bundle
    return _learned_since(start), bundle


def _learned_since(start: float) -> Measured:
    """Return what this process, which did nothing else, took."""
    return {
        "seconds": time.perf_counter() - start,
        "cpu_s": time.process_time(),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def steps(bundle: Bundle, backbone: Source, threads: int) -> dict[str, Callable[[bytes], Any]]:
    """Return what a detection consists of, and its whole, each as a function of an image."""
    detector, network = Detector.load(bundle, threads=threads), load_backbone(backbone)
    graph = open_session(bundle.model, threads=threads)
    bare = open_session(network.model.SerializeToString(), threads=threads)
    width, height = bundle.info.graph_size
    planes = np.zeros((1, 3, height, width), dtype=np.float32)
    pixels = np.zeros((1, height, width, 3), dtype=np.uint8)

    def decoded(data: bytes) -> None:
        decode(
            data, limits=LIMITS, at_least=bundle.info.decoded_at_least, resize_to=(width, height)
        )

    return {
        "whole": partial(detector.detect, limits=LIMITS, mixed_sizes=True),
        "decode": decoded,
        "graph": lambda _: graph.run(None, {"pixels": pixels}),
        "backbone": lambda _: bare.run(None, {network.input_name: planes}),
    }


class Peer:
    """anomalib, in a process of its own Python."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, what: str, argument: object) -> Measured:
        """Have it fit or detect."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({what: argument}) + "\n")
        self._process.stdin.flush()
        measured: Measured = json.loads(self._process.stdout.readline())
        return measured


def convolutions(backbone: Path) -> list[NDArray[np.float32]]:
    """Return weight and bias of each convolution of an ONNX file, in their order."""
    model = onnx.load(backbone)
    constants = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    return [constants[name] for node in nodes for name in node.input[1:]]


@contextmanager
def started_peer(python: Path, backbone: Path, threads: int) -> Iterator[Peer]:
    """Start anomalib with the weights of an ONNX ResNet-18."""
    with TemporaryDirectory() as folder:
        weights = Path(folder, "weights.npz")
        np.savez(weights, *convolutions(backbone))
        command = [str(python), str(ROOT / "benchmarks/speed_peer.py"), str(weights), str(threads)]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TQDM_DISABLE": "1"},
        ) as process:
            try:
                yield Peer(process)
            finally:
                process.kill()


def alternate(
    runs: Mapping[str, Mapping[str, Callable[[bytes], Any]]],
    peer: Peer | None,
    files: Sequence[Path],
    *,
    rounds: int,
) -> dict[str, Measured]:
    """Return the median milliseconds of each step of each backbone and of the peer, all in turn."""
    calls = {f"{name}, {step}": call for name, of in runs.items() for step, call in of.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    if peer:
        times[PEER] = []
    for file in [*files[:2], *rounds * list(files)]:
        data = file.read_bytes()
        for name, call in calls.items():
            start, busy = time.perf_counter(), time.process_time()
            call(data)
            wall_s = time.perf_counter() - start
            times[name].append((1_000 * wall_s, 1_000 * (time.process_time() - busy)))
        if peer:
            answer = peer.ask("detect", str(file))
            times[PEER].append((answer["ms"], answer["cpu_ms"]))
    return {
        name: {
            "ms": statistics.median(wall for wall, _ in measured[2:]),  # less a warm-up
            "cpu_ms": statistics.median(cpu for _, cpu in measured[2:]),
        }
        for name, measured in times.items()
    }


def ratios(detection: Mapping[str, Measured], backbones: Sequence[str]) -> dict[str, Measured]:
    """Return what the goals compare, by the clock and by processor time."""
    pairs = [(f"{name}, graph", f"{name}, backbone") for name in backbones]
    if PEER in detection:
        pairs += [(f"{name}, whole", PEER) for name in backbones]
    return {
        f"{upper} / {lower}": {
            unit: detection[upper][unit] / detection[lower][unit] for unit in ("ms", "cpu_ms")
        }
        for upper, lower in pairs
    }


def _alone(function: Callable[..., Result], *arguments: object) -> Result:
    """Return the result of a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure(
    folder: Path,
    backbones: Mapping[str, Source],
    peer: Peer | None,
    *,
    rounds: int,
    threads: int,
) -> dict[str, Any]:
    """Measure trainings, then detection."""
    files = sorted((folder / "train" / "normal").iterdir())[:IMAGES]
    tested = [
        file
        for label in Label
        for file in sorted((folder / "test" / label).iterdir())[: TESTED // 2]
    ]
    training: dict[str, Measured] = {}
    runs = {}
    for name, source in backbones.items():
        training[f"{name}, one scorer"] = _alone(one_scorer, files, source, threads)
        training[f"{name}, full training"], bundle = _alone(full_training, folder, source, threads)
        runs[name] = steps(bundle, source, threads)
    if peer:
        training[PEER] = peer.ask("fit", [str(file) for file in files])
    detection = alternate(runs, peer, tested, rounds=rounds)
    compared = ratios(detection, list(backbones))
    return {"folder": folder.name, "training": training, "detection": detection | compared}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SHARED / "data" / "solar_cells")
    parser.add_argument("--backbone", type=backbone_source, action="append")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peer", type=Path, default=PEER_PYTHON)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/speed.json")
    arguments = parser.parse_args()
    sources = arguments.backbone or [default_backbone(), SCATTERING, PRETRAINED]
    measured_with = partial(
        measure,
        arguments.folder,
        {Path(source).stem: source for source in sources},
        rounds=arguments.rounds,
        threads=arguments.threads,
    )
    if arguments.peer.is_file():
        with started_peer(arguments.peer, PRETRAINED, arguments.threads) as peer:
            measured = measured_with(peer)
    else:
        print(f"{arguments.peer} is absent: measured without anomalib.")
        measured = measured_with(None)
    for name, row in measured["training"].items():
        print(f"{name:46} {row['seconds']:8.2f} s {row['cpu_s']:8.2f} {row['peak_mib']:8.1f} MiB")
    for name, row in measured["detection"].items():
        print(f"{name:46} {row['ms']:8.2f} {row['cpu_ms']:8.2f}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
