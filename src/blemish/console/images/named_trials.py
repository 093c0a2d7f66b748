"""Trials that a page starts itself, and finds again by a name made of what they judge.

As long as the model and the images stay, the trial is found again, also after a restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.console.language.messages import say
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.detection_jobs import DetectionJobStatus, TrialImage
from blemish.domain.errors import ResourceNotFoundError
from blemish.domain.lifecycle import JOB_IN_PROGRESS

MOST_TRIES = 50
"""Trials of one name, as far as they failed."""

AT_ONCE = 2_000
"""Results that are read at once."""


@dataclass(frozen=True, kw_only=True)
class ModelTrial:
    """The trial of one model on some images."""

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

    @property
    def done(self) -> int:
        """How many images are judged so far."""
        stats = (self.members or {}).get("ImageStats") or {}
        return sum(stats.get(name, 0) for name in (say("Normal"), say("Anomaly"), say("Failed")))


async def find_trial(
    visitor: Visitor, project: str, version: str, *, purpose: str, parts: Sequence[str]
) -> ModelTrial:
    """Return the newest trial of a model for a purpose, if there is one.

    Args:
        visitor: who looks.
        project: name of the project.
        version: of the model.
        purpose: a word that the name begins with.
        parts: what the trial depends on, the addresses of its images among them.
    """
    digest = hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:12]
    base = f"{purpose}-{version}-{digest}"
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


async def start_trial(
    visitor: Visitor, project: str, trial: ModelTrial, refs: Sequence[str]
) -> None:
    """Start a trial, unless it runs already or is through.

    Raises:
        ServiceError: it cannot be started.
    """
    if trial.runs or trial.succeeded:
        return
    await visitor.call(
        "StartTrialDetection",
        ProjectName=project,
        ModelVersion=trial.version,
        TrialName=trial.next_name,
        ImageSource={"Images": list(refs)},
    )


async def trial_results(visitor: Visitor, project: str, trial: str) -> Sequence[TrialImage]:
    """Return the results of a trial in the order of its list.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not let the visitor list them.
        ResourceNotFoundError: there is no such trial.
    """

    def read() -> Sequence[TrialImage]:
        visitor.check("ListTrialImages", ProjectName=project, TrialName=trial)
        results: list[TrialImage] = []
        token: str | None = None
        while True:
            page, token = visitor.services.trials.images(
                project, trial, verified=None, token=token, limit=AT_ONCE
            )
            results += page
            if token is None:
                return results

    return await in_thread(read)


def anomaly_probability(result: TrialImage) -> float:
    """Return how anomalous the model found an image, 0 to 1; -1 without a verdict."""
    if result.is_anomalous is None or result.confidence is None:
        return -1.0
    return result.confidence if result.is_anomalous else 1 - result.confidence
