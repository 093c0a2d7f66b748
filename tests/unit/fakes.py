"""Runners that do at once what they are told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from blemish.domain.entities import InferenceUnits, Model
from blemish.engine.errors import BundleError
from blemish.engine.images.decode import ImageError, ImageLimits
from blemish.engine.runtime import AnomalyArea, Detection
from blemish.service.detection.detection import ModelBusyError
from blemish.service.models.hosting import Capacity, WaitReport, no_report
from blemish.service.training.runner import TrainingFailure, TrainingResult, TrainingSpec
from blemish.storage.errors import EncryptionError

Report = Callable[[str | None], None]
Step = Callable[[TrainingSpec, Report], TrainingResult | TrainingFailure]

ENDED_AT = "2024-05-01T12:30:00.250000+00:00"


class FakeTrainings:
    """A runner of trainings; each takes the next step."""

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.jobs: list[TrainingSpec] = []

    def train(self, job: TrainingSpec, *, report: Report) -> TrainingResult | TrainingFailure:
        self.jobs.append(job)
        return self._steps.pop(0)(job, report)


def trained(
    job: TrainingSpec, report: Report, *, notes: tuple[str, ...] = (), result: bytes = b"{}"
) -> TrainingResult:
    """Write what a training writes."""
    report("writing")
    folder = Path(job.folder)
    (folder / "bundle").mkdir()
    (folder / "bundle" / "model.onnx").write_bytes(b"graph")
    (folder / "manifest").write_bytes(b"lines")
    (folder / "result").write_bytes(result)
    name = f"{job.project}-{job.version}.json"
    return TrainingResult(
        performance={"f1_score": 0.5, "recall": 0.25, "precision": 0.75},
        notes=notes,
        evaluation_ended_at=ENDED_AT,
        files={
            "manifest": f"{job.output_prefix}EvaluationManifest-{name}",
            "result": f"{job.output_prefix}EvaluationResult-{name}",
        },
    )


class FakeHosting:
    """A runner of hosted models, which always answers the same."""

    def __init__(self, answer: Detection | ImageError | None = None) -> None:
        self.answer = answer
        #: how long the images in a full queue take; None while there is room in it
        self.busy_for_s: float | None = None
        #: why no bundle can be loaded
        self.damage: BundleError | EncryptionError | None = None
        #: models that fit into memory; None for all
        self.room: int | None = None
        #: what a load waits for, one after the other
        self.waits: Sequence[str] = ()
        #: units that judge images, of each loaded model
        self.units = 1
        #: called when a model is loaded, or waited for
        self.meanwhile: Callable[[], object] = lambda: None
        #: model -> (bundle, units, attempt)
        self.loaded: dict[int, tuple[str, InferenceUnits, int]] = {}
        self.requests: list[Mapping[str, object]] = []

    def load(
        self,
        model_id: int,
        bundle: str,
        *,
        units: InferenceUnits,
        attempt: int,
        report: WaitReport = no_report,
    ) -> None:
        if self.damage:
            raise self.damage
        for reason in self.waits:
            self.meanwhile()
            report(reason)
        self.loaded[model_id] = (bundle, units, attempt)
        self.meanwhile()

    def unload(self, model_id: int, *, attempt: int | None = None) -> None:
        found = self.loaded.get(model_id)
        if found and (attempt is None or found[2] <= attempt):
            del self.loaded[model_id]

    def fitting(self, bundles: Sequence[str]) -> int:
        return len(bundles) if self.room is None else min(self.room, len(bundles))

    def capacities(self) -> Mapping[int, Capacity]:
        return {model_id: Capacity(units=self.units, waiting=0) for model_id in self.loaded}

    def unload_outdated(self, models: Sequence[Model]) -> None:
        self.loaded = {model.id: self.loaded[model.id] for model in models}

    async def detect(
        self,
        model: Model,
        data: bytes,
        *,
        limits: ImageLimits,
        mixed_sizes: bool,
        timeout_s: float,
    ) -> Detection | None:
        if self.busy_for_s is not None:
            raise ModelBusyError(wait_s=self.busy_for_s)
        self.requests.append(
            {
                "model_id": model.id,
                "data": data,
                "limits": limits,
                "mixed_sizes": mixed_sizes,
                "timeout_s": timeout_s,
            }
        )
        self.meanwhile()
        if self.damage:
            raise self.damage
        if isinstance(self.answer, ImageError):
            raise self.answer
        return self.answer


def detection(
    *,
    is_anomalous: bool = True,
    confidence: float = 0.75,
    anomalies: tuple[AnomalyArea, ...] | None = None,
    mask: list[list[int]] | None = None,
    colors: tuple[str, ...] = ("#FFFFFF",),
) -> Detection:
    """Return what a detector says about an image of 3 x 2 pixels."""
    return Detection(
        score=2.5,
        threshold=2.0,
        is_anomalous=is_anomalous,
        confidence=confidence,
        anomaly_map=np.zeros((2, 3), dtype=np.float32),
        stored_size=(3, 2),
        anomalies=anomalies,
        classes=None if mask is None else np.array(mask, dtype=np.uint8),
        colors=colors,
    )
