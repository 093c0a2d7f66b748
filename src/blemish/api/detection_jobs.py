"""The operations about batch detections and trial detections; all are Blemish's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blemish.api.authorization import object_rights
from blemish.api.members import Members
from blemish.api.once import perform_once
from blemish.domain.detection_jobs import (
    DetectionJob,
    DetectionJobKind,
    DetectionJobStatus,
    TrialImage,
    result_key,
)
from blemish.domain.entities import DatasetType, ObjectRef
from blemish.service.detection.jobs import DetectionJobService, ImageList, Output
from blemish.service.detection.trials import TrialService
from blemish.service.projects import PAGE_SIZE
from blemish.wire.calls import Call

BATCH, TRIAL = DetectionJobKind.BATCH, DetectionJobKind.TRIAL


class BatchOperations:
    """Handlers of the operations about batch detections."""

    def __init__(self, *, jobs: DetectionJobService) -> None:
        self._jobs = jobs

    def start_batch_detection(
        self,
        *,
        call: Call,
        project_name: str,
        model_version: str,
        image_source: Mapping[str, Any],
        output_config: Mapping[str, Any],
        batch_name: str | None = None,
        client_token: str = "",
    ) -> Members:
        location = output_config["S3Location"]
        return perform_once(
            call,
            lambda once: self._jobs.start(
                project_name,
                model_version,
                kind=BATCH,
                name=batch_name,
                image_list=_image_list(image_source),
                output=Output(bucket=location["Bucket"], prefix=location.get("Prefix")),
                rights=object_rights(call),
                once=once,
            ),
            answer=lambda job: {"BatchName": job.name},
        )

    def describe_batch_detection(self, *, project_name: str, batch_name: str) -> Members:
        return {"Batch": _batch(self._jobs.describe(project_name, batch_name, kind=BATCH))}

    def list_batch_detections(
        self, *, project_name: str, next_token: str | None = None, max_results: int = PAGE_SIZE
    ) -> Members:
        page, token = self._jobs.page(project_name, kind=BATCH, token=next_token, limit=max_results)
        return {"Batches": [_batch(job) for job in page], "NextToken": token}

    def cancel_batch_detection(self, *, call: Call, project_name: str, batch_name: str) -> Members:
        assert call.caller is not None
        by = call.caller.principal.name
        return {"Batch": _batch(self._jobs.cancel(project_name, batch_name, kind=BATCH, by=by))}


class TrialOperations:
    """Handlers of the operations about trial detections."""

    def __init__(self, *, jobs: DetectionJobService, trials: TrialService) -> None:
        self._jobs = jobs
        self._trials = trials

    def start_trial_detection(
        self,
        *,
        call: Call,
        project_name: str,
        model_version: str,
        image_source: Mapping[str, Any],
        trial_name: str | None = None,
        client_token: str = "",
    ) -> Members:
        return perform_once(
            call,
            lambda once: self._jobs.start(
                project_name,
                model_version,
                kind=TRIAL,
                name=trial_name,
                image_list=_image_list(image_source),
                output=None,
                rights=object_rights(call),
                once=once,
            ),
            answer=lambda job: {"TrialName": job.name},
        )

    def describe_trial_detection(self, *, project_name: str, trial_name: str) -> Members:
        return {"Trial": _trial(self._jobs.describe(project_name, trial_name, kind=TRIAL))}

    def list_trial_detections(
        self, *, project_name: str, next_token: str | None = None, max_results: int = PAGE_SIZE
    ) -> Members:
        page, token = self._jobs.page(project_name, kind=TRIAL, token=next_token, limit=max_results)
        return {"Trials": [_trial(job) for job in page], "NextToken": token}

    def list_trial_images(
        self,
        *,
        project_name: str,
        trial_name: str,
        verified: bool | None = None,
        next_token: str | None = None,
        max_results: int = PAGE_SIZE,
    ) -> Members:
        page, token = self._trials.images(
            project_name, trial_name, verified=verified, token=next_token, limit=max_results
        )
        return {"Images": [_trial_image(image) for image in page], "NextToken": token}

    def verify_trial_images(self, *, project_name: str, trial_name: str, entries: bytes) -> Members:
        return {"Verified": self._trials.verify(project_name, trial_name, entries=entries)}

    def add_trial_images_to_dataset(
        self,
        *,
        call: Call,
        project_name: str,
        trial_name: str,
        dataset_type: str,
        client_token: str = "",
    ) -> Members:
        return perform_once(
            call,
            lambda once: self._trials.add_to_dataset(
                project_name,
                trial_name,
                kind=DatasetType(dataset_type),
                requester=object_rights(call).requester,
                once=once,
            ),
            answer=lambda status: {"Status": status},
        )


def _image_list(source: Mapping[str, Any]) -> ImageList:
    manifest = source.get("Manifest")
    return ImageList(
        manifest=manifest and ObjectRef(bucket=manifest["Bucket"], key=manifest["Key"]),
        images=source.get("Images", ()),
    )


def _batch(job: DetectionJob) -> Members:
    assert job.output_bucket is not None
    key = result_key(job.output_prefix, job.project, job.name)
    result = {"Bucket": job.output_bucket, "Key": key}
    location = {"Bucket": job.output_bucket, "Prefix": job.output_prefix}
    done = job.status is DetectionJobStatus.SUCCEEDED
    return {
        "BatchName": job.name,
        **_job(job),
        "OutputConfig": {"S3Location": location},
        "ResultManifest": result if done else None,
    }


def _trial(job: DetectionJob) -> Members:
    return {"TrialName": job.name, **_job(job)}


def _job(job: DetectionJob) -> Members:
    counts = job.counts
    return {
        "ProjectName": job.project,
        "ModelVersion": str(job.model_version),
        "Status": job.status,
        "StatusMessage": job.status_message,
        "CreationTimestamp": job.created_at,
        "LastUpdatedTimestamp": job.updated_at,
        "ImageStats": {
            "Total": counts.total,
            "Normal": counts.normal,
            "Anomaly": counts.anomaly,
            "Failed": counts.failed,
        },
    }


def _trial_image(image: TrialImage) -> Members:
    return {
        "SourceRef": image.source_ref,
        "IsAnomalous": image.is_anomalous,
        "Confidence": image.confidence,
        "Error": image.error,
        "VerifiedEntry": image.verified_line,
    }
