from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sqlalchemy.exc import OperationalError

from blemish.domain.entities import Model, ModelStatus
from blemish.domain.errors import ConflictError, ResourceNotFoundError
from blemish.domain.lifecycle import MODEL_ADJUSTABLE
from blemish.engine.bundle import Bundle, BundleInfo, MeasuredScores
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.sizes import ImageSize
from blemish.engine.thresholds import move_threshold, turning_points
from blemish.service.models.adjusting import AdjustableModels
from blemish.service.models.bundles import Bundles
from blemish.service.models.thresholds import ThresholdService
from tests.unit.house import House

S = ModelStatus
SCORES = MeasuredScores(normal=(1.0, 2.0, 3.0), anomaly=(2.5, 4.0))


def graph() -> bytes:
    """Return a graph that gives its threshold back."""
    writer = GraphWriter()
    threshold = writer.input_with_default("threshold", np.array(2.5, dtype=np.float32))
    writer.add("Identity", threshold, output="score")
    writer.output("score", np.float32, ())
    serialized: bytes = writer.model().SerializeToString()
    return serialized


BUNDLE = Bundle(
    info=BundleInfo(
        graph_size=(192, 256),
        image_size=ImageSize(stored=(768, 576), upright=(768, 576)),
        threshold=2.5,
        background="#FFFFFF",
        anomaly_types=(),
        history={},
        test_scores=SCORES,
    ),
    model=graph(),
)


def trained(house: House, status: ModelStatus = S.TRAINED, bundle: Bundle = BUNDLE) -> Model:
    """Make a model with a real bundle."""
    model = house.trained(status)
    assert model.bundle is not None
    shutil.rmtree(house.directory.bundles / model.bundle)
    house.bundles.add(model.bundle, bundle, kms_key_id=None)
    return model


def bundles(house: House) -> list[str]:
    return [path.name for path in house.directory.bundles.iterdir()]


@pytest.mark.parametrize("status", sorted(MODEL_ADJUSTABLE))
def test_a_threshold_is_moved_into_a_new_bundle(trainable: House, status: ModelStatus) -> None:
    before = trained(trainable, status)
    wakes = trainable.wakes

    moved = trainable.thresholds.move("circuits", "latest", threshold=3.5)

    follows = S.SYSTEM_UPDATING if status is S.HOSTED else status
    assert (moved.status, moved.threshold, moved.trained_threshold) == (follows, 3.5, 2.5)
    after = trainable.described(before)
    assert after.bundle is not None
    assert after.bundle != before.bundle
    assert bundles(trainable) == [after.bundle]
    assert trainable.bundles.read(after.bundle) == move_threshold(BUNDLE, 3.5)
    assert list(trainable.directory.staging.iterdir()) == []
    assert trainable.wakes == wakes + 1
    message = before.status_message
    if status is S.HOSTED:
        message = "The model is being moved to another threshold."
    assert after == replace(before, status=follows, bundle=after.bundle, status_message=message)


def test_without_a_threshold_the_trained_one_is_in_force_again(trainable: House) -> None:
    model = trained(trainable)
    trainable.thresholds.move("circuits", "1", threshold=3.5)

    moved = trainable.thresholds.move("circuits", "1", threshold=None)

    assert (moved.threshold, moved.trained_threshold) == (2.5, 2.5)
    name = trainable.described(model).bundle
    assert name is not None
    assert trainable.bundles.read(name) == BUNDLE


def test_the_threshold_in_force_moves_nothing(trainable: House) -> None:
    model = trained(trainable, S.HOSTED)

    moved = trainable.thresholds.move("circuits", "1", threshold=2.5)

    assert moved.status is S.HOSTED
    assert trainable.described(model) == model


@pytest.mark.parametrize("status", sorted(set(S) - MODEL_ADJUSTABLE))
def test_a_threshold_is_moved_only_while_nobody_works_on_the_model(
    trainable: House, status: ModelStatus
) -> None:
    model = trained(trainable, status)

    with pytest.raises(ConflictError) as caught:
        trainable.thresholds.move("circuits", "1", threshold=3.5)

    arn = "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/1"
    assert caught.value.message == (
        f"Model {arn} is {status}: it must be TRAINED, HOSTED or HOSTING_FAILED to be moved."
    )
    assert caught.value.resource_id == arn
    assert trainable.described(model) == model
    assert bundles(trainable) == [model.bundle]


class Slow(Bundles):
    """The bundles, of which one is written so slowly that something else happens."""

    def __init__(self, house: House, meanwhile: Callable[[], object]) -> None:
        directory = house.directory
        super().__init__(directory.bundles, staging=directory.staging, encryption=house.encryption)
        self._meanwhile = meanwhile

    def add(self, name: str, bundle: Bundle, *, kms_key_id: str | None) -> None:
        super().add(name, bundle, kms_key_id=kms_key_id)
        self._meanwhile()


def slowly(house: House, meanwhile: Callable[[], object]) -> ThresholdService:
    """Return a service whose bundles are written slowly."""
    return ThresholdService(
        AdjustableModels(
            house.database,
            bundles=Slow(house, meanwhile),
            arns=house.arns,
            new_name=lambda: "slow",
            wake=lambda: None,
        )
    )


def test_a_model_that_is_started_meanwhile_keeps_its_bundle(trainable: House) -> None:
    model = trained(trainable)
    service = slowly(trainable, lambda: trainable.put_into(model, S.STARTING_HOSTING))

    with pytest.raises(ConflictError, match="is STARTING_HOSTING: it was changed meanwhile"):
        service.move("circuits", "1", threshold=3.5)

    assert trainable.described(model).bundle == model.bundle
    assert bundles(trainable) == [model.bundle]


def test_of_two_moves_at_once_one_is_made(trainable: House) -> None:
    model = trained(trainable)
    other = partial(trainable.thresholds.move, "circuits", "1", threshold=4.5)

    with pytest.raises(ConflictError, match="changed meanwhile"):
        slowly(trainable, other).move("circuits", "1", threshold=3.5)

    name = trainable.described(model).bundle
    assert name is not None
    assert bundles(trainable) == [name]
    assert trainable.bundles.read(name).info.threshold == 4.5


@pytest.mark.sqlite
def test_where_the_row_cannot_be_written_the_old_bundle_stays(trainable: House) -> None:
    model = trained(trainable)

    def break_table() -> None:
        with closing(sqlite3.connect(trainable.directory.database)) as database:
            database.execute("ALTER TABLE models RENAME TO others")

    with pytest.raises(OperationalError):
        slowly(trainable, break_table).move("circuits", "1", threshold=3.5)

    assert bundles(trainable) == [model.bundle]


def test_a_bundle_that_is_damaged_is_told(trainable: House) -> None:
    model = trained(trainable)
    for file in (trainable.directory.bundles / str(model.bundle)).iterdir():
        file.unlink()

    for use in (
        lambda: trainable.thresholds.move("circuits", "1", threshold=3.5),
        lambda: trainable.thresholds.describe("circuits", "1", thresholds=None),
    ):
        with pytest.raises(ConflictError, match=r"is TRAINED: The bundle's file .* cannot be read"):
            use()


def test_what_some_thresholds_do_to_the_test_images_is_described(trainable: House) -> None:
    trained(trainable)
    trainable.thresholds.move("circuits", "1", threshold=3.5)

    found = trainable.thresholds.describe("circuits", "latest", thresholds=[1.0, 100.0])

    assert (found.threshold, found.trained_threshold) == (3.5, 2.5)
    assert found.current is not None
    assert found.trained is not None
    assert tuple(found.current.metrics) == pytest.approx((1.0, 0.5, 2 / 3))
    assert (found.trained.true_positives, found.trained.false_positives) == (2, 1)
    assert [(each.threshold, each.false_positives) for each in found.effects] == [
        (1.0, 3),
        (100.0, 0),
    ]


def test_without_thresholds_those_are_described_between_which_verdicts_differ(
    trainable: House,
) -> None:
    trained(trainable)

    found = trainable.thresholds.describe("circuits", "1", thresholds=None)

    assert [each.threshold for each in found.effects] == turning_points(SCORES)


@pytest.mark.parametrize("thresholds", [None, [1.0]])
def test_a_bundle_without_scores_has_a_threshold_and_no_effects(
    trainable: House, thresholds: list[float] | None
) -> None:
    trained(trainable, bundle=replace(BUNDLE, info=replace(BUNDLE.info, test_scores=None)))

    found = trainable.thresholds.describe("circuits", "1", thresholds=thresholds)

    assert (found.threshold, found.trained_threshold) == (2.5, 2.5)
    assert (found.current, found.trained, found.effects) == (None, None, ())


def test_a_model_in_training_has_no_threshold(trainable: House) -> None:
    trainable.model()

    with pytest.raises(ConflictError, match="is TRAINING: it has a threshold when it is trained"):
        trainable.thresholds.describe("circuits", "1", thresholds=None)


def test_an_unknown_model_is_not_found(trainable: House) -> None:
    with pytest.raises(ResourceNotFoundError):
        trainable.thresholds.describe("circuits", "1", thresholds=None)
    with pytest.raises(ResourceNotFoundError):
        trainable.thresholds.move("circuits", "1", threshold=1.0)
