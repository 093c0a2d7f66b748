"""What the detector's graph takes beside its bare backbone, at 256 x 256 with a full memory bank.

    python -m benchmarks.graph [--backbone NAME|FILE.onnx] [--rounds 40] [--results FILE.json]

Both run in turn, with the same threads and the same ONNX Runtime, and the median of their CPU time
is compared: other work on the machine lengthens both alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.surroundings import ROOT, SHARED, backbone_source
from blemish.engine.backbones.backbone import Backbone, load_backbone
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.graph.detector_graph import DetectorParts, detector_graph
from blemish.engine.graph.sessions import open_session
from blemish.engine.scorers.image_gaussian import IMAGE_GAUSSIAN, ImageGaussian
from blemish.engine.scorers.memory_bank import (
    BANK_ROWS,
    MEMORY_BANK,
    PRINCIPAL_WIDTH,
    PROJECTED_WIDTH,
    JoinedBanks,
    MemoryBank,
    bank_projections,
)
from blemish.engine.scorers.patch_classifier import HIDDEN, PatchClassifier
from blemish.engine.scorers.scorer import FittedScorer, ScoreKey, Scorer
from blemish.engine.scorers.subspace import SUBSPACE, Subspace
from blemish.engine.training.calibration import Calibration
from blemish.engine.training.fusion import Fusion

SIDE = 256
WARM_UP = 3


def random_parts(backbone: Backbone, *, classes: int) -> DetectorParts:
    """Fill a detector with random numbers: its time does not depend on them."""
    generator = np.random.default_rng(0)
    embedder = Embedder(backbone, width=SIDE, height=SIDE, threads=1)
    width, scorers = embedder.width, _random_scorers(embedder, generator)
    head = PatchClassifier(
        hidden_weights=generator.standard_normal((width, HIDDEN), dtype=np.float32),
        hidden_bias=np.zeros(HIDDEN, dtype=np.float32),
        weights=generator.standard_normal((HIDDEN, classes), dtype=np.float32),
        bias=np.zeros(classes, dtype=np.float32),
        speck_area=1.0,
    )
    keys = [ScoreKey(scorer) for scorer in scorers]
    map_keys = [key for key in keys if key.scorer.scores_patches]
    return DetectorParts(
        backbone=backbone,
        scorers=scorers,
        scales={},
        fusion=Fusion(base=0.0, weights=dict.fromkeys(keys, 1.0)),
        map_fusion=Fusion(base=0.0, weights=dict.fromkeys(map_keys, 1.0)),
        calibration=Calibration(threshold=1.0, slope=1.0, midpoint=1.0, notes=()),
        head=head if classes else None,
    )


def _random_scorers(
    embedder: Embedder, generator: np.random.Generator
) -> dict[Scorer, FittedScorer]:
    """Draw the scorers of a detector that is averaged; the subspace has half of the width."""
    width, half, images = embedder.width, embedder.width // 2, 80
    (projection,) = bank_projections(
        embedder.channels, seed=0, alternatives=False, networks=embedder.networks
    ).values()
    banks = [
        MemoryBank(
            projection=projection[:, start : start + PRINCIPAL_WIDTH],
            center=np.zeros(PRINCIPAL_WIDTH, dtype=np.float32),
            rows=generator.standard_normal((BANK_ROWS, PRINCIPAL_WIDTH), dtype=np.float32),
        )
        for start in range(0, projection.shape[1], PROJECTED_WIDTH)
    ]
    bank = JoinedBanks(banks=(banks[0], banks[1])) if len(banks) > 1 else banks[0]
    if embedder.bank_alone:
        return {MEMORY_BANK: bank}
    return {
        MEMORY_BANK: bank,
        SUBSPACE: Subspace(
            center=np.zeros(width, dtype=np.float32), rest=np.eye(width, half, dtype=np.float32)
        ),
        IMAGE_GAUSSIAN: ImageGaussian(
            center=np.zeros(2 * width, dtype=np.float32),
            directions=np.eye(2 * width, images, dtype=np.float32),
            variances=np.ones(images, dtype=np.float32),
            rest=1.0,
        ),
    }


def contenders(backbone: Backbone, *, threads: int) -> dict[str, Callable[[], Any]]:
    """Return what is compared, ready to run."""
    generator = np.random.default_rng(1)
    image = generator.standard_normal((1, 3, SIDE, SIDE), dtype=np.float32)
    pixels = generator.integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    bare = open_session(backbone.model.SerializeToString(), threads=threads)
    runs: dict[str, Callable[[], Any]] = {
        "backbone": partial(bare.run, None, {backbone.input_name: image})
    }
    for name, classes in (("classification model", 0), ("segmentation model, one type", 2)):
        graph = detector_graph(random_parts(backbone, classes=classes), width=SIDE, height=SIDE)
        session = open_session(graph.SerializeToString(), threads=threads)
        runs[name] = partial(session.run, None, {"pixels": pixels})
    return runs


def medians(runs: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, dict[str, float]]:
    """Run all in turn; return the median milliseconds of each, by the wall and of the CPU."""
    wall: dict[str, list[float]] = {name: [] for name in runs}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(WARM_UP + rounds):
        for name, run in runs.items():
            start, busy = time.perf_counter(), time.process_time()
            run()
            wall[name].append(1_000 * (time.perf_counter() - start))
            cpu[name].append(1_000 * (time.process_time() - busy))
    return {
        name: {
            "wall_ms": statistics.median(wall[name][WARM_UP:]),
            "cpu_ms": statistics.median(cpu[name][WARM_UP:]),
        }
        for name in runs
    }


def main() -> None:
    """Measure with one thread and with two, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    pretrained = SHARED / "weights" / "resnet18-layer1-3.onnx"
    parser.add_argument("--backbone", type=backbone_source, default=pretrained)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/graph.json")
    arguments = parser.parse_args()

    backbone = load_backbone(arguments.backbone)
    rows: list[dict[str, object]] = []
    print("threads | what | wall ms | CPU ms | CPU time / backbone's")
    for threads in (1, 2):
        times = medians(contenders(backbone, threads=threads), rounds=arguments.rounds)
        for name, its in times.items():
            ratio = its["cpu_ms"] / times["backbone"]["cpu_ms"]
            rows.append({"threads": threads, "what": name, **its, "ratio": ratio})
            print(f"{threads} | {name} | {its['wall_ms']:.1f} | {its['cpu_ms']:.1f} | {ratio:.2f}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
