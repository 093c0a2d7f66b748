"""The files that a training writes to its output: evaluation manifest, result, and problems.

Source: developer guide, "Viewing your model's performance": the two files and their members. The
names of the detected masks are ours, since the original does not document them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from blemish.domain.entities import DatasetEntry, EvaluationMethod, Label, ObjectRef
from blemish.domain.manifest import CLASSIFICATION, SEGMENTATION

if TYPE_CHECKING:
    from blemish.engine.evaluation import Evaluation, EvaluationVerdict, TypeMetrics
    from blemish.engine.runtime import AnomalyArea

JOB_NAME = "training-job/anomaly-detection"


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """The model that the files are about."""

    project: str
    version: int
    arn: str
    output_bucket: str
    output_prefix: str

    def mask_key(self, row: int) -> str:
        """Return the key of the mask detected in the test image of a row."""
        return evaluation_mask_key(self.output_prefix, self.project, version=self.version, row=row)


@dataclass(frozen=True, kw_only=True)
class EvaluationKeys:
    """The keys of the files that a training writes to its output location."""

    manifest: str
    result: str
    #: of a training that fails because of its images
    problems: str

    def all(self) -> tuple[str, ...]:
        """Return every key."""
        return self.manifest, self.result, self.problems


def evaluation_keys(prefix: str, project: str, *, version: int) -> EvaluationKeys:
    """Return the keys of the evaluation files of a model version.

    Prefix and name are joined as they are: no slash comes between them.
    """
    name = f"{project}-{version}.json"
    return EvaluationKeys(
        manifest=f"{prefix}EvaluationManifest-{name}",
        result=f"{prefix}EvaluationResult-{name}",
        problems=f"{prefix}EvaluationProblems-{name}",
    )


def evaluation_mask_key(prefix: str, project: str, *, version: int, row: int) -> str:
    """Return the key of the mask detected in the test image of a row."""
    return f"{prefix}EvaluationMasks-{project}-{version}/{row}.png"


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
    model: EvaluatedModel,
    evaluation: Evaluation,
    *,
    training_images: int,
    ended_at: datetime,
    method: EvaluationMethod | None = None,
) -> dict[str, Any]:
    """Return the evaluation result; metrics that could not be measured are null.

    `EvaluationMethod` is a member of ours.
    """
    metrics: dict[str, Any] = {
        "ROCAUC": evaluation.roc_auc,
        "AveragePrecision": evaluation.average_precision,
        "Precision": evaluation.precision,
        "Recall": evaluation.recall,
        "F1Score": evaluation.f1,
    }
    if evaluation.anomaly_types is not None:
        metrics["PixelAnomalyClassMetrics"] = [
            _type_members(metrics_of_type) for metrics_of_type in evaluation.anomaly_types
        ]
    return {
        "Version": 1,
        "EvaluationDetails": {
            "ModelArn": model.arn,
            "EvaluationEndTimestamp": _iso(ended_at),
            "NumberOfTrainingImages": training_images,
            "NumberOfTestingImages": len(evaluation.verdicts),
        }
        | ({} if method is None else {"EvaluationMethod": method}),
        "AggregatedEvaluationResults": {"Metrics": metrics},
    }


def _type_members(metrics: TypeMetrics) -> Mapping[str, Any]:
    return {
        "Precision": metrics.precision,
        "Recall": metrics.recall,
        "F1Score": metrics.f1,
        "AIOU": metrics.average_iou,
        "ClassName": metrics.name,
    }


def _line(
    model: EvaluatedModel,
    entry: DatasetEntry,
    verdict: EvaluationVerdict,
    *,
    row: int,
    ended_at: datetime,
) -> dict[str, Any]:
    labelled = _iso(entry.created_at or ended_at)
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
        mask = ObjectRef(bucket=model.output_bucket, key=model.mask_key(row))
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
    """Return the members of a JSON Line that hold the detection of a model.

    Args:
        model: the model.
        is_anomalous: the verdict.
        confidence: in the verdict, 0 to 1.
        anomalies: the areas of the mask; None for a classification model.
        mask: the detected mask; None for a classification model.
        ended_at: when the job ended.
        job_name: the name of the job.
    """
    origin = {
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
            **origin,
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
            **origin,
        }
    return members


def problems_document(model_arn: str, problems: Sequence[str], *, ended_at: datetime) -> str:
    """Return the file that lists every problem of the images of a training."""
    document = {
        "Version": 1,
        "ModelArn": model_arn,
        "TrainingEndTimestamp": _iso(ended_at),
        "NumberOfProblems": len(problems),
        "Problems": list(problems),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
