from __future__ import annotations

from itertools import product

import pytest

from blemish.domain.detection_jobs import DetectionJobStatus
from blemish.domain.entities import DatasetStatus, ModelStatus
from blemish.domain.errors import ConflictError, ResourceType
from blemish.domain.lifecycle import (
    DATASET_FAILED,
    DATASET_IN_PROGRESS,
    DATASET_MOVES,
    DATASET_USABLE,
    DATASET_WORDS,
    JOB_WORDS,
    MODEL_ADJUSTABLE,
    MODEL_ANSWERING,
    MODEL_DELETABLE,
    MODEL_FAILED,
    MODEL_HOSTED,
    MODEL_IN_PROGRESS,
    MODEL_MOVES,
    MODEL_STARTABLE,
    MODEL_STOPPABLE,
    MODEL_WITH_BUNDLE,
    MODEL_WITH_UNITS,
    MODEL_WORDS,
    check_dataset_move,
    check_model_move,
    sources_of,
)

ARN = "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/1"

MODEL_DIAGRAM = """
TRAINING -> TRAINED TRAINING_FAILED
TRAINED -> STARTING_HOSTING DELETING
TRAINING_FAILED -> DELETING
STARTING_HOSTING -> HOSTED HOSTING_FAILED
HOSTED -> SYSTEM_UPDATING STOPPING_HOSTING HOSTING_FAILED
SYSTEM_UPDATING -> HOSTED STOPPING_HOSTING HOSTING_FAILED
STOPPING_HOSTING -> TRAINED
HOSTING_FAILED -> STARTING_HOSTING HOSTED STOPPING_HOSTING DELETING
"""

DATASET_DIAGRAM = """
CREATE_IN_PROGRESS -> CREATE_COMPLETE CREATE_FAILED
CREATE_COMPLETE -> UPDATE_IN_PROGRESS DELETE_IN_PROGRESS
CREATE_FAILED -> DELETE_IN_PROGRESS
UPDATE_IN_PROGRESS -> UPDATE_COMPLETE UPDATE_FAILED_ROLLBACK_IN_PROGRESS
UPDATE_COMPLETE -> UPDATE_IN_PROGRESS DELETE_IN_PROGRESS
UPDATE_FAILED_ROLLBACK_IN_PROGRESS -> UPDATE_FAILED_ROLLBACK_COMPLETE
UPDATE_FAILED_ROLLBACK_COMPLETE -> UPDATE_IN_PROGRESS DELETE_IN_PROGRESS
DELETE_IN_PROGRESS -> DELETE_COMPLETE DELETE_FAILED
DELETE_FAILED -> DELETE_IN_PROGRESS
"""


def moves(diagram: str) -> set[tuple[str, str]]:
    lines = [line.split(" -> ") for line in diagram.split("\n") if line]
    return {(source, target) for source, targets in lines for target in targets.split()}


MODEL_PAIRS = list(product(ModelStatus, ModelStatus))
DATASET_PAIRS = list(product(DatasetStatus, DatasetStatus))


@pytest.mark.parametrize(("current", "target"), MODEL_PAIRS)
def test_a_model_moves_as_the_diagram_says(current: ModelStatus, target: ModelStatus) -> None:
    if (current, target) in moves(MODEL_DIAGRAM):
        check_model_move(current, target, model_arn=ARN)
        return

    with pytest.raises(ConflictError) as caught:
        check_model_move(current, target, model_arn=ARN)

    assert caught.value.message.startswith(f"Model {ARN} is {current}: it ")
    assert ", and cannot be" in caught.value.message
    assert caught.value.resource_type is ResourceType.MODEL
    assert caught.value.resource_id == ARN


@pytest.mark.parametrize(("current", "target"), DATASET_PAIRS)
def test_a_dataset_moves_as_the_diagram_says(current: DatasetStatus, target: DatasetStatus) -> None:
    if (current, target) in moves(DATASET_DIAGRAM):
        check_dataset_move(current, target, dataset="circuits/train")
        return

    with pytest.raises(ConflictError) as caught:
        check_dataset_move(current, target, dataset="circuits/train")

    assert caught.value.message.startswith(f"Dataset circuits/train is {current}: it ")
    assert ", and cannot be" in caught.value.message
    assert caught.value.resource_type is ResourceType.DATASET
    assert caught.value.resource_id == "circuits/train"


@pytest.mark.parametrize(
    ("current", "target", "message"),
    [
        ("HOSTED", "STARTING_HOSTING", "is HOSTED: it is running, and cannot be started."),
        ("HOSTED", "DELETING", "is HOSTED: it is running, and cannot be deleted. Stop it first."),
        ("TRAINED", "STOPPING_HOSTING", "is TRAINED: it is not running, and cannot be stopped."),
        (
            "TRAINING",
            "DELETING",
            "is TRAINING: it is being trained, and cannot be deleted. Wait until that has ended.",
        ),
        ("DELETING", "DELETING", "is DELETING: it is being deleted, and cannot be deleted."),
    ],
)
def test_a_refused_move_of_a_model_says_what_to_do(current: str, target: str, message: str) -> None:
    with pytest.raises(ConflictError) as caught:
        check_model_move(ModelStatus(current), ModelStatus(target), model_arn=ARN)

    assert caught.value.message == f"Model {ARN} {message}"


@pytest.mark.parametrize(
    ("current", "target", "message"),
    [
        (
            "CREATE_IN_PROGRESS",
            "DELETE_IN_PROGRESS",
            "is CREATE_IN_PROGRESS: it is being created, and cannot be deleted. "
            "Wait until that has ended.",
        ),
        (
            "CREATE_FAILED",
            "UPDATE_IN_PROGRESS",
            "is CREATE_FAILED: it could not be created, and cannot be changed. "
            "Delete it, and create it again.",
        ),
    ],
)
def test_a_refused_move_of_a_dataset_says_what_to_do(
    current: str, target: str, message: str
) -> None:
    with pytest.raises(ConflictError) as caught:
        check_dataset_move(DatasetStatus(current), DatasetStatus(target), dataset="circuits/train")

    assert caught.value.message == f"Dataset circuits/train {message}"


def test_every_status_has_its_moves() -> None:
    assert set(MODEL_MOVES) == set(ModelStatus)
    assert set(DATASET_MOVES) == set(DatasetStatus)


def test_a_dataset_at_rest_can_be_changed_and_trained_on() -> None:
    assert sources_of(DatasetStatus.UPDATE_IN_PROGRESS, DATASET_MOVES) == DATASET_USABLE


def test_every_status_has_its_words() -> None:
    assert set(MODEL_WORDS) == set(ModelStatus)
    assert set(DATASET_WORDS) == set(DatasetStatus)
    assert set(JOB_WORDS) == set(DetectionJobStatus)


def test_a_status_is_in_progress_if_another_one_follows_by_itself() -> None:
    in_progress = MODEL_IN_PROGRESS | DATASET_IN_PROGRESS

    assert {status for status in in_progress if status.endswith("ING")} == MODEL_IN_PROGRESS
    assert {status for status in in_progress if "_IN_PROGRESS" in status} == DATASET_IN_PROGRESS
    assert not in_progress & (MODEL_FAILED | DATASET_FAILED | DATASET_USABLE)


def test_operations_accept_the_statuses_that_their_moves_start_from() -> None:
    assert {ModelStatus.TRAINED, ModelStatus.HOSTING_FAILED} == MODEL_STARTABLE
    assert {ModelStatus.TRAINING_FAILED, *MODEL_STARTABLE} == MODEL_DELETABLE
    assert {
        ModelStatus.HOSTED,
        ModelStatus.SYSTEM_UPDATING,
        ModelStatus.HOSTING_FAILED,
    } == MODEL_STOPPABLE
    assert {ModelStatus.HOSTED, *MODEL_STARTABLE} == MODEL_ADJUSTABLE


def test_sets_of_hosted_models_grow_from_answering_to_having_units() -> None:
    assert MODEL_ANSWERING < MODEL_HOSTED < MODEL_WITH_UNITS < MODEL_WITH_BUNDLE
