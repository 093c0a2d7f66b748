"""The statuses and the moves between them.

    TRAINING -> TRAINED -> STARTING_HOSTING -> HOSTED <-> SYSTEM_UPDATING
        |          ^ |             |              |              |
        v          | v             v              v              v
    TRAINING_FAILED | DELETING  HOSTING_FAILED  STOPPING_HOSTING -> TRAINED

Source: the developer guide's status tables, in our words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

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
    M.HOSTING_FAILED: frozenset({M.STARTING_HOSTING, M.DELETING}),
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


USABLE_DATASET = frozenset(
    {D.CREATE_COMPLETE, D.UPDATE_COMPLETE, D.UPDATE_FAILED_ROLLBACK_COMPLETE}
)
"""A dataset at rest, whose entries can be trained on."""


def check_model_move(current: M, target: M, *, model_arn: str) -> None:
    """Allow the move of a model from `current` to `target`, or say why not.

    Raises:
        ConflictError: no such move exists.
    """
    _check(MODEL_MOVES, current, target, ResourceType.MODEL, model_arn)


def check_dataset_move(current: D, target: D, *, dataset: str) -> None:
    """Allow the move of a dataset from `current` to `target`, or say why not.

    Raises:
        ConflictError: no such move exists.
    """
    _check(DATASET_MOVES, current, target, ResourceType.DATASET, dataset)


def _check(
    moves: Mapping[S, frozenset[S]], current: S, target: S, kind: ResourceType, name: str
) -> None:
    if target not in moves[current]:
        raise ConflictError(
            f"{kind.capitalize()} {name} is {current}; it cannot become {target}.",
            resource_type=kind,
            resource_id=name,
        )
