"""The demo's page: heat maps from the model's own bundle, masks as the API answered them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.demo.report import ReportRow, TypeArea, write_report
from blemish.domain.entities import Label
from blemish.domain.limits import OURS
from blemish.engine.images.decode import ImageLimits, decode
from blemish.engine.images.orientation import turn
from blemish.engine.metrics import precision_recall_f1
from blemish.engine.runtime import Detector
from blemish.server.stores import bundles_of
from blemish.service.training.training import TRAINED
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory

BACKGROUND = "background"


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the server says about one test image."""

    path: Path
    truth: Label
    answer: Mapping[str, Any]

    @property
    def verdict(self) -> Label:
        """The label that the answer gives the image."""
        return Label.ANOMALY if self.answer["IsAnomalous"] else Label.NORMAL


def write_page(
    path: Path,
    *,
    results: Sequence[DemoResult],
    model: Mapping[str, Any],
    directory: DataDirectory,
) -> None:
    """Write the demo's page.

    The API of the original answers no heat map, so the bundle computes one for each image.
    """
    (name,) = (folder.name for folder in directory.bundles.iterdir())
    bundle = bundles_of(Settings(data_dir=directory.root), directory).read(name)
    detector = Detector.load(bundle, threads=1)
    evaluation = model["EvaluationResult"]
    path_of_result = directory.buckets / evaluation["Bucket"] / evaluation["Key"]
    document = json.loads(path_of_result.read_text())
    write_report(
        path,
        title=model["ModelArn"].rpartition(":")[2],
        rows=[_row(result, detector) for result in results],
        metrics=precision_recall_f1(
            np.array([result.truth is Label.ANOMALY for result in results]),
            np.array([result.verdict is Label.ANOMALY for result in results]),
        ),
        threshold=detector.info.threshold,
        trained_on=document["EvaluationDetails"]["NumberOfTrainingImages"],
        training_s=(model["EvaluationEndTimestamp"] - model["CreationTimestamp"]).total_seconds(),
        notes=_notes(model["StatusMessage"]),
    )


def _row(result: DemoResult, detector: Detector) -> ReportRow:
    data = result.path.read_bytes()
    image = decode(data, limits=ImageLimits.of(OURS))
    detection = detector.detect(data, limits=ImageLimits.of(OURS), mixed_sizes=True)
    mask = result.answer.get("AnomalyMask")
    return ReportRow(
        name=result.path.name,
        truth=result.truth,
        verdict=result.verdict,
        confidence=result.answer["Confidence"],
        pixels=image.pixels,
        anomaly_map=turn(detection.anomaly_map, image.orientation),
        mask=None if mask is None else turn(_pixels(mask), image.orientation),
        areas=tuple(
            TypeArea(
                name=area["Name"],
                share=area["PixelAnomaly"]["TotalPercentageArea"],
                color=area["PixelAnomaly"]["Color"],
            )
            for area in result.answer.get("Anomalies", [])
            if area["Name"] != BACKGROUND
        ),
    )


def _pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


def _notes(status_message: str) -> list[str]:
    """Return the notes of a training that succeeded."""
    note = status_message.removeprefix(TRAINED).strip()
    return [note] if note else []
