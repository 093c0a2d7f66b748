"""How long training and detection take, and where anomalib is installed, beside its PatchCore.

    python -m benchmarks.speed [FOLDER] [--backbone FILE.onnx] [--rounds 10] [--peer PYTHON]
        [--results FILE.json]

At most 80 normal images are trained on, with two threads, each training in a process of its own.
`one scorer` is the work that PatchCore does: decode, features, coreset. Detections alternate with
the bare backbone and the peer, image by image, so that the ratios hold where the machine's
speed drifts. The peer has the same weights, 256 x 256 pixels and a coreset of 2 %.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
    training_options,
)
from blemish.domain.entities import Label
from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.bundle import Bundle
from blemish.engine.graph.sessions import open_session
from blemish.engine.images.decode import decode
from blemish.engine.images.resize import graph_size, least_decoded, resize
from blemish.engine.runtime import Detector
from blemish.engine.scorers.coreset import select_coreset
from blemish.engine.scorers.memory_bank import BANK_ROWS, random_projection
from blemish.engine.training.train import train

IMAGES, JUDGED = 80, 12

Measured = dict[str, float]


def one_scorer(files: Sequence[Path], backbone: Path | None) -> Measured:
    """Do what PatchCore does to learn: features, and a coreset of them."""
    began, generator = time.perf_counter(), np.random.default_rng(0)
    with threadpool_limits(1):
        width, height = graph_size(*decode(files[0].read_bytes(), limits=LIMITS).upright_size)
        embedder = Embedder(load_backbone(backbone), width=width, height=height, threads=THREADS)
        projection = random_projection(embedder.width, seed=0)
        at_least = least_decoded(width, height)

        def embedded(file: Path) -> NDArray[np.float32]:
            pixels = decode(file.read_bytes(), limits=LIMITS, at_least=at_least).pixels
            return embedder.embed(resize(pixels, width=width, height=height))

        candidates = bank_candidates(
            map(embedded, files), len(files), projection, generator=generator
        )
        select_coreset(candidates, min(BANK_ROWS, len(candidates)), generator=generator)
    return {"seconds": time.perf_counter() - began, "peak_mib": _peak_mib()}


def full_training(folder: Path, backbone: Path | None) -> tuple[Measured, Bundle]:
    """Train as the server does, on normal images alone."""
    options = training_options(backbone, seed=0)
    images = [image for image in read_folder(folder)[0] if image.label is Label.NORMAL]
    began = time.perf_counter()
    bundle = train(images[:IMAGES], options=options, progress=lambda _: None).bundle
    return {"seconds": time.perf_counter() - began, "peak_mib": _peak_mib()}, bundle


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def steps(bundle: Bundle, backbone: Path | None) -> dict[str, Callable[[bytes], Any]]:
    """Return what a detection consists of, and its whole, each as a function of an image."""
    detector, network = Detector.load(bundle, threads=THREADS), load_backbone(backbone)
    graph = open_session(bundle.model, threads=THREADS)
    bare = open_session(network.model.SerializeToString(), threads=THREADS)
    width, height = bundle.info.graph_size
    planes = np.zeros((1, 3, height, width), dtype=np.float32)
    pixels = np.zeros((1, height, width, 3), dtype=np.uint8)

    def decoded(data: bytes) -> None:
        image = decode(data, limits=LIMITS, at_least=bundle.info.decoded_at_least)
        resize(image.pixels, width=width, height=height)

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
    its = [node for node in model.graph.node if node.op_type == "Conv"]
    return [constants[name] for node in its for name in node.input[1:]]


@contextmanager
def started_peer(python: Path, backbone: Path) -> Iterator[Peer]:
    """Start anomalib with the weights of an ONNX ResNet-18."""
    with TemporaryDirectory() as folder:
        weights = Path(folder, "weights.npz")
        np.savez(weights, *convolutions(backbone))
        command = [str(python), str(ROOT / "benchmarks/speed_peer.py"), str(weights), str(THREADS)]
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
    runs: dict[str, Callable[[bytes], Any]],
    peer: Peer | None,
    files: Sequence[Path],
    *,
    rounds: int,
) -> Measured:
    """Return the median milliseconds of each step and of the peer, all in turn."""
    times: dict[str, list[float]] = {name: [] for name in (*runs, *(["peer"] if peer else []))}
    for file in [*files[:2], *rounds * list(files)]:
        data = file.read_bytes()
        for name, run in runs.items():
            began = time.perf_counter()
            run(data)
            times[name].append(1_000 * (time.perf_counter() - began))
        if peer:
            times["peer"].append(peer.ask("detect", str(file))["ms"])
    median = {name: statistics.median(its[2:]) for name, its in times.items()}  # less a warm-up
    median["rest"] = median["whole"] - median["decode"] - median["graph"]
    median["share of the backbone"] = median["backbone"] / median["whole"]
    median["graph / backbone"] = median["graph"] / median["backbone"]
    if peer:
        median["whole / peer"] = median["whole"] / median["peer"]
    return median


def measure(folder: Path, backbone: Path | None, peer: Peer | None, *, rounds: int) -> Any:
    """Measure training, then detection."""
    files = sorted((folder / "train" / "normal").iterdir())[:IMAGES]
    judged = [
        f for label in Label for f in sorted((folder / "test" / label).iterdir())[: JUDGED // 2]
    ]
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        training = {"one scorer": pool.submit(one_scorer, files, backbone).result()}
        training["full training"], bundle = pool.submit(full_training, folder, backbone).result()
    if peer:
        training["peer"] = peer.ask("fit", [str(file) for file in files])
        training["one scorer / peer"] = {
            name: value / training["peer"][name] for name, value in training["one scorer"].items()
        }
    detection = alternate(steps(bundle, backbone), peer, judged, rounds=rounds)
    return {"folder": folder.name, "training": training, "detection_ms": detection}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SHARED / "data" / "solar_cells")
    parser.add_argument("--backbone", type=Path, default=PRETRAINED)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peer", type=Path, default=PEER_PYTHON)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/speed.json")
    arguments = parser.parse_args()
    told = arguments.folder, arguments.backbone
    if arguments.peer.is_file():
        with started_peer(arguments.peer, arguments.backbone) as peer:
            measured = measure(*told, peer, rounds=arguments.rounds)
    else:
        print(f"{arguments.peer} is absent: measured without anomalib.")
        measured = measure(*told, None, rounds=arguments.rounds)
    for name, its in measured["training"].items():
        print(f"{name:22} {its['seconds']:8.2f} s {its['peak_mib']:8.1f} MiB")
    for name, value in measured["detection_ms"].items():
        print(f"{name:22} {value:8.2f}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
