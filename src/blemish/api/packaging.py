"""The operations about model packaging jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blemish.api.authorization import object_rights
from blemish.api.members import Members
from blemish.api.once import perform_once
from blemish.api.tagging import tag_list, tags_of
from blemish.domain.arns import ArnScope
from blemish.domain.packaging import (
    Component,
    PackagingJob,
    PackagingJobStatus,
    TargetPlatform,
)
from blemish.service.models.packaging import PackagingService
from blemish.service.projects import PAGE_SIZE
from blemish.wire.calls import Call

METHOD = "Greengrass"


class PackagingOperations:
    """Handlers of the operations about model packaging jobs."""

    def __init__(self, *, packaging: PackagingService, arns: ArnScope) -> None:
        self._packaging = packaging
        self._arns = arns

    def start_model_packaging_job(
        self,
        *,
        call: Call,
        project_name: str,
        model_version: str,
        configuration: Mapping[str, Any],
        job_name: str | None = None,
        description: str | None = None,
        client_token: str = "",
    ) -> Members:
        return perform_once(
            call,
            lambda once: self._packaging.start(
                project_name,
                model_version,
                name=job_name,
                description=description,
                component=_component(configuration["Greengrass"]),
                rights=object_rights(call),
                once=once,
            ),
            answer=lambda job: {"JobName": job.name},
        )

    def describe_model_packaging_job(self, *, project_name: str, job_name: str) -> Members:
        job = self._packaging.describe(project_name, job_name)
        description = _metadata(job) | {
            "ModelPackagingConfiguration": {"Greengrass": _greengrass(job.component)},
            "ModelPackagingOutputDetails": self._output(job),
        }
        return {"ModelPackagingDescription": description}

    def list_model_packaging_jobs(
        self, *, project_name: str, next_token: str | None = None, max_results: int = PAGE_SIZE
    ) -> Members:
        page, token = self._packaging.page(project_name, token=next_token, limit=max_results)
        return {"ModelPackagingJobs": [_metadata(job) for job in page], "NextToken": token}

    def _output(self, job: PackagingJob) -> Members | None:
        """Return the details of the component; None until the job has made it."""
        name, version = job.component.name, job.component.version
        if job.status is not PackagingJobStatus.SUCCEEDED or version is None:
            return None
        details = {
            "ComponentVersionArn": self._arns.component_version(name, version),
            "ComponentName": name,
            "ComponentVersion": version,
        }
        return {"Greengrass": details}


def _metadata(job: PackagingJob) -> Members:
    return {
        "JobName": job.name,
        "ProjectName": job.project,
        "ModelVersion": str(job.model_version),
        "ModelPackagingJobDescription": job.description,
        "ModelPackagingMethod": METHOD,
        "Status": job.status,
        "StatusMessage": job.status_message,
        "CreationTimestamp": job.created_at,
        "LastUpdatedTimestamp": job.updated_at,
    }


def _component(greengrass: Mapping[str, Any]) -> Component:
    location = greengrass["S3OutputLocation"]
    platform = greengrass.get("TargetPlatform")
    return Component(
        name=greengrass["ComponentName"],
        version=greengrass.get("ComponentVersion"),
        description=greengrass.get("ComponentDescription"),
        tags=tuple(tags_of(greengrass.get("Tags", ()))),
        output_bucket=location["Bucket"],
        output_prefix=location.get("Prefix"),
        target_device=greengrass.get("TargetDevice"),
        target_platform=platform
        and TargetPlatform(
            os=platform["Os"], arch=platform["Arch"], accelerator=platform.get("Accelerator")
        ),
        compiler_options=greengrass.get("CompilerOptions"),
    )


def _greengrass(component: Component) -> Members:
    platform = component.target_platform
    return {
        "CompilerOptions": component.compiler_options,
        "TargetDevice": component.target_device,
        "TargetPlatform": platform
        and {"Os": platform.os, "Arch": platform.arch, "Accelerator": platform.accelerator},
        "S3OutputLocation": {
            "Bucket": component.output_bucket,
            "Prefix": component.output_prefix,
        },
        "ComponentName": component.name,
        "ComponentVersion": component.version,
        "ComponentDescription": component.description,
        "Tags": tag_list(component.tags) or None,
    }
