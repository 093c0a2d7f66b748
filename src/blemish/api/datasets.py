"""The operations about datasets and their entries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from blemish.api.authorization import object_rights
from blemish.api.members import Members
from blemish.api.once import perform_once
from blemish.domain.entities import Dataset, DatasetType, Label, ObjectRef
from blemish.domain.errors import ValidationError
from blemish.service.datasets.datasets import APPLIED, DatasetService, EntryFilter
from blemish.service.datasets.validation import DatasetValidation
from blemish.service.projects import PAGE_SIZE
from blemish.wire.calls import Call


class DatasetOperations:
    """Handlers of the operations about datasets."""

    def __init__(self, *, datasets: DatasetService, validation: DatasetValidation) -> None:
        self._datasets = datasets
        self._validation = validation

    def create_dataset(
        self,
        *,
        call: Call,
        project_name: str,
        dataset_type: str,
        dataset_source: Mapping[str, Any] | None = None,
        client_token: str = "",
    ) -> Members:
        manifest, version = _manifest(dataset_source) if dataset_source else (None, None)
        return perform_once(
            call,
            lambda once: self._datasets.create(
                project_name,
                DatasetType(dataset_type),
                manifest=manifest,
                manifest_version=version,
                requester=object_rights(call).requester,
                once=once,
            ),
            answer=lambda dataset: {"DatasetMetadata": dataset_metadata(dataset)},
        )

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
        self, *, call: Call, project_name: str, dataset_type: str, client_token: str = ""
    ) -> Members:
        return perform_once(
            call,
            lambda once: self._datasets.delete(project_name, DatasetType(dataset_type), once=once),
            answer=lambda _: {},
        )

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

    def validate_dataset(
        self,
        *,
        project_name: str,
        dataset_type: str,
        next_token: str | None = None,
        max_results: int = PAGE_SIZE,
    ) -> Members:
        page = self._validation.page(
            project_name, DatasetType(dataset_type), token=next_token, limit=max_results
        )
        return {
            "CheckedImages": page.checked,
            "Problems": [
                {"SourceRef": problem.name, "Reason": problem.reason} for problem in page.problems
            ],
            "NextToken": page.next_token,
        }

    def update_dataset_entries(
        self,
        *,
        call: Call,
        project_name: str,
        dataset_type: str,
        changes: bytes,
        client_token: str = "",
    ) -> Members:
        if call.waits:
            applied = self._datasets.update_now(
                project_name,
                DatasetType(dataset_type),
                changes=changes,
                rights=object_rights(call),
            )
            return {"Status": applied.after.status, APPLIED: applied}
        return perform_once(
            call,
            lambda once: self._datasets.update(
                project_name,
                DatasetType(dataset_type),
                changes=changes,
                requester=object_rights(call).requester,
                once=once,
            ),
            answer=lambda status: {"Status": status},
        )

    def delete_dataset_entries(
        self,
        *,
        call: Call,
        project_name: str,
        dataset_type: str,
        source_refs: list[str],
        client_token: str = "",
    ) -> Members:
        return perform_once(
            call,
            lambda once: self._datasets.remove(
                project_name, DatasetType(dataset_type), source_refs=source_refs, once=once
            ),
            answer=lambda status: {"Status": status},
        )


def dataset_metadata(dataset: Dataset) -> Members:
    return {
        "DatasetType": dataset.type,
        "CreationTimestamp": dataset.created_at,
        "Status": dataset.status,
        "StatusMessage": dataset.status_message,
    }


def _manifest(source: Mapping[str, Any]) -> tuple[ObjectRef, str | None]:
    s3_object = source.get("GroundTruthManifest", {}).get("S3Object")
    if s3_object is None:
        raise ValidationError("DatasetSource must name GroundTruthManifest.S3Object.")
    return ObjectRef(bucket=s3_object["Bucket"], key=s3_object["Key"]), s3_object.get("VersionId")
