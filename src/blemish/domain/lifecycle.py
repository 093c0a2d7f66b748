"""The statuses: the moves between them, named sets of them, and the words that people read.

    TRAINING -> TRAINED -> STARTING_HOSTING -> HOSTED <-> SYSTEM_UPDATING
        |          ^ |             |              |              |
        v          | v             v              v              v
    TRAINING_FAILED | DELETING  HOSTING_FAILED  STOPPING_HOSTING -> TRAINED

A start that failed is tried again: HOSTING_FAILED -> HOSTED. StopModel ends that.

Source: the status tables of the developer guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from blemish.domain.detection_jobs import DetectionJobStatus as J
from blemish.domain.entities import DatasetStatus as D
from blemish.domain.entities import ModelStatus as M
from blemish.domain.errors import ConflictError, ResourceType

S = TypeVar("S", M, D)

MODEL_MOVES: Mapping[M, frozenset[M]] = {
    M.TRAINING: frozenset({M.TRAINED, M.TRAINING_FAILED}),
    M.TRAINED: frozenset({M.STARTING_HOSTING, M.DELETING}),
    M.TRAINING_FAILED: frozenset({M.DELETING}),
    M.STARTING_HOSTING: frozenset({M.HOSTED, M.HOSTING_FAILED}),
    M.HOSTED: frozenset({M.STOPPING_HOSTING, M.SYSTEM_UPDATING, M.HOSTING_FAILED}),
    M.HOSTING_FAILED: frozenset({M.STARTING_HOSTING, M.HOSTED, M.STOPPING_HOSTING, M.DELETING}),
    M.STOPPING_HOSTING: frozenset({M.TRAINED}),
    M.SYSTEM_UPDATING: frozenset({M.HOSTED, M.HOSTING_FAILED, M.STOPPING_HOSTING}),
    M.DELETING: frozenset(),
}

DATASET_MOVES: Mapping[D, frozenset[D]] = {
    D.CREATE_IN_PROGRESS: frozenset({D.CREATE_COMPLETE, D.CREATE_FAILED}),
    D.CREATE_COMPLETE: frozenset({D.UPDATE_IN_PROGRESS, D.DELETE_IN_PROGRESS}),
    D.CREATE_FAILED: frozenset({D.DELETE_IN_PROGRESS}),
    D.UPDATE_IN_PROGRESS: frozenset({D.UPDATE_COMPLETE, D.UPDATE_FAILED_ROLLBACK_IN_PROGRESS}),
    D.UPDATE_COMPLETE: frozenset({D.UPDATE_IN_PROGRESS, D.DELETE_IN_PROGRESS}),
    D.UPDATE_FAILED_ROLLBACK_IN_PROGRESS: frozenset({D.UPDATE_FAILED_ROLLBACK_COMPLETE}),
    D.UPDATE_FAILED_ROLLBACK_COMPLETE: frozenset({D.UPDATE_IN_PROGRESS, D.DELETE_IN_PROGRESS}),
    D.DELETE_IN_PROGRESS: frozenset({D.DELETE_COMPLETE, D.DELETE_FAILED}),
    D.DELETE_COMPLETE: frozenset(),
    D.DELETE_FAILED: frozenset({D.DELETE_IN_PROGRESS}),
}


def sources_of(target: S, moves: Mapping[S, frozenset[S]]) -> frozenset[S]:
    """Return the statuses from which a move leads to `target`."""
    return frozenset(status for status, targets in moves.items() if target in targets)


MODEL_IN_PROGRESS = frozenset(
    {M.TRAINING, M.STARTING_HOSTING, M.STOPPING_HOSTING, M.SYSTEM_UPDATING, M.DELETING}
)
"""Work on the model goes on; another status follows by itself."""

MODEL_LOADING = frozenset({M.STARTING_HOSTING, M.SYSTEM_UPDATING, M.HOSTING_FAILED})
"""The model is loaded next, by work on it; after a failure only while it is tried again."""

MODEL_WITH_WORK = MODEL_IN_PROGRESS | {M.HOSTING_FAILED}
"""A worker may hold the model."""

MODEL_WITH_BUNDLE = frozenset(M) - {M.TRAINING, M.TRAINING_FAILED, M.DELETING}
"""The model is trained, hosted or not, and can run a job or be packaged."""

MODEL_STARTABLE = sources_of(M.STARTING_HOSTING, MODEL_MOVES)
"""StartModel accepts the model."""

MODEL_STOPPABLE = sources_of(M.STOPPING_HOSTING, MODEL_MOVES)
"""StopModel accepts the model."""

MODEL_DELETABLE = sources_of(M.DELETING, MODEL_MOVES)
"""DeleteModel accepts the model."""

MODEL_ANSWERING = frozenset({M.HOSTED, M.SYSTEM_UPDATING})
"""DetectAnomalies accepts the model; while it is updated, detections wait or use the old one."""

MODEL_HOSTED = MODEL_ANSWERING | {M.STARTING_HOSTING}
"""The model counts against the limit on hosted models."""

MODEL_WITH_UNITS = MODEL_HOSTED | {M.STOPPING_HOSTING}
"""The model has inference units."""

MODEL_FAILED = frozenset({M.TRAINING_FAILED, M.HOSTING_FAILED})
"""The last work on the model failed; its status message says why."""

MODEL_ADJUSTABLE = MODEL_WITH_BUNDLE - MODEL_IN_PROGRESS
"""UpdateModelThreshold and UpdateModelRegions accept the model."""

DATASET_IN_PROGRESS = frozenset(
    {
        D.CREATE_IN_PROGRESS,
        D.UPDATE_IN_PROGRESS,
        D.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
        D.DELETE_IN_PROGRESS,
    }
)
"""Work on the dataset goes on; another status follows by itself."""

DATASET_USABLE = sources_of(D.UPDATE_IN_PROGRESS, DATASET_MOVES)
"""The entries of the dataset can be changed and trained on."""

DATASET_FAILED = frozenset({D.CREATE_FAILED, D.UPDATE_FAILED_ROLLBACK_COMPLETE, D.DELETE_FAILED})
"""The last work on the dataset failed; its status message says why."""

JOB_IN_PROGRESS = frozenset({J.CREATED, J.RUNNING})
"""The detection job waits or runs."""

MODEL_WORDS: Mapping[M, str] = {
    M.TRAINING: "training",
    M.TRAINED: "trained",
    M.TRAINING_FAILED: "training failed",
    M.STARTING_HOSTING: "starting",
    M.HOSTED: "running",
    M.HOSTING_FAILED: "start failed",
    M.STOPPING_HOSTING: "stopping",
    M.SYSTEM_UPDATING: "updating",
    M.DELETING: "deleting",
}
"""What people read instead of a status of a model."""

DATASET_WORDS: Mapping[D, str] = {
    D.CREATE_IN_PROGRESS: "importing",
    D.CREATE_COMPLETE: "ready",
    D.CREATE_FAILED: "import failed",
    D.UPDATE_IN_PROGRESS: "updating",
    D.UPDATE_COMPLETE: "ready",
    D.UPDATE_FAILED_ROLLBACK_IN_PROGRESS: "undoing an update",
    D.UPDATE_FAILED_ROLLBACK_COMPLETE: "update failed",
    D.DELETE_IN_PROGRESS: "deleting",
    D.DELETE_COMPLETE: "deleted",
    D.DELETE_FAILED: "deletion failed",
}
"""What people read instead of a status of a dataset."""

JOB_WORDS: Mapping[J, str] = {
    J.CREATED: "waiting",
    J.RUNNING: "running",
    J.SUCCEEDED: "finished",
    J.FAILED: "failed",
}
"""What people read instead of a status of a detection job."""


_STATES: Mapping[M | D, str] = {
    M.TRAINING: "is being trained",
    M.TRAINED: "is not running",
    M.TRAINING_FAILED: "could not be trained",
    M.STARTING_HOSTING: "is being started",
    M.HOSTED: "is running",
    M.HOSTING_FAILED: "could not be started",
    M.STOPPING_HOSTING: "is being stopped",
    M.SYSTEM_UPDATING: "is being updated",
    M.DELETING: "is being deleted",
    D.CREATE_IN_PROGRESS: "is being created",
    D.CREATE_COMPLETE: "is ready",
    D.CREATE_FAILED: "could not be created",
    D.UPDATE_IN_PROGRESS: "is being updated",
    D.UPDATE_COMPLETE: "is ready",
    D.UPDATE_FAILED_ROLLBACK_IN_PROGRESS: "is being set back after an update that failed",
    D.UPDATE_FAILED_ROLLBACK_COMPLETE: "could not be updated",
    D.DELETE_IN_PROGRESS: "is being deleted",
    D.DELETE_COMPLETE: "is deleted",
    D.DELETE_FAILED: "could not be deleted",
}
"""What a model or a dataset is in a status, within a sentence."""

_CHANGES: Mapping[M | D, str] = {
    M.STARTING_HOSTING: "be started",
    M.STOPPING_HOSTING: "be stopped",
    M.SYSTEM_UPDATING: "be moved to other inference units",
    M.DELETING: "be deleted",
    D.UPDATE_IN_PROGRESS: "be changed",
    D.DELETE_IN_PROGRESS: "be deleted",
}
"""What a request does to a model or a dataset, by the status that follows."""

_REMEDIES: Mapping[tuple[M | D, M | D], str] = {
    (M.HOSTED, M.DELETING): "Stop it first.",
    (M.TRAINING_FAILED, M.STARTING_HOSTING): "Train another model.",
    (D.CREATE_FAILED, D.UPDATE_IN_PROGRESS): "Delete it, and create it again.",
    (D.DELETE_FAILED, D.UPDATE_IN_PROGRESS): "Delete it, and create it again.",
}
"""What to do about a move that is refused, by both statuses."""

_BEING_DELETED: frozenset[M | D] = frozenset({M.DELETING, D.DELETE_IN_PROGRESS})


def check_model_move(current: M, target: M, *, model_arn: str) -> None:
    """Check that a model can move from `current` to `target`.

    Raises:
        ConflictError: it cannot.
    """
    _check(MODEL_MOVES, current, target, ResourceType.MODEL, model_arn)


def check_dataset_move(current: D, target: D, *, dataset: str) -> None:
    """Check that a dataset can move from `current` to `target`.

    Raises:
        ConflictError: it cannot.
    """
    _check(DATASET_MOVES, current, target, ResourceType.DATASET, dataset)


def _check(
    moves: Mapping[S, frozenset[S]], current: S, target: S, kind: ResourceType, name: str
) -> None:
    if target not in moves[current]:
        raise ConflictError(
            f"{kind.capitalize()} {name} {_refusal(current, target)}",
            resource_type=kind,
            resource_id=name,
        )


def _refusal(current: M | D, target: M | D) -> str:
    """Return the rest of a sentence about a move that is refused, and what to do."""
    change = _CHANGES.get(target, f"become {target}")
    refusal = f"is {current}: it {_STATES[current]}, and cannot {change}."
    remedy = _REMEDIES.get((current, target), "")
    if current in MODEL_IN_PROGRESS | DATASET_IN_PROGRESS and current not in _BEING_DELETED:
        remedy = "Wait until that has ended."
    return f"{refusal} {remedy}".rstrip()
