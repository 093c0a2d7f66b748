"""Two models on the same images, now: a trial of each over the images of the project.

The name of a trial tells the model, its threshold and the images. So a trial is found again as long
as all three stay, and another comparison with the same model needs no second one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import DatasetKey, Entry
from blemish.console.models.evaluation import EvaluatedImage
from blemish.console.models.trial_results import trial_results
from blemish.console.visitor import Visitor
from blemish.domain.detection_jobs import DetectionJobStatus
from blemish.domain.entities import DatasetType, Label
from blemish.domain.errors import ResourceNotFoundError
from blemish.domain.lifecycle import JOB_IN_PROGRESS

MOST_TRIES = 50
"""Trials with one name, as far as they failed."""


@dataclass(frozen=True, kw_only=True)
class SharedImages:
    """The labelled images that both models judge."""

    entries: Sequence[Entry]
    #: the data set that they come from
    kind: DatasetType
    #: whether there are more than a trial takes
    cut: bool

    @property
    def refs(self) -> list[str]:
        """Their addresses."""
        return [entry.ref for entry in self.entries]

    @property
    def truths(self) -> Mapping[str, Label]:
        """Address -> label."""
        return {entry.ref: entry.label for entry in self.entries if entry.label is not None}


@dataclass(frozen=True, kw_only=True)
class ModelTrial:
    """The trial of one model on the shared images."""

    version: str
    #: that the next trial gets
    next_name: str
    #: the newest one, as `Trial` of the API; None before the first
    members: Mapping[str, Any] | None

    @property
    def runs(self) -> bool:
        """Whether it is not through."""
        return self.members is not None and self.members["Status"] in JOB_IN_PROGRESS

    @property
    def succeeded(self) -> bool:
        """Whether its results are there."""
        return self.members is not None and self.members["Status"] == DetectionJobStatus.SUCCEEDED

    @property
    def problem(self) -> str:
        """Why it failed; empty if it did not."""
        if self.members is None or self.members["Status"] != DetectionJobStatus.FAILED:
            return ""
        return str(self.members["StatusMessage"])


async def shared_images(visitor: Visitor, project: str) -> SharedImages | None:
    """Return the labelled images of the test set, else of the training set; None without any.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not let the visitor list them.
    """
    most = visitor.services.limits.max_trial_images
    for kind in (DatasetType.TEST, DatasetType.TRAIN):
        entries = await all_entries(visitor, DatasetKey(project=project, type=kind))
        labelled = [entry for entry in entries if entry.label is not None]
        if labelled:
            return SharedImages(entries=labelled[:most], kind=kind, cut=len(labelled) > most)
    return None


async def find_trial(
    visitor: Visitor, project: str, version: str, *, threshold: float, images: SharedImages
) -> ModelTrial:
    """Return the newest trial of a model at its threshold on images, if there is one."""
    text = "\n".join([f"{threshold:.9g}", *sorted(images.refs)])
    base = f"compared-{version}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    members: Mapping[str, Any] | None = None
    name = base
    for number in range(2, MOST_TRIES):
        try:
            answer = await visitor.call(
                "DescribeTrialDetection", ProjectName=project, TrialName=name
            )
        except ResourceNotFoundError:
            break
        members = answer["Trial"]
        name = f"{base}-{number}"
    return ModelTrial(version=version, next_name=name, members=members)


async def start_trials(
    visitor: Visitor, project: str, trials: Sequence[ModelTrial], images: SharedImages
) -> None:
    """Start the trials that are neither through nor running.

    Raises:
        ServiceError: a trial cannot be started.
    """
    for trial in trials:
        if not trial.runs and not trial.succeeded:
            await visitor.call(
                "StartTrialDetection",
                ProjectName=project,
                ModelVersion=trial.version,
                TrialName=trial.next_name,
                ImageSource={"Images": images.refs},
            )


async def judged_images(
    visitor: Visitor, project: str, trial: ModelTrial, images: SharedImages
) -> list[EvaluatedImage]:
    """Return the verdicts of a trial that is through, beside the labels of now."""
    assert trial.members is not None
    truths = images.truths
    return [
        EvaluatedImage(
            ref=result.source_ref,
            truth=truths[result.source_ref],
            verdict=Label.ANOMALY if result.is_anomalous else Label.NORMAL,
            confidence=result.confidence or 0.0,
        )
        for result in await trial_results(visitor, project, trial.members["TrialName"])
        if result.is_anomalous is not None and result.source_ref in truths
    ]
