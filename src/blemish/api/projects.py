"""The operations about projects."""

from __future__ import annotations

from blemish.api.datasets import dataset_metadata
from blemish.api.detector_settings import settings_members
from blemish.api.members import Members
from blemish.api.once import perform_once
from blemish.domain.arns import ArnScope
from blemish.domain.entities import Project
from blemish.service.projects import PAGE_SIZE, ProjectService
from blemish.wire.calls import Call


class ProjectOperations:
    """Handlers of the operations about projects."""

    def __init__(self, *, projects: ProjectService, arns: ArnScope) -> None:
        self._projects = projects
        self._arns = arns

    def create_project(self, *, call: Call, project_name: str, client_token: str = "") -> Members:
        return perform_once(
            call,
            lambda once: self._projects.create(project_name, once=once),
            answer=lambda project: {"ProjectMetadata": self._project_metadata(project)},
        )

    def describe_project(self, *, project_name: str) -> Members:
        project, datasets = self._projects.describe(project_name)
        details = {
            "Datasets": [dataset_metadata(dataset) for dataset in datasets],
            "DetectorSettings": settings_members(project.detector_settings),
        }
        return {"ProjectDescription": self._project_metadata(project) | details}

    def list_projects(
        self, *, next_token: str | None = None, max_results: int = PAGE_SIZE
    ) -> Members:
        page, token = self._projects.page(token=next_token, limit=max_results)
        return {"Projects": [self._project_metadata(p) for p in page], "NextToken": token}

    def delete_project(self, *, call: Call, project_name: str, client_token: str = "") -> Members:
        return perform_once(
            call,
            lambda once: self._projects.delete(project_name, once=once),
            answer=lambda project: {"ProjectArn": self._arns.project(project.name)},
        )

    def _project_metadata(self, project: Project) -> Members:
        return {
            "ProjectArn": self._arns.project(project.name),
            "ProjectName": project.name,
            "CreationTimestamp": project.created_at,
        }
