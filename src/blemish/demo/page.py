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
class Found:
    """What the server says about one test image."""

    path: Path
    truth: Label
    answer: Mapping[str, Any]

    @property
    def verdict(self) -> Label:
        """The label that the answer gives the image."""
        return Label.ANOMALY if self.answer["IsAnomalous"] else Label.NORMAL


def write_page(
    path: Path, *, found: Sequence[Found], model: Mapping[str, Any], directory: DataDirectory
) -> None:
    """Write the demo's page.

    A client of the original gets no heat map: each image is judged once more by the bundle.
    """
    (name,) = (folder.name for folder in directory.bundles.iterdir())
    bundle = bundles_of(Settings(data_dir=directory.root), directory).read(name)
    detector = Detector.load(bundle, threads=1)
    result = directory.buckets / model["EvaluationResult"]["Bucket"]
    document = json.loads((result / model["EvaluationResult"]["Key"]).read_text())
    write_report(
        path,
        title=model["ModelArn"].rpartition(":")[2],
        rows=[_row(each, detector) for each in found],
        metrics=precision_recall_f1(
            np.array([each.truth is Label.ANOMALY for each in found]),
            np.array([each.verdict is Label.ANOMALY for each in found]),
        ),
        threshold=detector.info.threshold,
        trained_on=document["EvaluationDetails"]["NumberOfTrainingImages"],
        training_s=(model["EvaluationEndTimestamp"] - model["CreationTimestamp"]).total_seconds(),
        notes=_notes(model["StatusMessage"]),
    )


def _row(found: Found, detector: Detector) -> ReportRow:
    data = found.path.read_bytes()
    image = decode(data, limits=ImageLimits.of(OURS))
    detection = detector.detect(data, limits=ImageLimits.of(OURS), mixed_sizes=True)
    mask = found.answer.get("AnomalyMask")
    return ReportRow(
        name=found.path.name,
        truth=found.truth,
        verdict=found.verdict,
        confidence=found.answer["Confidence"],
        pixels=image.pixels,
        anomaly_map=turn(detection.anomaly_map, image.orientation),
        mask=None if mask is None else turn(_pixels(mask), image.orientation),
        areas=tuple(
            TypeArea(
                name=area["Name"],
                share=area["PixelAnomaly"]["TotalPercentageArea"],
                color=area["PixelAnomaly"]["Color"],
            )
            for area in found.answer.get("Anomalies", [])
            if area["Name"] != BACKGROUND
        ),
    )


def _pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


def _notes(status_message: str) -> list[str]:
    """Return what the training had to say beside that it went well."""
    note = status_message.removeprefix(TRAINED).strip()
    return [note] if note else []
