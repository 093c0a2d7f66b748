"""One trial of `benchmarks.quality`: a training and its test, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.folders import read_folder
from benchmarks.measures import compared_map, compared_mask, pixel_measures
from benchmarks.quality_plan import Trial, is_public
from benchmarks.surroundings import LIMITS, ROOT, THREADS, training_options
from blemish.domain.entities import Label
from blemish.engine.images.masks import decode_mask
from blemish.engine.metrics import intersection_over_union
from blemish.engine.runtime import Detection, Detector
from blemish.engine.training.labeled_images import LabeledImage
from blemish.engine.training.train import train

MASKED_IMAGES = 60
"""Of each label: pixels are compared on at most so many."""

Masks = NDArray[np.bool_]


@dataclass(kw_only=True)
class Overlap:
    """Pixels of one anomaly type in truth and answer, over images whose truth is known."""

    both: int = 0
    truth: int = 0
    answer: int = 0
    #: IoU of each image that has the type in truth or answer
    ious: list[float] = field(default_factory=list)

    def add(self, truth: Masks, answer: Masks) -> None:
        """Count one image."""
        self.both += int((truth & answer).sum())
        self.truth += int(truth.sum())
        self.answer += int(answer.sum())
        if (iou := intersection_over_union(truth, answer)) is not None:
            self.ious.append(round(iou, 4))


class Pixels:
    """Gathers masks and anomaly maps of test images."""

    def __init__(self, *, room: int) -> None:
        self._masks: list[Masks] = []
        self._maps: list[NDArray[np.float32]] = []
        self._room = dict.fromkeys(Label, room)

    def add(
        self, image: LabeledImage, anomaly_map: NDArray[np.float32], stored: tuple[int, int]
    ) -> None:
        """Keep an image whose truth is known, while there is room."""
        truths = truths_of(image, stored)
        if truths is None or not self._room[image.label]:
            return
        self._room[image.label] -= 1
        mask = np.zeros(stored[::-1], dtype=np.bool_)
        for its in truths.values():
            mask |= its
        self._masks.append(compared_mask(mask, stored))
        self._maps.append(compared_map(anomaly_map, stored))

    def measures(self) -> dict[str, float | None]:
        """Return the pixel metrics."""
        return pixel_measures(self._masks, self._maps)


def truths_of(image: LabeledImage, stored: tuple[int, int]) -> dict[str, Masks] | None:
    """Return the mask of each anomaly type; None of an anomaly without a mask."""
    if image.label is Label.NORMAL:
        return {}
    if image.mask is None:
        return None
    return decode_mask(image.mask.read(), colors=image.mask.colors, size=stored)


def room_of(trial: Trial) -> int:
    """Return how many images of each label have their pixels compared: all of a public set."""
    return len(trial.test.normal + trial.test.anomaly) if is_public(trial.folder) else MASKED_IMAGES


def images_of(trial: Trial) -> tuple[list[LabeledImage], list[LabeledImage]]:
    """Return the images that a trial trains on, and those it tests: normal ones first."""
    images = {image.name: image for part in read_folder(trial.folder) for image in part}
    tested = trial.test.normal + trial.test.anomaly
    return [images[name] for name in trial.train], [images[name] for name in tested]


def _with_usable_mask(image: LabeledImage) -> LabeledImage:
    """Return an image without its mask if that is black: a training refuses it."""
    if image.mask is None:
        return image
    with Image.open(BytesIO(image.mask.read())) as mask:
        black = not np.asarray(mask.convert("RGBA"))[:, :, :3].any()  # palettes may have alpha
    return replace(image, mask=None) if black else image


def try_engine(trial: Trial, backbone: Path | str) -> dict[str, Any]:
    """Train and test our own engine; what it returns goes into the results as it is."""
    train_part, test_part = images_of(trial)
    options = training_options(backbone, seed=trial.seed)
    began = time.perf_counter()
    taught = [_with_usable_mask(image) for image in train_part]
    bundle = train(taught, options=options, progress=lambda _: None).bundle
    result: dict[str, Any] = {
        "training_s": round(time.perf_counter() - began, 3),
        "peak_mib": peak_mib(),
    }
    detector = Detector.load(bundle, threads=THREADS)
    pixels = Pixels(room=room_of(trial))
    overlaps = {name: Overlap() for name in detector.names[1:]}
    found = []
    for image in test_part:
        detection = detector.detect(image.read(), limits=LIMITS, mixed_sizes=True)
        pixels.add(image, detection.anomaly_map, detection.stored_size)
        _count(overlaps, image, detection)
        found.append(detection)
    return result | {
        "normals": len(trial.test.normal),
        "scores": [float(each.score) for each in found],
        "called": [int(each.is_anomalous) for each in found],
        "confidence": [round(each.confidence, 5) for each in found],
        "pixels": pixels.measures(),
        "overlaps": {name: asdict(its) for name, its in overlaps.items()},
    }


def _count(overlaps: dict[str, Overlap], image: LabeledImage, detection: Detection) -> None:
    """Count the pixels of an image for each type that the detector knows."""
    truths = truths_of(image, detection.stored_size)
    if detection.mask is None or truths is None:
        return
    nothing = np.zeros(detection.mask.shape, dtype=np.bool_)
    for value, (name, its) in enumerate(overlaps.items(), start=1):
        its.add(truths.get(name, nothing), detection.mask == value)


def try_peer(trial: Trial, python: Path, weights: Path) -> dict[str, Any]:
    """Have anomalib do the same in its own Python; `weights` are of the backbone's convolutions."""
    train_part, test_part = images_of(trial)
    with TemporaryDirectory() as folder:
        maps = Path(folder, "maps.npz")
        asked = {
            "model": trial.detector.split()[-1],
            "train": _paths(trial.folder, train_part),
            "test": _paths(trial.folder, test_part),
            "maps": str(maps),
            "seed": trial.seed,
            "threads": THREADS,
        }
        ended = subprocess.run(
            [str(python), "-W", "ignore", "-m", "benchmarks.quality_peer", str(weights)],
            input=json.dumps(asked),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=ROOT,
            env=os.environ | {"TQDM_DISABLE": "1"},
        )
        pixels = Pixels(room=room_of(trial))
        with np.load(maps) as found:
            for image, name in zip(test_part, found.files, strict=True):
                with Image.open(trial.folder / image.name) as opened:
                    pixels.add(image, found[name], opened.size)
    result: dict[str, Any] = json.loads(ended.stdout)
    return result | {"normals": len(trial.test.normal), "pixels": pixels.measures()}


def _paths(folder: Path, images: Sequence[LabeledImage]) -> list[str]:
    return [str(folder / image.name) for image in images]


def peak_mib() -> float:
    """Return the most memory that this process ever had; a fork's parent does not count."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return round(int(found[1]) / 1_024, 1)
