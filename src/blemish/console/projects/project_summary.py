"""What is told of a project at a glance: its images, its newest models, what is hosted."""

from __future__ import annotations

import json
from asyncio import gather
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blemish.console.visitor import Visitor
from blemish.domain.errors import AccessDeniedError, ResourceNotFoundError

HOSTED = frozenset({"STARTING_HOSTING", "HOSTED", "SYSTEM_UPDATING"})
"""Statuses of models that take memory, or are about to."""

NEWEST = 100
"""Models that are looked at, of all; the most that ListModels tells at once."""


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
    #: whether there are models besides
    more_models: bool

    @property
    def images(self) -> int:
        """How many images its datasets have."""
        return sum(each["ImageStats"]["Total"] for each in self.datasets.values())

    @property
    def labeled(self) -> int:
        """How many of these have a label."""
        return sum(each["ImageStats"]["Labeled"] for each in self.datasets.values())

    @property
    def measured(self) -> Mapping[str, Any] | None:
        """The newest model whose performance is known."""
        return next((each for each in self.models if each.get("Performance")), None)

    @property
    def hosted(self) -> list[str]:
        """The versions that are hosted, or about to be."""
        return [each["ModelVersion"] for each in self.models if each["Status"] in HOSTED]

    @property
    def training(self) -> list[str]:
        """The versions in training."""
        return [each["ModelVersion"] for each in self.models if each["Status"] == "TRAINING"]


async def summary_of(visitor: Visitor, project: str) -> ProjectSummary | None:
    """Return a project at a glance; None if it is gone."""
    described = await seen(visitor, "DescribeProject", ProjectName=project)
    kinds = [each["DatasetType"] for each in _members(described, "ProjectDescription", "Datasets")]
    found, models = await gather(
        gather(*(_dataset(visitor, project, kind) for kind in kinds)),
        seen(visitor, "ListModels", ProjectName=project, MaxResults=NEWEST),
    )
    if described is None and models is None and not await _is_there(visitor, project):
        return None
    return ProjectSummary(
        name=project,
        datasets={kind: told for kind, (told, _) in zip(kinds, found, strict=True) if told},
        image=next((ref for _, ref in found if ref), None),
        models=tuple((models or {}).get("Models", ())),
        more_models=bool((models or {}).get("NextToken")),
    )


async def seen(visitor: Visitor, operation: str, **members: Any) -> Mapping[str, Any] | None:
    """Call an operation; None if the visitor may not, or what is asked for is gone."""
    try:
        return await visitor.call(operation, **members)
    except (AccessDeniedError, ResourceNotFoundError):
        return None


async def _dataset(
    visitor: Visitor, project: str, kind: str
) -> tuple[Mapping[str, Any] | None, str | None]:
    asked = {"ProjectName": project, "DatasetType": kind}
    described, entries = await gather(
        seen(visitor, "DescribeDataset", **asked),
        seen(visitor, "ListDatasetEntries", **asked, MaxResults=1),
    )
    lines = (entries or {}).get("DatasetEntries") or ()
    told = described["DatasetDescription"] if described else None
    return told, json.loads(lines[0]).get("source-ref") if lines else None


async def _is_there(visitor: Visitor, project: str) -> bool:
    """Tell whether a project is there that the visitor may see nothing of."""
    try:
        await visitor.call("DescribeProject", ProjectName=project)
    except ResourceNotFoundError:
        return False
    except AccessDeniedError:
        return True
    return True


def _members(answer: Mapping[str, Any] | None, *names: str) -> Any:
    found: Any = answer or {}
    for name in names:
        found = found.get(name) or {}
    return found
