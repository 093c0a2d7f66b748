"""The evaluation manifest and the evaluation result that a training writes to its output.

Source: developer guide, "Viewing your model's performance": the two files and their members. The
names of the detected masks are ours, since the original does not document them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blemish.domain.entities import DatasetEntry, Label, ObjectRef
from blemish.domain.manifest import CLASSIFICATION, SEGMENTATION
from blemish.engine.evaluation import Evaluation, TypeMetrics, Verdict
from blemish.engine.runtime import AnomalyArea

JOB_NAME = "training-job/anomaly-detection"


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """Which model the files are about."""

    project: str
    version: int
    arn: str
    output_bucket: str
    output_prefix: str


def evaluation_keys(prefix: str, project: str, *, version: int) -> tuple[str, str]:
    """Return the keys of the evaluation manifest and of the evaluation result.

    Prefix and name are joined as they are: no slash comes between them.
    """
    return (
        f"{prefix}EvaluationManifest-{project}-{version}.json",
        f"{prefix}EvaluationResult-{project}-{version}.json",
    )


def mask_key(model: EvaluatedModel, row: int) -> str:
    """Return the key of the mask detected in the test image of a row."""
    return f"{model.output_prefix}EvaluationMasks-{model.project}-{model.version}/{row}.png"


def manifest_lines(
    model: EvaluatedModel,
    entries: list[DatasetEntry],
    evaluation: Evaluation,
    *,
    ended_at: datetime,
) -> Iterator[str]:
    """Yield the JSON Line of each test image, without line breaks."""
    for row, (entry, verdict) in enumerate(zip(entries, evaluation.verdicts, strict=True)):
        yield json.dumps(_line(model, entry, verdict, row=row, ended_at=ended_at))


def result_document(
    model: EvaluatedModel, evaluation: Evaluation, *, training_images: int, ended_at: datetime
) -> dict[str, Any]:
    """Return the evaluation result; what could not be measured is null in it."""
    metrics: dict[str, Any] = {
        "ROCAUC": evaluation.roc_auc,
        "AveragePrecision": evaluation.average_precision,
        "Precision": evaluation.precision,
        "Recall": evaluation.recall,
        "F1Score": evaluation.f1,
    }
    if evaluation.anomaly_types is not None:
        metrics["PixelAnomalyClassMetrics"] = [
            _of_type(found) for found in evaluation.anomaly_types
        ]
    return {
        "Version": 1,
        "EvaluationDetails": {
            "ModelArn": model.arn,
            "EvaluationEndTimestamp": _iso(ended_at),
            "NumberOfTrainingImages": training_images,
            "NumberOfTestingImages": len(evaluation.verdicts),
        },
        "AggregatedEvaluationResults": {"Metrics": metrics},
    }


def _of_type(found: TypeMetrics) -> Mapping[str, Any]:
    return {
        "Precision": found.precision,
        "Recall": found.recall,
        "F1Score": found.f1,
        "AIOU": found.average_iou,
        "ClassName": found.name,
    }


def _line(
    model: EvaluatedModel, entry: DatasetEntry, verdict: Verdict, *, row: int, ended_at: datetime
) -> dict[str, Any]:
    made = _iso(ended_at)
    labelled = _iso(entry.created_at) if entry.created_at else made
    line: dict[str, Any] = {
        "source-ref": str(entry.image),
        "source-ref-metadata": {"creation-date": labelled},
        "anomaly-label": int(verdict.label is Label.ANOMALY),
        "anomaly-label-metadata": {
            "class-name": verdict.label,
            "confidence": 1.0,
            "type": CLASSIFICATION,
            "human-annotated": "yes",
            "creation-date": labelled,
            "job-name": "labeling-job/anomaly-label",
        },
    }
    mask = None
    if verdict.anomalies is not None:
        mask = ObjectRef(bucket=model.output_bucket, key=mask_key(model, row))
    return line | detected_members(
        model,
        is_anomalous=verdict.is_anomalous,
        confidence=verdict.confidence,
        anomalies=verdict.anomalies,
        mask=mask,
        ended_at=ended_at,
        job_name=JOB_NAME,
    )


def detected_members(
    model: EvaluatedModel,
    *,
    is_anomalous: bool,
    confidence: float,
    anomalies: Sequence[AnomalyArea] | None,
    mask: ObjectRef | None,
    ended_at: datetime,
    job_name: str,
) -> dict[str, Any]:
    """Return the members of a JSON Line that say what a model found in its image.

    Args:
        model: that found it.
        is_anomalous: the verdict.
        confidence: in the verdict, 0 to 1.
        anomalies: what the mask shows; None for a classification model.
        mask: where the detected mask is; None for a classification model.
        ended_at: when the work that it is part of was done.
        job_name: what that work is called.
    """
    made_by = {
        "human-annotated": "no",
        "creation-date": _iso(ended_at),
        "job-name": job_name,
        "model-arn": model.arn,
        "project-name": model.project,
        "model-version": str(model.version),
    }
    members: dict[str, Any] = {
        "anomaly-label-detected": int(is_anomalous),
        "anomaly-label-detected-metadata": {
            "class-name": Label.ANOMALY if is_anomalous else Label.NORMAL,
            "confidence": round(confidence, 6),
            "type": CLASSIFICATION,
            **made_by,
        },
    }
    if anomalies is not None and mask is not None:
        members["anomaly-mask-ref-detected"] = str(mask)
        members["anomaly-mask-ref-detected-metadata"] = {
            "internal-color-map": {
                str(index): {"class-name": area.name, "hex-color": area.color}
                for index, area in enumerate(anomalies)
            },
            "type": SEGMENTATION,
            **made_by,
        }
    return members


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
