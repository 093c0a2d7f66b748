"""The operations about models: made, described, hosted, deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from blemish.api.authorization import object_rights
from blemish.api.detector_settings import requested_change, settings_members
from blemish.api.members import Members
from blemish.api.once import perform_once
from blemish.api.tagging import tags_of
from blemish.domain.arns import ArnScope
from blemish.domain.entities import InferenceUnits, Model, ObjectRef
from blemish.service.models.models import ModelService
from blemish.service.projects import PAGE_SIZE
from blemish.wire.calls import Call


class ModelOperations:
    """Handlers of the operations about models."""

    def __init__(self, *, models: ModelService, arns: ArnScope) -> None:
        self._models = models
        self._arns = arns

    def create_model(
        self,
        *,
        call: Call,
        project_name: str,
        output_config: Mapping[str, Any],
        description: str | None = None,
        kms_key_id: str | None = None,
        tags: Iterable[Mapping[str, str]] = (),
        detector_settings: Mapping[str, Any] | None = None,
        client_token: str = "",
    ) -> Members:
        location = output_config["S3Location"]
        return perform_once(
            call,
            lambda once: self._models.create(
                project_name,
                description=description,
                output_bucket=location["Bucket"],
                output_prefix=location.get("Prefix", ""),
                kms_key_id=kms_key_id,
                tags=tags_of(tags),
                detector_change=requested_change(detector_settings or {}),
                rights=object_rights(call),
                once=once,
            ),
            answer=lambda model: {"ModelMetadata": self._model_metadata(model)},
        )

    def cancel_model_training(
        self, *, call: Call, project_name: str, model_version: str
    ) -> Members:
        assert call.caller is not None
        by = call.caller.principal.name
        return {"Status": self._models.cancel(project_name, model_version, by=by)}

    def describe_model(self, *, project_name: str, model_version: str) -> Members:
        model = self._models.describe(project_name, model_version)
        return {"ModelDescription": self._model_description(model)}

    def list_models(
        self, *, project_name: str, next_token: str | None = None, max_results: int = PAGE_SIZE
    ) -> Members:
        page, token = self._models.page(project_name, token=next_token, limit=max_results)
        return {"Models": [self._model_metadata(model) for model in page], "NextToken": token}

    def delete_model(
        self, *, call: Call, project_name: str, model_version: str, client_token: str = ""
    ) -> Members:
        return perform_once(
            call,
            lambda once: self._models.delete(project_name, model_version, once=once),
            answer=lambda model: {"ModelArn": self._arns.model(model.project, model.version)},
        )

    def start_model(
        self,
        *,
        call: Call,
        project_name: str,
        model_version: str,
        min_inference_units: int,
        max_inference_units: int | None = None,
        client_token: str = "",
    ) -> Members:
        units = InferenceUnits(minimum=min_inference_units, maximum=max_inference_units)
        return perform_once(
            call,
            lambda once: self._models.start(project_name, model_version, units=units, once=once),
            answer=lambda status: {"Status": status},
        )

    def update_inference_units(
        self,
        *,
        project_name: str,
        model_version: str,
        min_inference_units: int,
        max_inference_units: int | None = None,
    ) -> Members:
        units = InferenceUnits(minimum=min_inference_units, maximum=max_inference_units)
        return {"Status": self._models.update_units(project_name, model_version, units=units)}

    def stop_model(
        self, *, call: Call, project_name: str, model_version: str, client_token: str = ""
    ) -> Members:
        return perform_once(
            call,
            lambda once: self._models.stop(project_name, model_version, once=once),
            answer=lambda status: {"Status": status},
        )

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
        units, settings, performance = model.units, model.detector_settings, model.performance
        return self._model_metadata(model) | {
            "OutputConfig": {
                "S3Location": {"Bucket": model.output_bucket, "Prefix": model.output_prefix}
            },
            "EvaluationManifest": _output_object(model.evaluation_manifest),
            "EvaluationResult": _output_object(model.evaluation_result),
            "EvaluationEndTimestamp": model.evaluation_ended_at,
            "EvaluationMethod": performance and performance.method,
            "MinInferenceUnits": units.minimum if units else None,
            "MaxInferenceUnits": units.maximum if units else None,
            "KmsKeyId": model.kms_key_id,
            "DetectorSettings": settings and settings_members(settings),
        }


def _output_object(ref: ObjectRef | None) -> Members | None:
    return {"Bucket": ref.bucket, "Key": ref.key} if ref else None
