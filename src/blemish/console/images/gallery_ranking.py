"""The images of a data set as the model in force judges them, in a background job with progress.

A trial judges the images; afterwards their thumbnails are compared. The trial is a row of the
database: it goes on after a restart, and its results stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blemish.console.images.entry import Entry, object_address
from blemish.console.images.model_in_force import model_in_force
from blemish.console.images.named_trials import (
    ModelTrial,
    anomaly_probability,
    find_trial,
    start_trial,
    trial_results,
)
from blemish.console.images.teaching_order import descriptor_of, teaching_order
from blemish.console.language.messages import later, say
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.errors import ServiceError, ValidationError
from blemish.engine.errors import EngineError
from blemish.engine.images.formats import ImageError
from blemish.storage.errors import StorageError

NO_MODEL = later("There is no trained model yet. Train one, and it ranks the images.")

BATCH = 20
"""Thumbnails that are compared before anything else gets its turn."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The judgement of the model in force on images, as far as it is there."""

    project: str
    #: None if there is no model
    trial: ModelTrial | None
    #: the images: those without a label first
    refs: Sequence[str]

    @property
    def succeeded(self) -> bool:
        """Whether the model has judged the images."""
        return self.trial is not None and self.trial.succeeded


async def ranking_of(visitor: Visitor, project: str, entries: Sequence[Entry]) -> Ranking:
    """Return the ranking of images by the model in force; as many as a trial takes."""
    most = visitor.services.limits.max_trial_images
    ordered = sorted(entries, key=lambda entry: entry.label is not None)[:most]
    refs = [entry.ref for entry in ordered]
    version = await model_in_force(visitor, project)
    trial = None
    if version is not None and refs:
        trial = await find_trial(visitor, project, version, purpose="ranked", parts=refs)
    return Ranking(project=project, trial=trial, refs=refs)


async def start_ranking(visitor: Visitor, ranking: Ranking) -> None:
    """Let the model judge the images.

    Raises:
        ValidationError: there is no model.
        ServiceError: it cannot be started.
    """
    if ranking.trial is None:
        raise ValidationError(say(NO_MODEL))
    await start_trial(visitor, ranking.project, ranking.trial, ranking.refs)


async def ranking_state(visitor: Visitor, ranking: Ranking) -> dict[str, Any]:
    """Return what a page shows of a ranking: its state and its progress.

    When the images are judged, the page that asks has their thumbnails compared, some at a time.
    """
    total = 2 * len(ranking.refs)
    trial = ranking.trial
    if trial is None:
        return {"state": "none", "total": 0, "problem": say(NO_MODEL)}
    if not trial.succeeded:
        state = "running" if trial.runs else "none"
        return {"state": state, "done": trial.done, "total": total, "problem": trial.problem}
    compared = await _compare_some(visitor, ranking.refs)
    if compared < len(ranking.refs):
        return {"state": "running", "done": len(ranking.refs) + compared, "total": total}
    return {"state": "done", "done": total, "total": total, "version": trial.version}


async def ranked_scores(visitor: Visitor, ranking: Ranking) -> Mapping[str, float]:
    """Return how anomalous the model finds each image, 0 to 1; nothing before it judged them."""
    if ranking.trial is None or not ranking.succeeded or ranking.trial.members is None:
        return {}
    name = ranking.trial.members["TrialName"]
    results = await trial_results(visitor, ranking.project, name)
    return {
        result.source_ref: anomaly_probability(result)
        for result in results
        if result.is_anomalous is not None
    }


async def teaching_refs(
    visitor: Visitor, entries: Sequence[Entry], scores: Mapping[str, float]
) -> list[str]:
    """Return the images without a label in the order in which a label teaches most."""
    memory = visitor.services.memory.descriptors
    descriptors = {
        entry.ref: known
        for entry in entries
        if (known := memory.find(entry.ref)) is not None and len(known)
    }
    open_refs = {
        entry.ref: scores[entry.ref]
        for entry in entries
        if entry.label is None and entry.ref in scores
    }
    labelled = [entry.ref for entry in entries if entry.label is not None]
    return await asyncio.to_thread(teaching_order, open_refs, descriptors, labelled)


async def _compare_some(visitor: Visitor, refs: Sequence[str]) -> int:
    """Describe some more images; return how many are described."""
    memory = visitor.services.memory.descriptors
    missing = [ref for ref in refs if memory.find(ref) is None]
    for ref in missing[:BATCH]:
        await in_thread(_describe, visitor, ref)
    return len(refs) - max(0, len(missing) - BATCH)


def _describe(visitor: Visitor, ref: str) -> None:
    """Remember the descriptor of an image; an empty one if it cannot be read."""
    address = object_address(ref)
    try:
        with visitor.object_access("s3:GetObject", address):
            descriptor = descriptor_of(visitor.services.thumbnails.of(address))
    except (ServiceError, StorageError, ImageError, EngineError):
        descriptor = np.zeros(0, dtype=np.uint8)
    visitor.services.memory.descriptors.put(ref, descriptor)
