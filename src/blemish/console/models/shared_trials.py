"""Two models on the same images, now: a trial of each over the images of the project.

The name of a trial tells the model, its threshold and the images. So a trial is found again as long
as all three stay, and another comparison with the same model needs no second one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import DatasetKey, Entry
from blemish.console.images.named_trials import ModelTrial, find_trial, trial_results
from blemish.console.models.evaluation import EvaluatedImage
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType, Label


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


async def find_comparison(
    visitor: Visitor, project: str, version: str, *, threshold: float, images: SharedImages
) -> ModelTrial:
    """Return the newest trial of a model at its threshold on images, if there is one."""
    parts = [f"{threshold:.9g}", *images.refs]
    return await find_trial(visitor, project, version, purpose="compared", parts=parts)


async def images_of_trial(
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
