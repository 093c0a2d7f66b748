from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from blemish.domain.entities import DatasetEntry, Label
from blemish.domain.manifest import parse_line
from blemish.engine.evaluation import Evaluation, EvaluationVerdict, TypeMetrics
from blemish.engine.runtime import AnomalyArea
from blemish.service.training.evaluation_files import (
    EvaluatedModel,
    EvaluationKeys,
    evaluation_keys,
    manifest_lines,
    result_document,
)
from tests.unit.manifests import json_line, label_fields

ARN = "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/3"
MODEL = EvaluatedModel(
    project="circuits", version=3, arn=ARN, output_bucket="results", output_prefix="k_fold_"
)
ENDED_AT = datetime(2024, 5, 1, 12, 30, 0, 250_999, tzinfo=UTC)
ENDED = "2024-05-01T12:30:00.250Z"
AREAS = (
    AnomalyArea(name="background", share=0.9, color="#FFFFFF"),
    AnomalyArea(name="dent", share=0.1, color="#23A436"),
)


def verdict(
    label: Label = Label.NORMAL,
    *,
    is_anomalous: bool = False,
    confidence: float = 0.75,
    anomalies: tuple[AnomalyArea, ...] | None = None,
) -> EvaluationVerdict:
    return EvaluationVerdict(
        name="an image",
        label=label,
        score=1.5,
        confidence=confidence,
        is_anomalous=is_anomalous,
        anomalies=anomalies,
        mask_png=None if anomalies is None else b"PNG",
    )


def evaluation(
    *verdicts: EvaluationVerdict,
    roc_auc: float | None = 0.9,
    anomaly_types: tuple[TypeMetrics, ...] | None = None,
) -> Evaluation:
    return Evaluation(
        verdicts=verdicts,
        precision=0.5,
        recall=0.25,
        f1=1 / 3,
        roc_auc=roc_auc,
        average_precision=0.8,
        anomaly_types=anomaly_types,
        notes=(),
    )


def line(entry: DatasetEntry, found: EvaluationVerdict) -> dict[str, Any]:
    (text,) = manifest_lines(MODEL, [entry], evaluation(found), ended_at=ENDED_AT)
    document: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    return document


def document(found: Evaluation) -> dict[str, Any]:
    result = result_document(MODEL, found, training_images=63, ended_at=ENDED_AT)
    text = json.dumps(result, allow_nan=False)
    document: dict[str, Any] = json.loads(text)
    return document


@pytest.mark.parametrize("prefix", ["k_fold_", "", "out/", "out/deeper/x-"])
def test_prefix_and_name_are_joined_without_a_slash(prefix: str) -> None:
    assert evaluation_keys(prefix, "PROJ_0", version=1) == EvaluationKeys(
        manifest=f"{prefix}EvaluationManifest-PROJ_0-1.json",
        result=f"{prefix}EvaluationResult-PROJ_0-1.json",
        problems=f"{prefix}EvaluationProblems-PROJ_0-1.json",
    )


@pytest.mark.parametrize(
    ("label", "is_anomalous", "detected"),
    [
        (Label.NORMAL, False, "normal"),
        (Label.NORMAL, True, "anomaly"),
        (Label.ANOMALY, False, "normal"),
        (Label.ANOMALY, True, "anomaly"),
    ],
)
def test_a_manifest_line_has_the_members_of_the_original(
    label: Label, is_anomalous: bool, detected: str
) -> None:
    entry = parse_line(json_line("a b.png", label))

    found = line(entry, verdict(label, is_anomalous=is_anomalous, confidence=0.123_456_789))

    labelled = "2024-01-02T03:04:05.678Z"
    assert found == {
        "source-ref": "s3://images/a b.png",
        "source-ref-metadata": {"creation-date": labelled},
        "anomaly-label": int(label is Label.ANOMALY),
        "anomaly-label-metadata": {
            "class-name": str(label),
            "confidence": 1.0,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": labelled,
            "job-name": "labeling-job/anomaly-label",
        },
        "anomaly-label-detected": int(is_anomalous),
        "anomaly-label-detected-metadata": {
            "class-name": detected,
            "confidence": 0.123_457,
            "type": "groundtruth/image-classification",
            "human-annotated": "no",
            "creation-date": ENDED,
            "job-name": "training-job/anomaly-detection",
            "model-arn": ARN,
            "project-name": "circuits",
            "model-version": "3",
        },
    }


def test_a_image_without_a_date_was_labelled_when_it_was_evaluated() -> None:
    entry = parse_line(json_line("a.png", **label_fields("normal", date="Mon Aug 22 2022")))

    found = line(entry, verdict())

    assert found["source-ref-metadata"] == {"creation-date": ENDED}
    assert found["anomaly-label-metadata"]["creation-date"] == ENDED


def test_a_line_of_a_segmentation_model_names_the_detected_mask() -> None:
    entry = parse_line(json_line("a.png", "anomaly"))

    found = line(entry, verdict(Label.ANOMALY, is_anomalous=True, anomalies=AREAS))

    mask = "s3://results/k_fold_EvaluationMasks-circuits-3/0.png"
    assert found["anomaly-mask-ref-detected"] == mask
    assert found["anomaly-mask-ref-detected-metadata"] == {
        "internal-color-map": {
            "0": {"class-name": "background", "hex-color": "#FFFFFF"},
            "1": {"class-name": "dent", "hex-color": "#23A436"},
        },
        "type": "groundtruth/semantic-segmentation",
        "human-annotated": "no",
        "creation-date": ENDED,
        "job-name": "training-job/anomaly-detection",
        "model-arn": ARN,
        "project-name": "circuits",
        "model-version": "3",
    }


def test_every_test_image_has_a_line_and_a_mask_of_its_own() -> None:
    entries = [parse_line(json_line(f"{i}.png", "normal")) for i in range(3)]
    found = evaluation(*[verdict(anomalies=AREAS[:1])] * 3)

    lines = list(map(json.loads, manifest_lines(MODEL, entries, found, ended_at=ENDED_AT)))

    assert [line["source-ref"] for line in lines] == [str(entry.image) for entry in entries]
    assert [line["anomaly-mask-ref-detected"] for line in lines] == [
        f"s3://results/{MODEL.mask_key(row)}" for row in range(3)
    ]


def test_the_evaluation_manifest_of_a_classification_model_is_a_manifest() -> None:
    entry = parse_line(json_line("a.png", "anomaly"))

    found = parse_line(json.dumps(line(entry, verdict(Label.ANOMALY, is_anomalous=False))))

    assert (found.image, found.label) == (entry.image, Label.ANOMALY)
    assert found.created_at == entry.created_at


def test_the_result_of_a_classification_model_has_numbers_alone() -> None:
    found = document(evaluation(verdict(), verdict()))

    assert found == {
        "Version": 1,
        "EvaluationDetails": {
            "ModelArn": ARN,
            "EvaluationEndTimestamp": ENDED,
            "NumberOfTrainingImages": 63,
            "NumberOfTestingImages": 2,
        },
        "AggregatedEvaluationResults": {
            "Metrics": {
                "ROCAUC": 0.9,
                "AveragePrecision": 0.8,
                "Precision": 0.5,
                "Recall": 0.25,
                "F1Score": 1 / 3,
            }
        },
    }


def test_the_result_of_a_segmentation_model_measures_each_type() -> None:
    dent = TypeMetrics(name="dent", precision=0.1, recall=0.2, f1=0.3, average_iou=0.4)
    rare = TypeMetrics(name="rare", precision=None, recall=None, f1=None, average_iou=None)

    found = document(evaluation(verdict(anomalies=AREAS), anomaly_types=(dent, rare)))

    assert found["AggregatedEvaluationResults"]["Metrics"]["PixelAnomalyClassMetrics"] == [
        {"ClassName": "dent", "Precision": 0.1, "Recall": 0.2, "F1Score": 0.3, "AIOU": 0.4},
        {"ClassName": "rare", "Precision": None, "Recall": None, "F1Score": None, "AIOU": None},
    ]


def test_what_cannot_be_measured_is_null() -> None:
    found = document(evaluation(verdict(), roc_auc=None))

    assert found["AggregatedEvaluationResults"]["Metrics"]["ROCAUC"] is None
