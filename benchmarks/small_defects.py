"""How small a defect may be: recall of pasted defects by size, at two resolutions.

One is the usual resolution, the other the one that a training selects.

    python -m benchmarks.small_defects [SET ...] [--backbone FILE.onnx] [--normals 30]
        [--results FILE.json]

Each set of `../shared/data` is trained on normal images alone. Defects of 4 to 64 pixels of the
stored image are pasted into normal images of the test. `module` is made of the solar cells: sixteen
of them, four by four, make an image of 1,200 x 1,200 pixels.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.folders import read_folder
from benchmarks.pasted_defects import SIZES, Pixels, with_defect
from benchmarks.surroundings import LIMITS, ROOT, SHARED, training_options
from blemish.domain.entities import Label
from blemish.engine.images.decode import decode
from blemish.engine.runtime import Detector
from blemish.engine.training.labeled_images import LabeledImage
from blemish.engine.training.resolutions import LONG_SIDES
from blemish.engine.training.train import train

SETS = (
    "casting",
    "cookies",
    "magnetic_tile",
    "paper/PA_BDP01_TL",
    "paper/PA_BRG03_TL",
    "paper/PA_FVN02_RL",
    "solar_cells",
    "module",
)
MODULE_SIDE = 4
DEFECTS = 20
"""Images with a defect of each size, and the most normal images of a test."""


@dataclass(frozen=True, kw_only=True)
class NormalImages:
    """The normal images of a set."""

    training: Sequence[LabeledImage]
    test: Sequence[Pixels]


def normal_images(name: str, *, normals: int) -> NormalImages:
    """Return at most so many normal images of a set, and those of its test."""
    folder = SHARED / "data" / ("solar_cells" if name == "module" else name)
    parts = [
        [image for image in part if image.label is Label.NORMAL] for part in read_folder(folder)
    ]
    if name == "module":
        parts = [list(_modules(part)) for part in parts]
        images = [*parts[0], *parts[1]]
        parts = [images[:-DEFECTS], images[-DEFECTS:]]
    training, test = parts[0][:normals], parts[1][:DEFECTS]
    return NormalImages(training=training, test=[_pixels(image) for image in test])


def _modules(cells: Sequence[LabeledImage]) -> Iterator[LabeledImage]:
    """Yield images of sixteen cells."""
    count = MODULE_SIDE**2
    for number in range(len(cells) // count):
        pixels = [_pixels(cell) for cell in cells[number * count : (number + 1) * count]]
        starts = range(0, count, MODULE_SIDE)
        rows = [np.concatenate(pixels[start : start + MODULE_SIDE], axis=1) for start in starts]
        read = partial(bytes, _png(np.concatenate(rows)))
        yield LabeledImage(name=f"module-{number}.png", label=Label.NORMAL, read=read, mask=None)


def _pixels(image: LabeledImage) -> Pixels:
    return decode(image.read(), limits=LIMITS).pixels


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def measure(
    images: NormalImages, *, backbone: Path | None, resolution: int | None
) -> dict[str, Any]:
    """Train at a resolution, or at the one that the training selects, and detect."""
    options = replace(training_options(backbone, seed=0), resolution=resolution)
    began = time.perf_counter()
    report = train(images.training, options=options, progress=lambda _: None)
    training_s = time.perf_counter() - began
    detector = Detector.load(report.bundle, threads=1)
    times: list[float] = []

    def is_anomalous(pixels: Pixels) -> bool:
        data = _png(pixels)
        start = time.perf_counter()
        detection = detector.detect(data, limits=LIMITS, mixed_sizes=True)
        times.append(1_000 * (time.perf_counter() - start))
        return detection.is_anomalous

    alarms = [is_anomalous(pixels) for pixels in images.test]
    recalls = {}
    for size in SIZES:
        bases = [images.test[number % len(images.test)] for number in range(DEFECTS)]
        pasted = [with_defect(base, size, seed=(size, row)) for row, base in enumerate(bases)]
        recalls[str(size)] = float(np.mean([is_anomalous(pixels) for pixels in pasted]))
    return {
        "graph": list(report.bundle.info.graph_size),
        "recall": recalls,
        "false_alarms": float(np.mean(alarms)),
        "detection_ms": float(np.median(times)),
        "training_s": training_s,
        "notes": [note for note in report.notes if note.startswith("Images are seen")],
    }


def main() -> None:
    """Measure each set twice and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--backbone", type=Path)
    parser.add_argument("--normals", type=int, default=30)
    parser.add_argument(
        "--results", type=Path, default=ROOT / "benchmarks/results/small_defects.json"
    )
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    print(f"set | graph | recall at {SIZES} px | false alarms | detection ms | training s")
    for name in arguments.sets:
        images = normal_images(name, normals=arguments.normals)
        is_small = max(images.test[0].shape) < LONG_SIDES[1]  # then nothing is selected
        for resolution in LONG_SIDES[:1] if is_small else (LONG_SIDES[0], None):
            row = measure(images, backbone=arguments.backbone, resolution=resolution)
            results.append({"set": name, "resolution": resolution, **row})
            recalls = " ".join(f"{recall:.2f}" for recall in row["recall"].values())
            graph = "x".join(map(str, row["graph"]))
            print(
                f"{name} | {graph} | {recalls} | {row['false_alarms']:.2f} | "
                f"{row['detection_ms']:.0f} | {row['training_s']:.0f}",
                *row["notes"],
                flush=True,
            )
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
