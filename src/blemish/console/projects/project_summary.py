"""A project at a glance: its images, its newest models, and which of them run."""

from __future__ import annotations

import json
from asyncio import gather
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blemish.console.visitor import Visitor
from blemish.domain.entities import ModelStatus
from blemish.domain.errors import AccessDeniedError, ResourceNotFoundError
from blemish.domain.lifecycle import MODEL_HOSTED

NEWEST = 100
"""How many models are looked at; ListModels answers with no more at once."""


@dataclass(frozen=True, kw_only=True)
class ProjectSummary:
    """A project at a glance; what the visitor may not see is None, or empty."""

    name: str
    #: "train" and "test", those that are there -> `DatasetDescription`
    datasets: Mapping[str, Mapping[str, Any]]
    #: s3://bucket/key of one of its images
    image: str | None
    #: `ModelMetadata`, newest first
    models: tuple[Mapping[str, Any], ...]
    #: whether there are more models
    more_models: bool

    @property
    def images(self) -> int:
        """How many images its datasets have."""
        return sum(dataset["ImageStats"]["Total"] for dataset in self.datasets.values())

    @property
    def labeled(self) -> int:
        """How many of these have a label."""
        return sum(dataset["ImageStats"]["Labeled"] for dataset in self.datasets.values())

    @property
    def measured(self) -> Mapping[str, Any] | None:
        """The newest model whose performance is known."""
        return next((model for model in self.models if model.get("Performance")), None)

    @property
    def running(self) -> list[str]:
        """The versions that run, or start."""
        return [model["ModelVersion"] for model in self.models if model["Status"] in MODEL_HOSTED]

    @property
    def training(self) -> list[str]:
        """The versions in training."""
        return [
            model["ModelVersion"]
            for model in self.models
            if model["Status"] == ModelStatus.TRAINING
        ]


async def summary_of(visitor: Visitor, project: str) -> ProjectSummary | None:
    """Return a project at a glance; None if it is gone."""
    description = await call_if_allowed(visitor, "DescribeProject", ProjectName=project)
    kinds = [
        dataset["DatasetType"]
        for dataset in _members(description, "ProjectDescription", "Datasets")
    ]
    datasets, models = await gather(
        gather(*(_dataset(visitor, project, kind) for kind in kinds)),
        call_if_allowed(visitor, "ListModels", ProjectName=project, MaxResults=NEWEST),
    )
    if description is None and models is None and not await _is_there(visitor, project):
        return None
    return ProjectSummary(
        name=project,
        datasets={
            kind: members for kind, (members, _) in zip(kinds, datasets, strict=True) if members
        },
        image=next((ref for _, ref in datasets if ref), None),
        models=tuple((models or {}).get("Models", ())),
        more_models=bool((models or {}).get("NextToken")),
    )


async def call_if_allowed(
    visitor: Visitor, operation: str, **members: Any
) -> Mapping[str, Any] | None:
    """Call an operation; None if the visitor may not, or if the resource is gone."""
    try:
        return await visitor.call(operation, **members)
    except (AccessDeniedError, ResourceNotFoundError):
        return None


async def _dataset(
    visitor: Visitor, project: str, kind: str
) -> tuple[Mapping[str, Any] | None, str | None]:
    names = {"ProjectName": project, "DatasetType": kind}
    description, entries = await gather(
        call_if_allowed(visitor, "DescribeDataset", **names),
        call_if_allowed(visitor, "ListDatasetEntries", **names, MaxResults=1),
    )
    lines = (entries or {}).get("DatasetEntries") or ()
    members = description["DatasetDescription"] if description else None
    return members, json.loads(lines[0]).get("source-ref") if lines else None


async def _is_there(visitor: Visitor, project: str) -> bool:
    """Tell whether the project exists, though the visitor may see nothing of it."""
    try:
        await visitor.call("DescribeProject", ProjectName=project)
    except ResourceNotFoundError:
        return False
    except AccessDeniedError:
        return True
    return True


def _members(answer: Mapping[str, Any] | None, *names: str) -> Any:
    value: Any = answer or {}
    for name in names:
        value = value.get(name) or {}
    return value
