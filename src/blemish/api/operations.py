"""The operations of the API: each translates the members of the wire to a service and back.

A method is named like its operation and takes the members of the request by their names in
snake_case; members that a client left out are not passed. What it returns is in wire names.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from blemish.domain.arns import ArnScope
from blemish.domain.entities import (
    Dataset,
    DatasetType,
    InferenceUnits,
    Label,
    Model,
    ObjectRef,
    Project,
)
from blemish.domain.errors import ValidationError
from blemish.engine.images import encode_mask
from blemish.engine.runtime import Detection
from blemish.service.datasets import DatasetService, EntryFilter
from blemish.service.detection import DetectionService
from blemish.service.models import ModelService
from blemish.service.projects import PAGE_SIZE, ProjectService

Members = dict[str, Any]


class Operations:
    """Handlers of the operations that this server has."""

    def __init__(
        self,
        *,
        projects: ProjectService,
        datasets: DatasetService,
        models: ModelService,
        detection: DetectionService,
        arns: ArnScope,
    ) -> None:
        self._projects = projects
        self._datasets = datasets
        self._models = models
        self._detection = detection
        self._arns = arns

    def create_project(self, *, project_name: str, client_token: str = "") -> Members:
        project = self._projects.create(project_name)
        return {"ProjectMetadata": self._project_metadata(project)}

    def describe_project(self, *, project_name: str) -> Members:
        project, datasets = self._projects.describe(project_name)
        metadata = self._project_metadata(project)
        return {
            "ProjectDescription": metadata | {"Datasets": [_dataset_metadata(d) for d in datasets]}
        }

    def list_projects(
        self, *, next_token: str | None = None, max_results: int = PAGE_SIZE
    ) -> Members:
        page, token = self._projects.page(token=next_token, limit=max_results)
        return {"Projects": [self._project_metadata(p) for p in page], "NextToken": token}

    def delete_project(self, *, project_name: str, client_token: str = "") -> Members:
        self._projects.delete(project_name)
        return {"ProjectArn": self._arns.project(project_name)}

    def create_dataset(
        self,
        *,
        project_name: str,
        dataset_type: str,
        dataset_source: Mapping[str, Any] | None = None,
        client_token: str = "",
    ) -> Members:
        manifest = _manifest(dataset_source) if dataset_source else None
        dataset = self._datasets.create(project_name, DatasetType(dataset_type), manifest=manifest)
        return {"DatasetMetadata": _dataset_metadata(dataset)}

    def describe_dataset(self, *, project_name: str, dataset_type: str) -> Members:
        dataset, stats = self._datasets.describe(project_name, DatasetType(dataset_type))
        return {
            "DatasetDescription": {
                "ProjectName": dataset.project,
                "DatasetType": dataset.type,
                "CreationTimestamp": dataset.created_at,
                "LastUpdatedTimestamp": dataset.updated_at,
                "Status": dataset.status,
                "StatusMessage": dataset.status_message,
                "ImageStats": {
                    "Total": stats.total,
                    "Labeled": stats.labeled,
                    "Normal": stats.normal,
                    "Anomaly": stats.anomaly,
                },
            }
        }

    def delete_dataset(
        self, *, project_name: str, dataset_type: str, client_token: str = ""
    ) -> Members:
        self._datasets.delete(project_name, DatasetType(dataset_type))
        return {}

    def list_dataset_entries(
        self,
        *,
        project_name: str,
        dataset_type: str,
        labeled: bool | None = None,
        anomaly_class: str | None = None,
        before_creation_date: datetime | None = None,
        after_creation_date: datetime | None = None,
        source_ref_contains: str | None = None,
        next_token: str | None = None,
        max_results: int = PAGE_SIZE,
    ) -> Members:
        lines, token = self._datasets.entries(
            project_name,
            DatasetType(dataset_type),
            wanted=EntryFilter(
                labeled=labeled,
                label=Label(anomaly_class) if anomaly_class else None,
                created_before=before_creation_date,
                created_after=after_creation_date,
                contains=source_ref_contains,
            ),
            token=next_token,
            limit=max_results,
        )
        return {"DatasetEntries": lines, "NextToken": token}

    def update_dataset_entries(
        self, *, project_name: str, dataset_type: str, changes: bytes, client_token: str = ""
    ) -> Members:
        status = self._datasets.update(project_name, DatasetType(dataset_type), changes=changes)
        return {"Status": status}

    def create_model(
        self,
        *,
        project_name: str,
        output_config: Mapping[str, Any],
        description: str | None = None,
        kms_key_id: str | None = None,
        tags: list[Mapping[str, str]] | None = None,
        client_token: str = "",
    ) -> Members:
        _refuse("KmsKeyId", kms_key_id)
        _refuse("Tags", tags)
        location = output_config["S3Location"]
        model = self._models.create(
            project_name,
            description=description,
            output_bucket=location["Bucket"],
            output_prefix=location.get("Prefix", ""),
        )
        return {"ModelMetadata": self._model_metadata(model)}

    def describe_model(self, *, project_name: str, model_version: str) -> Members:
        model = self._models.describe(project_name, model_version)
        return {"ModelDescription": self._model_description(model)}

    def list_models(
        self, *, project_name: str, next_token: str | None = None, max_results: int = PAGE_SIZE
    ) -> Members:
        page, token = self._models.page(project_name, token=next_token, limit=max_results)
        return {"Models": [self._model_metadata(model) for model in page], "NextToken": token}

    def delete_model(
        self, *, project_name: str, model_version: str, client_token: str = ""
    ) -> Members:
        model = self._models.delete(project_name, model_version)
        return {"ModelArn": self._arns.model(model.project, model.version)}

    def start_model(
        self,
        *,
        project_name: str,
        model_version: str,
        min_inference_units: int,
        max_inference_units: int | None = None,
        client_token: str = "",
    ) -> Members:
        units = InferenceUnits(minimum=min_inference_units, maximum=max_inference_units)
        return {"Status": self._models.start(project_name, model_version, units=units)}

    def stop_model(
        self, *, project_name: str, model_version: str, client_token: str = ""
    ) -> Members:
        return {"Status": self._models.stop(project_name, model_version)}

    def detect_anomalies(
        self, *, project_name: str, model_version: str, content_type: str, body: bytes = b""
    ) -> Members:
        detection = self._detection.detect(
            project_name, model_version, body=body, media_type=content_type
        )
        return {"DetectAnomalyResult": _detect_anomaly_result(detection)}

    def _project_metadata(self, project: Project) -> Members:
        return {
            "ProjectArn": self._arns.project(project.name),
            "ProjectName": project.name,
            "CreationTimestamp": project.created_at,
        }

    def _model_metadata(self, model: Model) -> Members:
        performance = model.performance
        return {
            "CreationTimestamp": model.created_at,
            "ModelVersion": str(model.version),
            "ModelArn": self._arns.model(model.project, model.version),
            "Description": model.description,
            "Status": model.status,
            "StatusMessage": model.status_message,
            "Performance": performance
            and {
                "F1Score": performance.f1_score,
                "Recall": performance.recall,
                "Precision": performance.precision,
            },
        }

    def _model_description(self, model: Model) -> Members:
        units = model.units
        return self._model_metadata(model) | {
            "OutputConfig": {
                "S3Location": {"Bucket": model.output_bucket, "Prefix": model.output_prefix}
            },
            "EvaluationManifest": _output_object(model.evaluation_manifest),
            "EvaluationResult": _output_object(model.evaluation_result),
            "EvaluationEndTimestamp": model.evaluation_ended_at,
            "MinInferenceUnits": units.minimum if units else None,
            "MaxInferenceUnits": units.maximum if units else None,
        }


def _manifest(source: Mapping[str, Any]) -> ObjectRef:
    place = source.get("GroundTruthManifest", {}).get("S3Object")
    if place is None:
        raise ValidationError("DatasetSource must name GroundTruthManifest.S3Object.")
    _refuse("VersionId", place.get("VersionId"))
    return ObjectRef(bucket=place["Bucket"], key=place["Key"])


def _refuse(member: str, value: object) -> None:
    """Refuse a member that would otherwise be accepted and ignored."""
    if value:
        raise ValidationError(f"{member} is not supported by this server. Leave it out.")


def _dataset_metadata(dataset: Dataset) -> Members:
    return {
        "DatasetType": dataset.type,
        "CreationTimestamp": dataset.created_at,
        "Status": dataset.status,
        "StatusMessage": dataset.status_message,
    }


def _output_object(ref: ObjectRef | None) -> Members | None:
    return {"Bucket": ref.bucket, "Key": ref.key} if ref else None


def _detect_anomaly_result(detection: Detection) -> Members:
    result: Members = {
        "Source": {"Type": "direct"},
        "IsAnomalous": detection.is_anomalous,
        "Confidence": detection.confidence,
    }
    if detection.anomalies is not None and detection.mask is not None:
        result["Anomalies"] = [
            {
                "Name": area.name,
                "PixelAnomaly": {"TotalPercentageArea": area.share, "Color": area.color},
            }
            for area in detection.anomalies
        ]
        result["AnomalyMask"] = encode_mask(detection.mask, colors=detection.colors)
    return result
