"""How memory and time of a training grow with its images: 1,000 of them, then 16,000.

    python -m benchmarks.scale [--images 1000 16000] [--backbone FILE.onnx] [--results FILE.json]

The images are the shared ones, repeated; each repetition is turned over, cut and lit in its own
way, which its number alone decides. What it takes to make them is not counted. The trainings run
on two threads, each in a process of its own. On a busy machine the time of its processors says more
than that of the wall.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.folders import read_folder
from benchmarks.quality_plan import find_sets
from benchmarks.quality_trial import peak_mib
from benchmarks.surroundings import ROOT, SHARED, training_options
from blemish.domain.entities import Label
from blemish.engine.training.labeled_images import LabeledImage
from blemish.engine.training.train import train

MOST_CUT = 0.1  # of each side
GAIN = (0.8, 1.2)


class Maker:
    """Makes images out of others, and keeps the time that it takes."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def make(self, path: Path, number: int) -> bytes:
        """Return the repetition of an image that has this number; always the same bytes."""
        began = time.process_time()
        data = repetition(path.read_bytes(), number)
        self.spent_s += time.process_time() - began
        return data


def repetition(data: bytes, number: int) -> bytes:
    """Turn an image over, cut and light it as its number says; an encoded JPEG."""
    generator = np.random.default_rng(number)
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    for turn in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM):
        if generator.random() < 0.5:
            image = image.transpose(turn)
    cut = generator.uniform(0, MOST_CUT, 4) * np.tile(image.size, 2)
    left, top, right, bottom = np.round(cut).astype(int).tolist()
    box = (left, top, image.width - right, image.height - bottom)
    lit = np.asarray(image.resize(image.size, box=box)) * generator.uniform(*GAIN)
    made = io.BytesIO()
    Image.fromarray(lit.clip(0, 255).astype(np.uint8)).save(made, "JPEG", quality=92)
    return made.getvalue()


def repeated(folders: Sequence[Path], count: int, maker: Maker) -> list[LabeledImage]:
    """Return so many images: nine in ten normal, the rest anomalies without a mask."""
    kinds: dict[Label, list[Path]] = {label: [] for label in Label}
    for folder in folders:
        for part in read_folder(folder):
            for image in part:
                kinds[image.label].append(folder / image.name)
    turns = {label: cycle(paths) for label, paths in kinds.items()}
    images = []
    for number in range(count):
        label = Label.ANOMALY if number % 10 == 9 else Label.NORMAL
        read = partial(maker.make, next(turns[label]), number)
        images.append(LabeledImage(name=f"{number}", label=label, read=read))
    return images


def measure(folders: Sequence[Path], count: int, backbone: Path | None) -> dict[str, float]:
    """Train on so many images."""
    maker = Maker()
    images = repeated(folders, count, maker)
    options = training_options(backbone, seed=0)
    began, cpu_began = time.perf_counter(), time.process_time()
    train(images, options=options, progress=lambda _: None)
    spent_s = time.perf_counter() - began - maker.spent_s
    cpu_s = time.process_time() - cpu_began - maker.spent_s
    return {
        "images": count,
        "peak_mib": peak_mib(),
        "training_s": round(spent_s, 1),
        "ms_per_image": round(1_000 * spent_s / count, 2),
        "cpu_ms_per_image": round(1_000 * cpu_s / count, 2),
    }


def main() -> None:
    """Measure each number of images and print a line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 16_000])
    parser.add_argument("--backbone", type=Path, default=None)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/scale.json")
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        print(f"{SHARED} is absent: set BLEMISH_SHARED to the shared images.")
        return
    folders, rows = find_sets(SHARED / "data"), []
    print("| images | peak MiB | training s | ms an image | CPU ms an image |")
    print("| --- | --- | --- | --- | --- |")
    for count in arguments.images:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            row = pool.submit(measure, folders, count, arguments.backbone).result()
        rows.append(row)
        print(f"| {' | '.join(f'{value:g}' for value in row.values())} |", flush=True)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
