"""Whether a backbone is shipped in 8 bits: decided here, when a release is made, by measurement.

    python -m benchmarks.quantization [FOLDER ...] [--backbone FILE.onnx] [--to FILE.onnx]

ONNX Runtime's static quantization: activations of 8 bits without a sign, weights of 8 bits with one
for each channel, ranges from six normal images of each folder, which are in no test. With both
networks a memory bank then detects on the same draws of the other normal images; 8 bits are taken
where they are quicker and the image AUROC of no folder is worse by more than `MAY_LOSE`.

Measured on an AMD EPYC with VNNI, ONNX Runtime 1.32: ImageNet ResNet-18 in 0.31 of the time, its
features off by 10 %, image AUROC on cookies, magnetic_tile, casting, solar_cells and a paper less
by 0.000, 0.006, 0.001, -0.001 and 0.007; a procedural network of 6.5 MB in 0.32 of the time, on
cookies, casting and the paper less by 0.009, 0.003 and 0.006 (standard errors 0.004 to 0.008). So
neither is shipped in 8 bits. This was with a smaller bank, no weights at the border, and ranges
from images that were tested too, if anything in favour of 8 bits. Measured as it is now on an
AMD EPYC without VNNI: ResNet-18 in 0.54 of the time, its features off by 36 %, since sums of such
products overflow there, image AUROC on the same five more by 0.003 and less by 0.028, 0.006, 0.008
and 0.006 (0.004 to 0.009). Ranges by percentile, weights of 7 bits and a first layer of 32 were no
better.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.banks import bank_candidates, bank_score
from benchmarks.folders import read_folder
from benchmarks.surroundings import LIMITS, ROOT, SHARED
from blemish.domain.entities import Label
from blemish.engine.backbones.backbone import Backbone, load_backbone
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.graph.sessions import open_session
from blemish.engine.images.decode import decode
from blemish.engine.images.resize import IMAGENET_DEVIATION, IMAGENET_MEAN, resize
from blemish.engine.metrics import roc_auc
from blemish.engine.scorers.memory_bank import fit_memory_bank, random_projection
from blemish.engine.training.labeled_images import LabeledImage

SIDE, MOST, CALIBRATING, DRAWS, ROUNDS = 256, 150, 6, 5, 20
MAY_LOSE = 0.005
MUST_SAVE = 0.9  # of the time, at most

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Set:
    """Images of one folder."""

    name: str
    #: normal images that ranges are taken from, and nothing else is
    calibrating: list[Pixels]
    #: what is learned from and tested
    pixels: list[Pixels]
    #: (n,) of these
    anomalous: NDArray[np.bool_]


def read_set(folder: Path) -> Set:
    """Read at most `MOST` images of both parts, drawn at random, and the calibrating ones."""
    images = [image for part in read_folder(folder) for image in part]
    drawn = [images[i] for i in np.random.default_rng(0).permutation(len(images))]
    calibrating = [image for image in drawn if image.label is Label.NORMAL][:CALIBRATING]
    kept = [image for image in drawn if image not in calibrating][:MOST]
    return Set(
        name=folder.name,
        calibrating=[_pixels(image) for image in calibrating],
        pixels=[_pixels(image) for image in kept],
        anomalous=np.array([image.label is Label.ANOMALY for image in kept]),
    )


def _pixels(image: LabeledImage) -> Pixels:
    return resize(decode(image.read(), limits=LIMITS).pixels, width=SIDE, height=SIDE)


class Calibrating(CalibrationDataReader):  # type: ignore[misc]
    """Hands the quantization one image after the other."""

    def __init__(self, name: str, images: Sequence[Pixels]) -> None:
        self._name = name
        self._left = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next image as the network's input."""
        pixels = next(self._left, None)
        return None if pixels is None else {self._name: planes(pixels)}


def planes(pixels: Pixels) -> NDArray[np.float32]:
    """Bring (H, W, 3) RGB to what a backbone takes, (1, 3, H, W)."""
    scaled = (pixels / np.float32(255) - IMAGENET_MEAN) / IMAGENET_DEVIATION
    return np.ascontiguousarray(scaled.astype(np.float32).transpose(2, 0, 1)[np.newaxis])


def quantized(backbone: Backbone, sets: Sequence[Set], path: Path) -> Backbone:
    """Write the backbone in 8 bits and read it again."""
    images = [pixels for its in sets for pixels in its.calibrating]
    with TemporaryDirectory() as folder:
        whole = Path(folder, "whole.onnx")
        onnx.save(backbone.model, whole)
        quantize_static(
            whole,
            path,
            Calibrating(backbone.input_name, images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    return load_backbone(path)


def aurocs(backbone: Backbone, its: Set) -> NDArray[np.float64]:
    """Return the image AUROC of a memory bank over several draws of half of the normal images."""
    embedder = Embedder(backbone, width=SIDE, height=SIDE, threads=2)
    projection = random_projection(embedder.width, seed=0)
    rows = [embedder.embed(pixels) for pixels in its.pixels]
    found = []
    for seed in range(DRAWS):
        generator = np.random.default_rng(seed)
        normal = generator.permutation(np.flatnonzero(~its.anomalous))
        known, rest = normal[: len(normal) // 2].tolist(), normal[len(normal) // 2 :]
        candidates = bank_candidates(
            (rows[i] for i in known), len(known), projection, generator=generator
        )
        bank = fit_memory_bank(candidates, projection, generator=generator)
        tested = np.concatenate([rest, np.flatnonzero(its.anomalous)])
        scores = np.array([bank_score(bank, rows[i], embedder.grid) for i in tested.tolist()])
        found.append(roc_auc(its.anomalous[tested], scores))
    return np.array(found, dtype=np.float64)


def compared(before: NDArray[np.float64], after: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean of (n,) image AUROC and of its paired change, which has an error.

    The standard error is that of the draws; on other images the change varies more.
    """
    change = after - before
    return {
        "image_auroc": float(before.mean()),
        "int8_less_float32": float(change.mean()),
        "standard_error": float(change.std(ddof=1)) / len(change) ** 0.5,
    }


def times_and_error(whole: Backbone, small: Backbone, pixels: Pixels) -> dict[str, float]:
    """Run both in turn with one thread: CPU milliseconds, and the relative error of the maps."""
    sessions = [open_session(b.model.SerializeToString(), threads=1) for b in (whole, small)]
    inputs = {whole.input_name: planes(pixels)}
    times: tuple[list[float], list[float]] = ([], [])
    maps: list[Any] = []
    for _ in range(ROUNDS):
        maps = []
        for session, its in zip(sessions, times, strict=True):
            began = time.process_time()
            maps.append(session.run(None, inputs))
            its.append(1_000 * (time.process_time() - began))
    errors = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(*maps, strict=True)]
    first, second = map(statistics.median, times)
    return {
        "float32_ms": first,
        "int8_ms": second,
        "time_ratio": second / first,
        "feature_error": float(max(errors)),
    }


def measure(folders: Sequence[Path], backbone: Path | None, to: Path) -> dict[str, Any]:
    """Quantise, compare and decide."""
    whole, sets = load_backbone(backbone), [read_set(folder) for folder in folders]
    small = quantized(whole, sets, to)
    measured: dict[str, Any] = times_and_error(whole, small, sets[0].pixels[0])
    with threadpool_limits(1):
        for its in sets:
            measured[its.name] = compared(aurocs(whole, its), aurocs(small, its))
    worst = min(measured[its.name]["int8_less_float32"] for its in sets)
    measured["take_int8"] = bool(measured["time_ratio"] <= MUST_SAVE and worst >= -MAY_LOSE)
    return measured


def main() -> None:
    """Measure and print the decision."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sets = ("cookies", "magnetic_tile", "casting", "solar_cells", "paper/PA_BRG03_TL")
    folders = [SHARED / "data" / name for name in sets]
    parser.add_argument("folders", nargs="*", type=Path, default=folders)
    parser.add_argument("--backbone", type=Path)
    parser.add_argument("--to", type=Path, default=ROOT / "benchmarks/results/int8.onnx")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "benchmarks/results/quantization.json"
    )
    arguments = parser.parse_args()
    for path in (arguments.to, arguments.results):
        path.parent.mkdir(parents=True, exist_ok=True)
    measured = measure(arguments.folders, arguments.backbone, arguments.to)
    for name, value in measured.items():
        print(f"{name:16} {value}")
    arguments.results.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
