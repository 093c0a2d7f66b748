"""Trainings whose results are recorded: a change of the code must not change a trained bundle.

The records were made again when every memory bank was reduced to principal directions, and its
graph became faster; until then they came from the version before the engine was divided into
packages. The last bits of a
matrix product depend on the processor and on the libraries: OPENBLAS_CORETYPE=Haswell alone changes
the digest of every model, and the scores by 4e-7. So the digest of `model.onnx` is compared only
where `arithmetic`, a short computation, has the recorded digest too. Everywhere else the structure
of the graph must be the same, and the scores of new images equal within 1e-3: ONNX Runtime has
other kernels for processors without AVX-512, and the scores differ by up to 4e-4 there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from blemish.engine.graph.sessions import open_session
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.runtime import Detector
from blemish.engine.training.labeled_images import LabeledImage
from blemish.engine.training.train import TrainingReport, train
from tests.products import LIMITS, anomalous_images, labeled, normal_images, options

ARITHMETIC = "67ae94a579f19a1a"
"""`arithmetic` on the machine on which the digests were recorded: AMD EPYC with AVX-512."""

NEW_IMAGES = [labeled(9_000), labeled(9_001, "stain"), labeled(9_002, "hole")]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a training led to."""

    #: SHA-256 of model.onnx; None since the graph measures the embedding distance
    model: str | None
    #: of its nodes, and of the shapes of its constants
    structure: str
    #: the selected candidate
    selection: str
    #: of `NEW_IMAGES`
    scores: list[float]


def normals_only() -> list[LabeledImage]:
    return normal_images(6)


def few_anomalies() -> list[LabeledImage]:
    return normal_images(6) + anomalous_images(4, "stain")


def many_anomalies() -> list[LabeledImage]:
    stains = anomalous_images(6, "stain")
    return normal_images(12) + stains + anomalous_images(5, "hole", first=2_000)


def some_masks() -> list[LabeledImage]:
    stains = anomalous_images(4, "stain", masked=True)
    return normal_images(6) + stains + anomalous_images(3, "hole", first=2_000)


RECORDS: dict[Callable[[], list[LabeledImage]], Record] = {
    normals_only: Record(
        model="5a100e5161beef3777756d8709c4a26997b2e4843304463ccd6ce150fb08f955",
        structure="8fcef85bc0feeaad",
        selection="average",
        scores=[1.06184, 60.1513, 44.0103],
    ),
    few_anomalies: Record(
        model="5a100e5161beef3777756d8709c4a26997b2e4843304463ccd6ce150fb08f955",
        structure="8fcef85bc0feeaad",
        selection="average",
        scores=[1.06184, 60.1513, 44.0103],
    ),
    many_anomalies: Record(
        model=None,
        structure="d7ed87c521c31a8e",
        selection="average, heads x 0.52",
        scores=[1.0085, 71.6383, 57.2619],
    ),
    some_masks: Record(
        model="9086f7dd6eaab80937676f8aed0dd10ee76d0ffd897546a8ffa9bd0d2f23c45f",
        structure="7e60a5055261d985",
        selection="average",
        scores=[1.06184, 60.1513, 44.0103],
    ),
}


@pytest.mark.parametrize("shape", RECORDS, ids=lambda shape: shape.__name__)
def test_a_training_makes_the_recorded_bundle(
    shape: Callable[[], list[LabeledImage]], backbone_file: Path
) -> None:
    report = trained(shape(), backbone_file)

    record = RECORDS[shape]
    selection = report.bundle.info.history["selection"]
    assert selection["chosen"] == record.selection
    assert structure(report.bundle.model) == record.structure
    assert scores(report) == pytest.approx(record.scores, rel=1e-3)
    if record.model is not None and arithmetic() == ARITHMETIC:
        assert hashlib.sha256(report.bundle.model).hexdigest() == record.model


def trained(images: list[LabeledImage], backbone: Path | None) -> TrainingReport:
    return train(images, options=options(backbone), progress=lambda _: None)


def scores(report: TrainingReport) -> list[float]:
    detector = Detector.load(report.bundle, threads=1)
    return [
        detector.detect(image.read(), limits=LIMITS, mixed_sizes=False).score
        for image in NEW_IMAGES
    ]


def structure(model: bytes) -> str:
    """Return a digest of a graph without the values of its constants."""
    graph = onnx.load_model_from_string(model).graph
    lines = [f"{node.op_type} {list(node.input)} {list(node.output)}" for node in graph.node]
    lines += [
        f"{attribute.name} {helper.get_attribute_value(attribute)}"
        for node in graph.node
        for attribute in node.attribute
    ]
    lines += [f"{value.name} {value.data_type} {value.dims}" for value in graph.initializer]
    lines += [str(value) for value in (*graph.input, *graph.output)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def arithmetic() -> str:
    """Return a digest of what this machine and these libraries compute, to the last bit."""
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((300, 28), dtype=np.float32)
    values, directions = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    graph = GraphWriter()
    image = graph.input("image", np.float32, (1, 3, 64, 64))
    kernel = graph.constant(generator.standard_normal((12, 3, 8, 8), dtype=np.float32))
    graph.add("Conv", image, kernel, output="convolved", strides=[8, 8])
    graph.output("convolved", np.float32, (1, 12, 8, 8))
    session = open_session(graph.model().SerializeToString(), threads=1)
    pixels = generator.standard_normal((1, 3, 64, 64), dtype=np.float32)
    (convolved,) = session.run(None, {"image": pixels})
    digest = hashlib.sha256()
    for array in (rows @ rows.T, values, directions, np.exp(rows), convolved):
        digest.update(np.ascontiguousarray(array).tobytes())
    for name in ("numpy", "onnx", "onnxruntime", "pillow"):
        digest.update(f"{name} {version(name)}".encode())
    return digest.hexdigest()[:16]
